"""An ONNX model in the making: nodes, initializers stored once, short names, weights stored small."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper
from torch import fx, nn

from compression.layer_table import node_shapes, output_nodes
from compression.onnx_nodes import OnnxNodes
from compression.onnx_weight_streams import STREAM_OPSET, WeightStreams, is_streamed
from compression.types import Precision
from compression.weight_storage import Coding, StoredWeights, few_bytes, stored

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.types import NetworkProfile, Shape


class OnnxWriter(OnnxNodes):
    """A network's graph; weights are stored as ``precision`` wants, the opset raised where that must be.

    For ``INT8`` they stay dense floats: the quantiser takes it from there.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        profile: NetworkProfile,
        *,
        opset: int,
        precision: Precision,
    ) -> None:
        self._precision = precision
        self._stored = _stored_weights(module, precision)
        streamed = any(is_streamed(weights) for weights in self._stored.values())
        super().__init__(
            opset=max(opset, STREAM_OPSET) if streamed else opset,
            taken={profile.input_name, *profile.output_names},
        )
        self.module = module
        self.profile = profile
        self.shapes = node_shapes(module, profile.input_shape)
        self.tensors: dict[str, str] = {}
        self.outputs = tuple(
            zip(profile.output_names, (n.name for n in output_nodes(module)), strict=True)
        )
        self._streams = WeightStreams()

    def add_as_is(
        self, node: onnx.NodeProto, inputs: Sequence[str], outputs: Sequence[str]
    ) -> None:
        """Append a copy of an ONNX node between other tensors; its text for people is left out."""
        copy = onnx.NodeProto(op_type=node.op_type, name=node.name)
        copy.attribute.extend(node.attribute)
        copy.input.extend(inputs)
        copy.output.extend(outputs)
        self.nodes.append(copy)

    def floats(self, tensor: torch.Tensor | Sequence[float] | float) -> str:
        """A float initializer."""
        return self.constant(_array(tensor))

    def weight(self, weight: torch.Tensor, *, transposed: bool = False) -> str:
        """The weights of a convolution or dense layer, one output a row, in their smallest form."""
        weights = self._stored.get(id(weight)) or _as_it_is(weight)
        weights = weights.transposed() if transposed else weights
        if is_streamed(weights):
            out = self.name()
            self._streams.take(weights, out)
            return out
        stored = self.constant(weights.values)
        if weights.coding is Coding.FLOAT:
            return stored
        cast = self.add("Cast", [stored], to=TensorProto.FLOAT)
        if weights.scales is None:
            return cast
        return self.add("Mul", [cast, self.in_float(weights.scales)])

    def bias(self, bias: torch.Tensor) -> str:
        """The biases of a convolution or dense layer, in their smallest form."""
        return self.in_float(few_bytes(_array(bias), self._precision))

    def result(self, node: fx.Node) -> str:
        """A name for what a node computes: that of the model's output where it is one."""
        names = [name for name, layer in self.outputs if layer == node.name]
        return names[0] if names else self.name()

    def source(self, node: fx.Node) -> str:
        """The tensor that a node reads first."""
        return self.tensors[node.all_input_nodes[0].name]

    def in_shape(self, node: fx.Node) -> Shape:
        """Shape of the first input, without the batch."""
        return self.shapes[node.all_input_nodes[0].name]

    def serialised(self) -> bytes:
        """The model; weights inside, nothing but what a runtime needs."""
        layers, self.nodes = self.nodes, []
        self._streams.write(self)  # what decodes weights comes before what reads them
        self.nodes += layers
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
                value(name, TensorProto.FLOAT, [batch, *self.shapes[layer]])
                for name, layer in self.outputs
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


def _stored_weights(module: fx.GraphModule, precision: Precision) -> dict[int, StoredWeights]:
    """What the precision makes of each weight tensor, by its identity."""
    if precision is Precision.INT8:
        return {}
    layers = (m for m in module.modules() if isinstance(m, nn.Conv1d | nn.Conv2d | nn.Linear))
    return {id(m.weight): stored(_array(m.weight), precision) for m in layers}


def _as_it_is(weight: torch.Tensor) -> StoredWeights:
    return StoredWeights(coding=Coding.FLOAT, values=_array(weight))


def _ir_version(opset: int) -> int:
    """The oldest file format that knows the opset; 4 is where weights stop being inputs."""
    return max(4, helper.find_min_ir_version_for([helper.make_opsetid("", opset)]))
