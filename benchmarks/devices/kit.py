"""Writes the kit: small graphs that together tell what a device is good at: ``python -m benchmarks.devices.kit``.

Each graph exercises few of the nine terms of the latency model, sized so that a phone takes
milliseconds and a slow board tens of them. Weights are ``ConstantOfShape``, which every runtime expands
while loading, so a file has a few kilobytes. Each weight has a value of its own, since equal
constants would be merged, about one over the number of inputs, so that numbers stay near those of the input.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from compression.cost import op_features
from compression.op_costs import ConvGeometry, dense_op
from compression.types import OpSpec, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from onnx import NodeProto
    from onnx import TensorProto as Tensor

KIT = Path(__file__).parents[2] / "webapp" / "devices" / "kit"
OPSET, IR_VERSION = 13, 8
_STEP = 1 / 1024  # by which the values of weights differ


class Graph:
    """A graph in the making, with the operations that the latency model counts.

    With ``one_weight`` all layers share the first one's weights.

    Attributes:
        shape: of the newest tensor, without the batch.
        ops: in order.
    """

    def __init__(self, name: str, *shape: int, one_weight: bool = False) -> None:
        self.name = name
        self._one_weight = one_weight
        self.input_shape: Shape = shape
        self.shape: Shape = shape
        self.tensor = "x"
        self.ops: list[OpSpec] = []
        self._nodes: list[NodeProto] = []
        self._constants: list[Tensor] = []
        self._weights = 0

    def conv(self, channels: int, kernel: int, *, stride: int = 1, groups: int = 1) -> Graph:
        """A convolution that keeps the size at stride 1, and the ReLU that runtimes fuse into it."""
        axes = len(self.shape) - 1
        geometry = ConvGeometry(
            in_channels=self.shape[0],
            out_channels=channels,
            in_size=self.shape[1:],
            kernel=(kernel,) * axes,
            stride=(stride,) * axes,
            padding=(kernel // 2,) * axes,
            dilation=(1,) * axes,
            groups=groups,
            bias=False,
        )
        inputs = self.shape[0] // groups
        weight = self._weight((channels, inputs, *geometry.kernel), inputs * kernel**axes)
        self._add(
            "Conv",
            (self.tensor, weight),
            kernel_shape=geometry.kernel,
            strides=geometry.stride,
            pads=geometry.padding * 2,
            group=groups,
        )
        self._add("Relu", (self.tensor,))
        return self._counted(geometry.op())

    def depthwise(self, kernel: int = 3, *, stride: int = 1) -> Graph:
        """A convolution of each channel alone."""
        return self.conv(self.shape[0], kernel, stride=stride, groups=self.shape[0])

    def dense(self, outputs: int) -> Graph:
        """A dense layer with its ReLU."""
        inputs = math.prod(self.shape)
        if len(self.shape) > 1:
            self._add("Flatten", (self.tensor,), axis=1)
        self._add("Gemm", (self.tensor, self._weight((outputs, inputs), inputs)), transB=1)
        self._add("Relu", (self.tensor,))
        return self._counted(dense_op(in_features=inputs, out_features=outputs, bias=False))

    def add(self, other: str) -> Graph:
        """The sum with an earlier tensor of the same shape."""
        self._add("Add", (self.tensor, other))
        return self._counted(
            OpSpec(op="elementwise", in_shape=self.shape, out_shape=self.shape)
        )

    def max_pool(self) -> Graph:
        """The largest of 3x3 neighbours, at every position."""
        self._add(
            "MaxPool",
            (self.tensor,),
            kernel_shape=(3, 3),
            strides=(1, 1),
            pads=(1, 1, 1, 1),
        )
        return self._counted(OpSpec(op="max_pool", in_shape=self.shape, out_shape=self.shape))

    def mean(self) -> Graph:
        """The mean over all positions."""
        self._add("GlobalAveragePool", (self.tensor,))
        shape = (self.shape[0], *(1 for _ in self.shape[1:]))
        return self._counted(OpSpec(op="average_pool", in_shape=self.shape, out_shape=shape))

    def onnx(self) -> bytes:
        """The file."""
        self._nodes[-1].output[0] = "y"
        graph = helper.make_graph(
            self._nodes,
            self.name,
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, *self.input_shape))],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, *self.shape))],
            self._constants,
        )
        opsets = [helper.make_opsetid("", OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)
        return bytes(model.SerializeToString(deterministic=True))

    def row(self) -> dict[str, Any]:
        """What the web needs to know of it."""
        features = np.sum([op_features(op) for op in self.ops], axis=0)
        return {
            "name": self.name,
            "input": {"name": "x", "shape": [1, *self.input_shape]},
            "macs": sum(op.macs for op in self.ops),
            "features": np.round(features, 1).tolist(),
        }

    def _weight(self, shape: Shape, inputs: int) -> str:
        """The name of a tensor of that shape."""
        if self._one_weight and self._weights:
            return "w1"
        self._weights += 1
        size, name = f"s{self._weights}", f"w{self._weights}"
        value = np.array([(1 + self._weights * _STEP) / inputs], dtype=np.float32)
        self._constants.append(numpy_helper.from_array(np.array(shape, np.int64), size))
        tensor = numpy_helper.from_array(value)
        self._nodes.append(helper.make_node("ConstantOfShape", [size], [name], value=tensor))
        return name

    def _add(self, op: str, inputs: tuple[str, ...], **attributes: Any) -> None:
        self.tensor = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(op, inputs, [self.tensor], **attributes))

    def _counted(self, op: OpSpec) -> Graph:
        self.ops.append(op)
        self.shape = op.out_shape
        return self


def repeated(graph: Graph, times: int, layer: Callable[[Graph], Graph]) -> Graph:
    """The graph with a layer added so many times."""
    for _ in range(times):
        layer(graph)
    return graph


def residual(graph: Graph) -> Graph:
    """Two convolutions and the sum with what came in."""
    start = graph.tensor
    return graph.conv(graph.shape[0], 3).conv(graph.shape[0], 3).add(start)


def separable(graph: Graph) -> Graph:
    """A depthwise and a 1x1 convolution."""
    return graph.depthwise().conv(graph.shape[0], 1)


def mobile() -> Graph:
    """What small networks for phones are made of."""
    graph = Graph("mobile", 3, 96, 96).conv(16, 3, stride=2).depthwise(stride=2).conv(32, 1)
    repeated(graph, 2, separable).depthwise(stride=2).conv(64, 1)
    repeated(graph, 3, separable).depthwise(stride=2).conv(128, 1)
    return repeated(graph, 1, separable).mean().dense(100)


def graphs() -> Iterator[Graph]:
    """The kit, in the order in which it is run."""
    yield repeated(Graph("conv3x3-16", 16, 56, 56), 4, lambda g: g.conv(16, 3))
    yield repeated(Graph("conv3x3-64", 64, 28, 28), 2, lambda g: g.conv(64, 3))
    yield repeated(Graph("conv3x3-256", 256, 7, 7), 2, lambda g: g.conv(256, 3))
    yield Graph("conv-stem", 3, 112, 112).conv(32, 7, stride=2).conv(64, 3, stride=2)
    yield Graph("conv5x5", 16, 28, 28).conv(32, 5).conv(32, 5)
    yield repeated(Graph("conv-1d", 64, 256), 4, lambda g: g.conv(64, 5))
    yield repeated(Graph("conv1x1-64", 64, 28, 28), 8, lambda g: g.conv(64, 1))
    yield repeated(Graph("conv1x1-256", 256, 7, 7), 6, lambda g: g.conv(256, 1))
    yield repeated(Graph("depthwise-32", 32, 56, 56), 6, lambda g: g.depthwise())
    yield repeated(Graph("depthwise-128", 128, 14, 14), 8, lambda g: g.depthwise(5))
    yield repeated(Graph("grouped", 64, 28, 28), 4, lambda g: g.conv(64, 3, groups=4))
    yield repeated(Graph("dense-1024", 1024), 4, lambda g: g.dense(1024))
    yield repeated(Graph("dense-128", 128), 32, lambda g: g.dense(128))
    yield repeated(Graph("sums", 64, 56, 56), 12, lambda g: g.add("x"))
    yield repeated(Graph("pools", 32, 56, 56), 6, lambda g: g.max_pool())
    yield repeated(Graph("overhead", 4, 2, 2, one_weight=True), 200, lambda g: g.conv(4, 1))
    yield repeated(Graph("residual", 32, 28, 28), 3, residual)
    yield mobile()


def write(folder: Path) -> None:
    """Leave the files and ``kit.json``."""
    rows = []
    for graph in graphs():
        (folder / f"{graph.name}.onnx").write_bytes(graph.onnx())
        rows.append(graph.row())
    lines = ",\n".join(json.dumps(row) for row in rows)
    (folder / "kit.json").write_text(f'{{"graphs": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    write(KIT)
