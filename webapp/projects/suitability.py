"""What to know about a model on a target before believing its figures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.suitability import Model, Tensor, notes, peak_elements

if TYPE_CHECKING:
    from compression.cost import DeviceProfile


def peak_of(inspected: dict[str, Any] | None) -> int:
    """Most activations alive at once in the uncompressed network, in elements; 0 if it is not known."""
    return 0 if inspected is None else peak_elements(_model(inspected).tensors)


def target_notes(inspected: dict[str, Any], device: DeviceProfile) -> list[str]:
    """Sentences for the page about the model as it came."""
    return list(notes(device, _model(inspected)))


def _model(inspected: dict[str, Any]) -> Model:
    start, layers = inspected["input"], inspected["layers"]
    first = Tensor.of(start["name"], (), start["shape"])
    tensors = (Tensor.of(x["name"], x["reads"], x["out_shape"]) for x in layers)
    return Model(
        [first, *tensors, Tensor.reader(inspected.get("output_layers", ()))],
        [(layer["op"], tuple(layer["kernel"])) for layer in layers],
        inspected["macs"],
        inspected["size_bytes"],
    )
