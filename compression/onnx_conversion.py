"""The network under conversion: what operators read from the model and where they put layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import onnx
import torch
from torch import fx, nn

from compression.constant_modules import Repeated
from compression.errors import ModelRefusedError
from compression.layer_names import LayerNames, name_candidates
from compression.onnx_places import FIRST, Place, place_after_reshape
from compression.onnx_reading import OnnxGraph, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from compression.onnx_probing import Probe
    from compression.types import Shape


class UnhandledError(ModelRefusedError):
    """No converter takes the operator as it is; it may still pass through untouched."""


class Conversion:
    """An fx graph that grows one ONNX node at a time.

    ``values`` maps a tensor of the model to the fx node that computes it, batch first; ``places``
    says where the model keeps the batch of that tensor.
    """

    def __init__(self, graph: OnnxGraph, probe: Probe) -> None:
        self.opset = graph.opset
        self.probe = probe
        self.graph = fx.Graph()
        self.root = nn.Module()
        self.names = LayerNames()
        source = self.graph.placeholder(_safe(graph.input_name))
        self.names.reserve(source.name)
        self.values: dict[str, fx.Node] = {graph.input_name: source}
        self.places: dict[str, Place] = {graph.input_name: FIRST}
        self.shape_of: dict[str, Shape] = {source.name: graph.input_shape}
        self.readers = Counter(name for node in graph.model.graph.node for name in node.input)
        self.readers.update(graph.output_names)
        self._origins = _origins(graph.model.graph)

    def add_layer(
        self,
        node: onnx.NodeProto,
        layer: nn.Module,
        source: fx.Node,
        shape: Shape,
        suffix: str = "",
    ) -> fx.Node:
        """Append a module that reads ``source`` and gives ``shape`` (without the batch)."""
        name = self._name(node, suffix)
        self.root.add_module(name, layer.eval())
        return self._appended(
            self.graph.create_node("call_module", name, (source,), name=name), shape
        )

    def add_module(
        self,
        node: onnx.NodeProto,
        layer: nn.Module,
        sources: tuple[fx.Node, ...],
        shape: Shape,
    ) -> fx.Node:
        """``add_layer`` for a module that reads several tensors."""
        made = self.add_layer(node, layer, sources[0], shape)
        made.args = sources
        return made

    def add_function(
        self,
        node: onnx.NodeProto,
        function: Callable[..., Any],
        args: tuple[Any, ...],
        shape: Shape,
    ) -> fx.Node:
        """Append a function call that gives ``shape`` (without the batch)."""
        name = self._name(node, "")
        return self._appended(
            self.graph.create_node("call_function", function, args, name=name), shape
        )

    def layer_of(self, node: fx.Node) -> nn.Module | None:
        """The module that an fx node calls, if it calls one."""
        return self.root.get_submodule(str(node.target)) if node.op == "call_module" else None

    def source(self, node: onnx.NodeProto, index: int = 0) -> fx.Node:
        """The fx node that computes an input of an ONNX node."""
        name = node.input[index]
        if name in self.values:
            return self.values[name]
        if name not in self.probe.constants and name not in self.probe.repeated:
            self.refuse(node, f"nothing is known of its input '{name}'")
        return self.for_every_sample(node, name)

    def is_read_once(self, node: fx.Node) -> bool:
        """Whether a single operator reads what a node computes, under whatever names."""
        names = [name for name, made in self.values.items() if made is node]
        return not node.users and all(self.readers[name] == 1 for name in names)

    def is_constant(self, name: str) -> bool:
        """Whether a tensor of the model is known before the network runs."""
        return name in self.probe.constants

    def constant(
        self, node: onnx.NodeProto, index: int, what: str = "value"
    ) -> np.ndarray | None:
        """The constant at an input, ``None`` when the input is left out.

        Raises:
            ModelRefusedError: the input is computed at run time.
        """
        if index >= len(node.input) or not node.input[index]:
            return None
        name = node.input[index]
        if name not in self.probe.constants:
            self.refuse(node, f"its {what} ('{name}') is computed while the network runs")
        return self.probe.constants[name]

    def required(self, node: onnx.NodeProto, index: int, what: str) -> np.ndarray:
        """The constant at an input that must be there."""
        value = self.constant(node, index, what)
        return self.refuse(node, f"it has no {what}") if value is None else value

    def integers(self, node: onnx.NodeProto, name: str, index: int) -> list[int] | None:
        """Integers that older opsets keep in an attribute and newer ones in an input."""
        value = attribute(node, name, None)
        if value is None:
            found = self.constant(node, index, name)
            value = None if found is None else found.reshape(-1).tolist()
        return None if value is None else [int(v) for v in value]

    def beside(self, node: onnx.NodeProto, index: int, what: str, other: int = 0) -> np.ndarray:
        """The constant at an input that meets the tensor at ``other`` elementwise: ``[1, ...]``."""
        value = self.required(node, index, what)
        name = node.input[other]
        rank = len(self.probe.shapes[name])
        if node.input[index] in self.probe.repeated and value.ndim == rank:
            value = value[:1]
        ours = self.place(name).constant(value, rank)
        return (
            self.refuse(
                node, f"its {what} of shape {list(value.shape)} differs between samples"
            )
            if ours is None
            else ours
        )

    def place(self, name: str) -> Place:
        """Where the model keeps the batch of a tensor."""
        return self.places.get(name, FIRST)

    def in_shape(self, node: onnx.NodeProto, index: int = 0) -> Shape:
        """Shape of an input that depends on the data, without the batch."""
        return self._shape(node.input[index])

    def out_shape(self, node: onnx.NodeProto, index: int = 0) -> Shape:
        """Shape of an output, without the batch; its place is that of the input unless set before."""
        name = node.output[index]
        if name not in self.places:
            self.places[name] = self.place(self.computed(node)[0])
        return self._shape(name)

    def computed(self, node: onnx.NodeProto) -> list[str]:
        """The inputs of a node that depend on the data."""
        return [name for name in node.input if name in self.values]

    def axis(self, node: onnx.NodeProto, axis: int, index: int = 0) -> int:
        """Our number (the batch is 0) for an axis of an input.

        Raises:
            ModelRefusedError: it is the axis of the batch.
        """
        name = node.input[index]
        rank, place = len(self.probe.shapes[name]), self.place(name)
        if not -rank <= axis < rank or axis % rank == place.axis:
            self.refuse(node, "it works along the batch")
        return place.axes(axis % rank)[0]

    def check_alike(self, node: onnx.NodeProto) -> None:
        """Refuse computed inputs that keep the batch in different places."""
        names = self.computed(node)
        if len({(self.place(n), len(self.probe.shapes[n])) for n in names}) > 1:
            self.refuse(node, "what it combines keeps the batch in different places")

    def reshaped_place(self, node: onnx.NodeProto) -> Place:
        """Where a node that only regroups values leaves the batch."""
        source, target = node.input[0], node.output[0]
        shape = self.probe.shapes[target]
        axes = self.probe.varying.get(target, range(len(shape)))
        outer = self.place(source).outer(self.probe.shapes[source])
        found = place_after_reshape(outer, shape, self.probe.batch, axes) if axes else None
        if found is None:
            self.refuse(node, "it mixes the samples of a batch")
        return found

    def _shape(self, name: str) -> Shape:
        return self.place(name).without_batch(self.probe.shapes[name])

    def refuse(self, node: onnx.NodeProto, reason: str) -> NoReturn:
        """Say that a node cannot be converted; it may still pass through untouched."""
        raise UnhandledError(f"The {describe(node)} cannot be read: {reason}.")

    def forbid(self, node: onnx.NodeProto, reason: str) -> NoReturn:
        """Refuse the model for the sake of a node."""
        raise ModelRefusedError(f"The {describe(node)} cannot be read: {reason}.")

    def for_every_sample(self, node: onnx.NodeProto, name: str) -> fx.Node:
        """A constant that every sample gets, as a node that reads the input for its batch."""
        if name in self.probe.repeated:
            value, axis = self.probe.repeated[name]
        else:
            value, axis = self.probe.constants[name], 0
            if value.shape[:1] not in ((1,), (self.probe.batch,)) or (value != value[:1]).any():
                self.refuse(node, f"its constant '{name}' is not the same for every sample")
        self.places[name] = Place(axis)
        layer = Repeated(torch.from_numpy(np.array(value[:1])))
        source = next(iter(self.graph.nodes))
        return self.add_layer(node, layer, source, value.shape[1:], "_constant")

    def _name(self, node: onnx.NodeProto, suffix: str) -> str:
        known = (name for name in node.input if name in self.probe.constants)
        weights = [self._origins.get(name, name) for name in known]
        candidates = name_candidates(node, weights)
        return self.names.take(
            [f"{c}{suffix}" for c in candidates if c.strip("_.0123456789") or c]
        )

    def _appended(self, node: fx.Node, shape: Shape) -> fx.Node:
        self.shape_of[node.name] = shape
        return node


def _origins(graph: onnx.GraphProto) -> dict[str, str]:
    """Constants that an Identity or a Transpose only hands on -> the name they started with."""
    origins: dict[str, str] = {}
    for node in graph.node:
        if node.op_type in ("Identity", "Transpose", "Cast") and node.input:
            origins[node.output[0]] = origins.get(node.input[0], node.input[0])
    return origins


def attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    """An attribute's value, text decoded; ``default`` when the node has none of that name."""
    for found in node.attribute:
        if found.name == name:
            value = onnx.helper.get_attribute_value(found)
            return value.decode() if isinstance(value, bytes) else value
    return default


def parameter(values: np.ndarray) -> nn.Parameter:
    """A trainable copy: protobuf arrays are read-only."""
    return nn.Parameter(torch.from_numpy(np.array(values, dtype=np.float32)))


def _safe(name: str) -> str:
    text = "".join(c if c.isascii() and c.isalnum() else "_" for c in name).strip("_")
    return text if text[:1].isalpha() else f"input_{text}"
