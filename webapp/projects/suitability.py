"""What to know about a model on a target before believing its figures."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from compression.suitability import Memory, Model, Tensor, notes, unmeasured, untimed
from compression.types import LayerKind, LayerProfile
from selector.recipe_memory import recipe_peak
from selector.tables import PRECISIONS

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import IntArray


def model_memory(inspected: dict[str, Any]) -> Memory:
    """What the model takes as it came."""
    return _model(inspected).memory


def recipe_memory(
    inspected: dict[str, Any] | None, surrogate: Surrogate, config: IntArray
) -> Memory:
    """What the model will take after a recipe, as far as the study tells; the file is not counted."""
    if inspected is None:
        return Memory(0, 0)
    layers = [layer_profile(layer) for layer in inspected["layers"]]
    outputs = inspected.get("output_layers", ())
    peak = recipe_peak(surrogate, config, _start(inspected), layers, outputs)
    precision = PRECISIONS[surrogate.space.precisions[-1][config[-1]]]
    return Memory(0, peak.elements, precision, at_most=not peak.is_exact)


def target_notes(inspected: dict[str, Any], device: DeviceProfile) -> list[str]:
    """Sentences for the page about the model as it came."""
    return list(notes(device, _model(inspected)))


def has_untimed(inspected: dict[str, Any], device: DeviceProfile) -> bool:
    """Whether the model holds kinds of layers that the device's figures do not rest on."""
    return bool(untimed(device, unmeasured(_model(inspected).layers)))


def layer_profile(layer: dict[str, Any]) -> LayerProfile:
    """A layer as INSPECT wrote it down."""
    known = {field.name for field in fields(LayerProfile)}
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in layer.items()
        if name in known
    }
    values["kind"] = LayerKind(layer["kind"])
    return LayerProfile(**values)


def _model(inspected: dict[str, Any]) -> Model:
    layers = inspected["layers"]
    tensors = (Tensor.of(x["name"], x["reads"], x["out_shape"]) for x in layers)
    return Model(
        [_start(inspected), *tensors, Tensor.reader(inspected.get("output_layers", ()))],
        [(layer["op"], tuple(layer["kernel"])) for layer in layers],
        inspected["macs"],
        inspected["size_bytes"],
    )


def _start(inspected: dict[str, Any]) -> Tensor:
    start = inspected["input"]
    return Tensor.of(start["name"], (), start["shape"])
