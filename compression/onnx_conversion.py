"""The network under conversion: what operators read from the model and where they put layers."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np
import onnx
import torch
from torch import fx, nn

from compression.errors import ModelRefusedError
from compression.layer_names import LayerNames, name_candidates
from compression.onnx_reading import OnnxGraph, describe

if TYPE_CHECKING:
    from collections.abc import Callable

    from compression.onnx_probing import Probe
    from compression.types import Shape


class Conversion:
    """An fx graph that grows one ONNX node at a time.

    ``values`` maps a tensor of the model to the fx node that computes it.
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
        self.shape_of: dict[str, Shape] = {source.name: graph.input_shape}
        self.readers = Counter(name for node in graph.model.graph.node for name in node.input)
        self.readers[graph.output_name] += 1
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
        return self.values[node.input[index]]

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
        value = self.probe.constants[name]
        if np.issubdtype(value.dtype, np.floating) and np.isnan(value).any():
            self.refuse(node, f"its {what} ('{name}') holds values that are not numbers (NaN)")
        return value

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

    def in_shape(self, node: onnx.NodeProto, index: int = 0) -> Shape:
        """Shape of an input that depends on the data, without the batch."""
        return self.probe.shapes[node.input[index]]

    def out_shape(self, node: onnx.NodeProto) -> Shape:
        """Shape of the output, without the batch."""
        return self.probe.shapes[node.output[0]]

    def refuse(self, node: onnx.NodeProto, reason: str) -> NoReturn:
        """Raise the refusal of a node."""
        raise ModelRefusedError(f"The {describe(node)} cannot be read: {reason}.")

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
