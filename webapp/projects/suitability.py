"""What to know about a model on a target before believing its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.suitability import Tensor, misfit, peak_elements, unlike

if TYPE_CHECKING:
    from compression.cost import DeviceProfile


def peak_of(inspected: dict[str, Any] | None) -> int:
    """Most activations alive at once in the uncompressed network, in elements; 0 if it is not known."""
    if inspected is None:
        return 0
    start = inspected["input"]
    layers = [Tensor.of(x["name"], x["reads"], x["out_shape"]) for x in inspected["layers"]]
    return peak_elements([Tensor.of(start["name"], (), start["shape"]), *layers])


def target_notes(inspected: dict[str, Any], device: DeviceProfile) -> list[str]:
    """Sentences for the page: the original does not fit, or is unlike what the figures rest on."""
    notes = [misfit(device, inspected["size_bytes"], peak_of(inspected))]
    layers = [(layer["op"], tuple(layer["kernel"])) for layer in inspected["layers"]]
    strange = unlike(device, layers, inspected["macs"])
    if strange:
        notes.append(
            f"This model has {', '.join(strange)}: no network that the figures of this device rest on. "
            "Read them with a wider band."
        )
    return [note for note in notes if note]
