"""An ONNX model in the making: nodes, initializers stored once, short names, 8-bit weights."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from string import ascii_letters
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import fx

from compression.layer_table import node_shapes
from compression.weight_storage import pays_in_int8, rounded_to_int8

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compression.types import NetworkProfile, Shape


class OnnxWriter:
    """Collects nodes and initializers; hands out short tensor names."""

    def __init__(
        self, module: fx.GraphModule, profile: NetworkProfile, *, opset: int, int8: bool
    ) -> None:
        self.module = module
        self.profile = profile
        self.opset = opset
        self.int8 = int8
        self.shapes = node_shapes(module, profile.input_shape)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.tensors: dict[str, str] = {}
        self.output_shape: Shape = ()
        self._shared: dict[tuple[str, bytes, Shape], str] = {}
        self._names = short_names({profile.input_name, *profile.output_names})

    def add(self, op: str, inputs: Sequence[str], out: str = "", **attributes: Any) -> str:
        """Append an ONNX node and return the name of its output."""
        out = out or self.name()
        self.nodes.append(helper.make_node(op, list(inputs), [out], **attributes))
        return out

    def add_as_is(
        self, node: onnx.NodeProto, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        """Append a copy of an ONNX node between other tensors; its text for people is left out."""
        copy = onnx.NodeProto(op_type=node.op_type, name=node.name)
        copy.attribute.extend(node.attribute)
        copy.input.extend(inputs)
        copy.output.extend(outputs)
        self.nodes.append(copy)

    def constant(self, value: np.ndarray) -> str:
        """The name of an initializer; equal ones are stored once."""
        key = (value.dtype.str, value.tobytes(), value.shape)
        if key not in self._shared:
            self._shared[key] = self.name()
            self.initializers.append(
                numpy_helper.from_array(np.array(value, order="C"), self._shared[key])
            )
        return self._shared[key]

    def floats(self, tensor: torch.Tensor | Sequence[float] | float) -> str:
        """A float initializer."""
        return self.constant(_array(tensor))

    def integers(self, values: Sequence[int]) -> str:
        """An int64 initializer."""
        return self.constant(np.array(values, np.int64))

    def weight(self, weight: torch.Tensor, *, transposed: bool = False) -> str:
        """A weight matrix or kernel, one output a row, in 8 bits where that saves bytes."""
        values = _array(weight)
        if self.int8 and pays_in_int8(values.size, len(values)):
            stored, scales = rounded_to_int8(values)
            if transposed:
                stored, scales = stored.T, scales.T
            cast = self.add("Cast", [self.constant(stored)], to=TensorProto.FLOAT)
            return self.add("Mul", [cast, self.constant(scales)])
        return self.constant(values.T if transposed else values)

    def name(self) -> str:
        """A tensor name that is not in use."""
        return next(self._names)

    def source(self, node: fx.Node) -> str:
        """The tensor that a node reads first."""
        return self.tensors[node.all_input_nodes[0].name]

    def in_shape(self, node: fx.Node) -> Shape:
        """Shape of the first input, without the batch."""
        return self.shapes[node.all_input_nodes[0].name]

    def serialised(self) -> bytes:
        """The model; weights inside, nothing but what a runtime needs."""
        batch = self.profile.batch
        value = helper.make_tensor_value_info
        graph = helper.make_graph(
            self.nodes,
            self.profile.name or "model",
            [
                value(
                    self.profile.input_name,
                    TensorProto.FLOAT,
                    [batch, *self.profile.input_shape],
                )
            ],
            [
                value(
                    self.profile.output_names[0], TensorProto.FLOAT, [batch, *self.output_shape]
                )
            ],
            self.initializers,
        )
        model = helper.make_model(
            graph,
            opset_imports=[helper.make_opsetid("", self.opset)],
            producer_name="AdaDeep",
            ir_version=_ir_version(self.opset),
        )
        return bytes(model.SerializeToString(deterministic=True))


Emit = Callable[[OnnxWriter, fx.Node, Any, str], None]
"""Writes a node: ``(writer, fx node, its module if it calls one, name of the output tensor)``."""


def simple(op: str, attributes: Callable[[Any], dict[str, Any]] = lambda _: {}) -> Emit:
    """Writes a layer as one ONNX operator of one input."""

    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        writer.add(op, [writer.source(node)], out, **attributes(layer))

    return emit_one


def _array(tensor: torch.Tensor | Sequence[float] | float) -> np.ndarray:
    if isinstance(tensor, torch.Tensor):
        return tensor.detach().numpy().astype(np.float32)
    return np.array(tensor, np.float32)


def short_names(taken: set[str]) -> Iterator[str]:
    """``a b ... Z a1 b1 ...`` without the names of the interface."""
    for number in count():
        for letter in ascii_letters:
            name = f"{letter}{number or ''}"
            if name not in taken:
                yield name


def _ir_version(opset: int) -> int:
    """The oldest file format that knows the opset; 4 is where weights stop being inputs."""
    return max(4, helper.find_min_ir_version_for([helper.make_opsetid("", opset)]))
