"""One operation as an ONNX model of its own: what a latency lookup measures."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from compression.types import OpSpec, Precision, Shape

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

BEFORE, AFTER = "before", "after"
"""How the names of the convolutions around an operation begin."""

_OPSET = 17
_AFTER_CHANNELS = 16
_SCALE = np.float32(1 / 32)
"""Fixed range of the 8-bit models: speed does not depend on it."""


def single_op_onnx(op: OpSpec, precision: Precision) -> bytes:
    """A model of one operation with random weights and fixed batch 1.

    Its input ``x`` is ``[1, *op.in_shape]`` and its output ``y`` is ``[1, *op.out_shape]``. For
    ``INT8`` both are uint8 and the operation stands between dequantise and quantise nodes, so that
    ONNX Runtime runs its 8-bit kernel and nothing else; every other precision is the float model
    (how weights are stored does not change its speed).

    Raises:
        ValueError: an operation of unknown kind.
    """
    if op.op not in _BODIES:
        raise ValueError(f"no single-operation model for '{op.op}'")
    model = _OpModel(op, int8=precision is Precision.INT8)
    _BODIES[op.op](model, op)
    return model.serialised()


def has_convolutions_around(op: OpSpec) -> bool:
    """Whether the operation works on feature maps, which convolutions lay out as they like."""
    return len(op.in_shape) == len(op.out_shape) == _RANK_OF_MAPS and op.op in _ON_MAPS


def op_between_convolutions(op: OpSpec, precision: Precision) -> bytes:
    """The operation between 1x1 convolutions from one channel and to a few, random weights.

    The nodes before it have names that begin with ``BEFORE``, one for each input, and the one
    behind it is called ``AFTER``. Input ``e`` is ``[1, 1, *op.in_shape[1:]]``.

    Raises:
        ValueError: an operation that does not work on feature maps.
    """
    if not has_convolutions_around(op):
        raise ValueError(f"'{op.op}' on {op.in_shape} does not stand between convolutions")
    model = _OpModel(op, int8=precision is Precision.INT8, has_neighbours=True)
    _BODIES[op.op](model, op)
    return model.between_convolutions()


class _OpModel:
    """Nodes and initializers around one operation, quantised or not."""

    def __init__(self, op: OpSpec, *, int8: bool, has_neighbours: bool = False) -> None:
        self.op = op
        self.in_shape = op.in_shape
        self.int8 = int8
        self.has_neighbours = has_neighbours
        self.entry = f"{BEFORE}_x" if has_neighbours else "x"
        self.before: list[NodeProto] = []
        self.rng = np.random.default_rng(0)
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []

    def add(self, kind: str, inputs: list[str], **attributes: Any) -> None:
        """The operation itself, from the graph's input to its output."""
        if not self.int8:
            self.nodes.append(
                helper.make_node(kind, [self.entry, *inputs], ["y"], **attributes)
            )
            return
        scale, zero = self._stored(_SCALE), self._stored(np.uint8(128))
        self.nodes += [
            helper.make_node("DequantizeLinear", [self.entry, scale, zero], ["xf"]),
            helper.make_node(kind, ["xf", *inputs], ["yf"], **attributes),
            helper.make_node("QuantizeLinear", ["yf", scale, zero], ["y"]),
        ]

    def weight(self, *shape: int) -> str:
        """Random weights; 8 bits with a scale per output when quantised."""
        values = self.rng.standard_normal(shape).astype(np.float32)
        values /= np.float32(math.sqrt(math.prod(shape[1:])))
        if not self.int8:
            return self._stored(values)
        stored = self._stored(self.rng.integers(-127, 128, shape, dtype=np.int8))
        scales = self._stored(np.full(shape[0], _SCALE, np.float32))
        zeros = self._stored(np.zeros(shape[0], np.int8))
        return self._dequantised([stored, scales, zeros], axis=0)

    def bias(self, size: int) -> str:
        """A bias; 32-bit integers when quantised."""
        if not self.int8:
            return self._stored(np.zeros(size, np.float32))
        scales = self._stored(np.full(size, _SCALE * _SCALE, np.float32))
        zeros = self._stored(np.zeros(size, np.int32))
        return self._dequantised(
            [self._stored(np.zeros(size, np.int32)), scales, zeros], axis=0
        )

    def scale(self, size: int) -> str:
        """Factors that stay in float."""
        return self._stored(np.ones(size, np.float32))

    def integers(self, values: list[int]) -> str:
        """Sizes that an operation reads."""
        return self._stored(np.array(values, np.int64))

    def read(self, shape: Shape) -> None:
        """Makes the input ``[1, *shape]`` instead of the operation's own."""
        self.in_shape = shape

    def operand(self, shape: Shape) -> str:
        """A second operand: from a neighbour, or one that the graph already holds."""
        if self.has_neighbours:
            return self._from_neighbour(shape)
        if not self.int8:
            return self._stored(self.rng.standard_normal((1, *shape)).astype(np.float32))
        stored = self._stored(self.rng.integers(0, 256, (1, *shape), dtype=np.uint8))
        return self._dequantised([stored, self._stored(_SCALE), self._stored(np.uint8(128))])

    def _dequantised(self, inputs: list[str], **attributes: Any) -> str:
        out = f"{inputs[0]}f"
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [out], **attributes))
        return out

    def _stored(self, values: np.ndarray | np.generic) -> str:
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(values), name))
        return name

    def _from_neighbour(self, shape: Shape) -> str:
        name = f"{BEFORE}{len(self.before)}"
        produced = self._convolution(name, "e", (shape[0], 1), len(shape) - 1)
        self.before += produced
        if not self.int8:
            return name
        scale, zero = self._stored(_SCALE), self._stored(np.uint8(128))
        return self._dequantised([name, scale, zero])

    def _convolution(
        self, name: str, entry: str, channels: tuple[int, int], dims: int
    ) -> list[NodeProto]:
        """The nodes of a 1x1 convolution; it and its output bear the name."""
        begun = len(self.nodes)
        inputs = [self.weight(*channels, *(1,) * dims), self.bias(channels[0])]
        if self.int8:
            scale, zero = self._stored(_SCALE), self._stored(np.uint8(128))
            self.nodes += [
                helper.make_node("DequantizeLinear", [entry, scale, zero], [f"{name}_xf"]),
                helper.make_node("Conv", [f"{name}_xf", *inputs], [f"{name}_yf"], name=name),
                helper.make_node("QuantizeLinear", [f"{name}_yf", scale, zero], [name]),
            ]
        else:
            self.nodes.append(helper.make_node("Conv", [entry, *inputs], [name], name=name))
        made, self.nodes = self.nodes[begun:], self.nodes[:begun]
        return made

    def between_convolutions(self) -> bytes:
        """The model with a neighbour on either side."""
        dims, out_channels = len(self.in_shape) - 1, self.op.out_shape[0]
        first = self._convolution(self.entry, "e", (self.in_shape[0], 1), dims)
        last = self._convolution(AFTER, "y", (_AFTER_CHANNELS, out_channels), dims)
        nodes = [*first, *self.before, *self.nodes, *last]
        out_shape = (_AFTER_CHANNELS, *self.op.out_shape[1:])
        return self._model(nodes, {"e": (1, *self.in_shape[1:])}, {AFTER: out_shape})

    def serialised(self) -> bytes:
        """The model of the operation alone."""
        return self._model(self.nodes, {"x": self.in_shape}, {"y": self.op.out_shape})

    def _model(
        self, nodes: list[NodeProto], entry: dict[str, Shape], out: dict[str, Shape]
    ) -> bytes:
        kind = TensorProto.UINT8 if self.int8 else TensorProto.FLOAT
        inputs, outputs = (
            [
                helper.make_tensor_value_info(name, kind, [1, *shape])
                for name, shape in ends.items()
            ]
            for ends in (entry, out)
        )
        graph = helper.make_graph(nodes, self.op.op, inputs, outputs, self.initializers)
        opsets = [helper.make_opsetid("", _OPSET)]
        model = helper.make_model(graph, opset_imports=opsets, ir_version=8)
        return bytes(model.SerializeToString())


def _window(op: OpSpec) -> dict[str, Any]:
    spatial = len(op.kernel)
    stride, padding = op.stride or (1,) * spatial, op.padding or (0,) * spatial
    pads = [*padding, *(_end_pads(op, stride, padding))]
    return {"kernel_shape": list(op.kernel), "strides": list(stride), "pads": pads}


def _end_pads(op: OpSpec, stride: Shape, padding: Shape) -> list[int]:
    """Padding at the end that gives the wanted output size (uneven or rounded-up windows)."""
    rows = zip(op.in_shape[1:], op.out_shape[1:], op.kernel, stride, padding, strict=True)
    ends = []
    for size, wanted, kernel, step, before in rows:
        needed = (wanted - 1) * step + kernel - size - before
        ends.append(
            before if (size + 2 * before - kernel) // step + 1 == wanted else max(0, needed)
        )
    return ends


def _conv(model: _OpModel, op: OpSpec) -> None:
    out, groups = op.out_shape[0], op.groups
    weight = model.weight(out, op.in_shape[0] // groups, *op.kernel)
    window = _window(op)
    dilations = _dilations(op, window["strides"])
    if set(dilations) != {1}:
        window |= {"dilations": dilations, "pads": [*(op.padding or (0,) * len(dilations))] * 2}
    model.add("Conv", [weight, model.bias(out)], group=groups, **window)


def _dilations(op: OpSpec, strides: list[int]) -> list[int]:
    """The smallest gaps that give the wanted output size; 1 where padding must have done it."""
    padding = op.padding or (0,) * len(op.kernel)
    rows = zip(op.in_shape[1:], op.out_shape[1:], op.kernel, strides, padding, strict=True)
    found = []
    for size, wanted, kernel, step, before in rows:
        room = size + 2 * before - 1
        gaps = range(1, room // max(1, kernel - 1) + 1)
        fits = (gap for gap in gaps if (room - gap * (kernel - 1)) // step + 1 == wanted)
        found.append(next(fits, 1) if kernel > 1 else 1)
    return found


def _dense(model: _OpModel, op: OpSpec) -> None:
    features, out = op.in_shape[-1], op.out_shape[-1]
    if len(op.in_shape) == 1:
        model.add("Gemm", [model.weight(out, features), model.bias(out)], transB=1)
    else:
        model.add("MatMul", [model.weight(features, out)])


def _pool(kind: str) -> Callable[[_OpModel, OpSpec], None]:
    def body(model: _OpModel, op: OpSpec) -> None:
        if not op.kernel or (op.kernel == op.in_shape[1:] and set(op.out_shape[1:]) == {1}):
            model.add(f"Global{kind}", [])
        else:
            model.add(kind, [], **_window(op))

    return body


def _add(model: _OpModel, op: OpSpec) -> None:
    model.add("Add", [model.operand(op.out_shape)])


def _multiply(model: _OpModel, op: OpSpec) -> None:
    model.add("Mul", [model.operand(op.out_shape)])


def _concat(model: _OpModel, op: OpSpec) -> None:
    differing = (i for i, n in enumerate(op.out_shape) if n != op.in_shape[i])
    axis = next(differing, 0)
    rest = op.out_shape[axis] - op.in_shape[axis]
    part = (*op.in_shape[:axis], rest, *op.in_shape[axis + 1 :])
    model.add("Concat", [model.operand(part)] if rest > 0 else [], axis=axis + 1)


def _transposed_conv(model: _OpModel, op: OpSpec) -> None:
    weight = model.weight(op.in_shape[0], op.out_shape[0] // op.groups, *op.kernel)
    model.add(
        "ConvTranspose",
        [weight],
        group=op.groups,
        kernel_shape=list(op.kernel),
        strides=list(op.stride),
        output_shape=list(op.out_shape[1:]),
    )


def _matmul(model: _OpModel, op: OpSpec) -> None:
    """The second factor is stored: how it came about is another operation's business."""
    model.add("MatMul", [model.operand((*op.in_shape[:-2], op.in_shape[-1], op.out_shape[-1]))])


def _softmax(model: _OpModel, op: OpSpec) -> None:
    del op
    model.add("Softmax", [], axis=-1)


def _layer_norm(model: _OpModel, op: OpSpec) -> None:
    model.add("LayerNormalization", [model.scale(op.in_shape[-1])], axis=-1)


def _resize(model: _OpModel, op: OpSpec) -> None:
    model.add("Resize", ["", "", model.integers([1, *op.out_shape])], mode="linear")


def _elementwise(model: _OpModel, op: OpSpec) -> None:
    """As long as what it writes: some read less (a broadcast) or more (a slice)."""
    if op.in_shape != op.out_shape:
        model.read(op.out_shape)
    model.add("Relu", [])


_BODIES: Mapping[str, Callable[[_OpModel, OpSpec], None]] = {
    "conv": _conv,
    "dense": _dense,
    "max_pool": _pool("MaxPool"),
    "average_pool": _pool("AveragePool"),
    "global_average_pool": _pool("AveragePool"),
    "add": _add,
    "multiply": _multiply,
    "concat": _concat,
    "transposed_conv": _transposed_conv,
    "matmul": _matmul,
    "softmax": _softmax,
    "layer_norm": _layer_norm,
    "resize": _resize,
    "elementwise": _elementwise,
}

_RANK_OF_MAPS = 3
_ON_MAPS = frozenset(_BODIES) - {"dense", "matmul", "softmax", "layer_norm", "elementwise"}
"""An element-wise operation stands for many that the runtime treats each in its own way."""
