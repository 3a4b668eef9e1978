"""What each layer is in ONNX: one function a kind, one table."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.onnx_writer import OnnxWriter
from compression.shape_modules import Permute, Reshape, StridedSlice

if TYPE_CHECKING:
    from compression.types import Shape

Emit = Callable[[OnnxWriter, fx.Node, Any, str], None]
"""Writes a node: ``(writer, fx node, its module if it calls one, name of the output tensor)``."""


def _window(
    writer: OnnxWriter, node: fx.Node, layer: Any, kernel: Shape
) -> tuple[str, dict[str, Any]]:
    """What a pool or convolution reads and its window attributes, defaults left out."""
    spatial = len(kernel)
    before = after = list(_spread(layer.padding, spatial))
    read = node.all_input_nodes[0]
    if read.name not in writer.tensors:  # a pad that this layer takes over
        pad = writer.module.get_submodule(str(read.target)).padding
        pairs = [*zip(pad[::2], pad[1::2], strict=True)][::-1]  # type: ignore[index]
        pairs = [(0, 0)] * (spatial - len(pairs)) + pairs
        before, after = [b for b, _ in pairs], [a for _, a in pairs]
        read = read.all_input_nodes[0]
    attributes: dict[str, Any] = {"kernel_shape": list(kernel)}
    strides = list(_spread(layer.stride, spatial))
    dilations = list(_spread(getattr(layer, "dilation", 1), spatial))
    if getattr(layer, "ceil_mode", False):
        # as padding at the end: opsets below 10 lack ceil_mode and runtimes differ over it
        rows = zip(writer.shapes[node.name][1:], strides, dilations, kernel, strict=True)
        reach = [(size - 1) * step + gap * (k - 1) + 1 for size, step, gap, k in rows]
        sizes = zip(reach, writer.in_shape(node)[1:], before, after, strict=True)
        after = [max(a, r - size - b) for r, size, b, a in sizes]
    if set(strides) != {1}:
        attributes["strides"] = strides
    if any(before) or any(after):
        attributes["pads"] = before + after
    if set(dilations) != {1}:
        attributes["dilations"] = dilations
    return writer.tensors[read.name], attributes


def _convolution(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    source, attributes = _window(writer, node, layer, tuple(layer.kernel_size))
    if layer.groups != 1:
        attributes["group"] = layer.groups
    inputs = [source, writer.weight(layer.weight)]
    if layer.bias is not None:
        inputs.append(writer.floats(layer.bias))
    writer.add("Conv", inputs, out, name=node.name, **attributes)


def _dense(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    source, bias = writer.source(node), layer.bias
    if len(writer.in_shape(node)) == 1 and (bias is not None or writer.opset >= 11):
        inputs = [source, writer.weight(layer.weight)]
        if bias is not None:
            inputs.append(writer.floats(bias))
        writer.add("Gemm", inputs, out, name=node.name, transB=1)
        return
    inputs = [source, writer.weight(layer.weight, transposed=True)]
    if bias is None:
        writer.add("MatMul", inputs, out, name=node.name)
    else:
        product = writer.add("MatMul", inputs, name=node.name)
        writer.add("Add", [product, writer.floats(bias)], out)


def _batch_norm(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    ones, zeros = torch.ones(layer.num_features), torch.zeros(layer.num_features)
    scale = ones if layer.weight is None else layer.weight
    shift = zeros if layer.bias is None else layer.bias
    values = (scale, shift, layer.running_mean, layer.running_var)
    inputs = [writer.source(node), *(writer.floats(value) for value in values)]
    writer.add("BatchNormalization", inputs, out, epsilon=float(layer.eps))


def _max_pool(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    spatial = len(writer.in_shape(node)) - 1
    source, attributes = _window(writer, node, layer, _spread(layer.kernel_size, spatial))
    writer.add("MaxPool", [source], out, **attributes)


def _average_pool(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    spatial = len(writer.in_shape(node)) - 1
    source, attributes = _window(writer, node, layer, _spread(layer.kernel_size, spatial))
    if layer.count_include_pad and any(_spread(layer.padding, spatial)):
        attributes["count_include_pad"] = 1
    writer.add("AveragePool", [source], out, **attributes)


def _simple(op: str, attributes: Callable[[Any], dict[str, Any]] = lambda _: {}) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        writer.add(op, [writer.source(node)], out, **attributes(layer))

    return emit_one


def _two(op: str) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        del layer
        writer.add(op, [_operand(writer, arg) for arg in node.args], out)

    return emit_one


def _operand(writer: OnnxWriter, arg: Any) -> str:
    return writer.tensors[arg.name] if isinstance(arg, fx.Node) else writer.floats(float(arg))


def _clip(writer: OnnxWriter, node: fx.Node, layer: nn.Hardtanh, out: str) -> None:
    bounds = {"min": float(layer.min_val), "max": float(layer.max_val)}
    known = {name: value for name, value in bounds.items() if math.isfinite(value)}
    if writer.opset < 11:
        writer.add("Clip", [writer.source(node)], out, **known)
        return
    inputs = [writer.floats(known[name]) if name in known else "" for name in ("min", "max")]
    writer.add("Clip", [writer.source(node), *inputs], out)


def _hard_swish(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    if writer.opset >= 14:
        writer.add("HardSwish", [source], out)
    else:
        gate = writer.add("HardSigmoid", [source], alpha=1 / 6, beta=0.5)
        writer.add("Mul", [source, gate], out)
    del layer


def _silu(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    writer.add("Mul", [source, writer.add("Sigmoid", [source])], out)
    del layer


def _mish(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    gate = writer.add("Tanh", [writer.add("Softplus", [source])])
    writer.add("Mul", [source, gate], out)
    del layer


def _gelu(writer: OnnxWriter, node: fx.Node, layer: nn.GELU, out: str) -> None:
    source = writer.source(node)
    if writer.opset >= 20:
        writer.add("Gelu", [source], out, approximate=layer.approximate)
        return
    if layer.approximate == "tanh":
        cube = writer.add("Mul", [writer.add("Mul", [source, source]), source])
        inner = writer.add("Add", [source, writer.add("Mul", [cube, writer.floats(0.044715)])])
        scaled = writer.add("Mul", [inner, writer.floats(math.sqrt(2 / math.pi))])
        gate = writer.add("Tanh", [scaled])
    else:
        gate = writer.add("Erf", [writer.add("Div", [source, writer.floats(math.sqrt(2))])])
    half = writer.add("Mul", [source, writer.floats(0.5)])
    writer.add("Mul", [half, writer.add("Add", [gate, writer.floats(1.0)])], out)


def _prelu(writer: OnnxWriter, node: fx.Node, layer: nn.PReLU, out: str) -> None:
    spatial = len(writer.in_shape(node)) - 1
    slope = layer.weight.reshape(-1, *[1] * spatial)
    writer.add("PRelu", [writer.source(node), writer.floats(slope)], out)


def _pad(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    rank = len(writer.in_shape(node)) + 1
    pairs = [*zip(layer.padding[::2], layer.padding[1::2], strict=True)][::-1]
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs
    pads = [b for b, _ in pairs] + [a for _, a in pairs]
    source, fill = writer.source(node), float(layer.value)
    if writer.opset < 11:
        writer.add("Pad", [source], out, pads=pads, value=fill)
        return
    inputs = [source, writer.integers(pads)]
    writer.add("Pad", inputs + ([writer.floats(fill)] if fill else []), out)


def _slice(writer: OnnxWriter, node: fx.Node, layer: StridedSlice, out: str) -> None:
    axes, starts, ends, steps = (list(column) for column in zip(*layer.slices, strict=True))
    source = writer.source(node)
    if writer.opset < 10:
        writer.add("Slice", [source], out, axes=axes, starts=starts, ends=ends)
        return
    columns = (starts, ends, axes, steps)
    writer.add("Slice", [source, *(writer.integers(column) for column in columns)], out)


def _flatten(writer: OnnxWriter, node: fx.Node, layer: nn.Flatten, out: str) -> None:
    del layer
    writer.add("Flatten", [writer.source(node)], out)


def _reshape(writer: OnnxWriter, node: fx.Node, layer: Reshape, out: str) -> None:
    shape = writer.integers([0, *layer.shape])  # 0 keeps the batch, whatever it is
    writer.add("Reshape", [writer.source(node), shape], out)


def _concat(writer: OnnxWriter, node: fx.Node, layer: None, out: str) -> None:
    del layer
    tensors: Any = node.args[0]
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    writer.add("Concat", [writer.tensors[t.name] for t in tensors], out, axis=axis)


def _softmax(op: str) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        axis = layer.dim % (len(writer.in_shape(node)) + 1)
        writer.add(op, [writer.source(node)], out, axis=axis)

    return emit_one


EMITTERS: Mapping[object, Emit] = {
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.Linear: _dense,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool1d: _average_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool1d: _simple("GlobalAveragePool"),
    nn.AdaptiveAvgPool2d: _simple("GlobalAveragePool"),
    nn.AdaptiveMaxPool1d: _simple("GlobalMaxPool"),
    nn.AdaptiveMaxPool2d: _simple("GlobalMaxPool"),
    nn.ReLU: _simple("Relu"),
    nn.ReLU6: _clip,
    nn.Hardtanh: _clip,
    nn.Sigmoid: _simple("Sigmoid"),
    nn.Tanh: _simple("Tanh"),
    nn.LeakyReLU: _simple("LeakyRelu", lambda m: {"alpha": float(m.negative_slope)}),
    nn.Hardsigmoid: _simple("HardSigmoid", lambda _: {"alpha": 1 / 6, "beta": 0.5}),
    nn.Hardswish: _hard_swish,
    nn.SiLU: _silu,
    nn.GELU: _gelu,
    nn.Mish: _mish,
    nn.ELU: _simple("Elu", lambda m: {"alpha": float(m.alpha)}),
    nn.SELU: _simple("Selu"),
    nn.Softplus: _simple("Softplus"),
    nn.PReLU: _prelu,
    nn.LocalResponseNorm: _simple(
        "LRN",
        lambda m: {"size": m.size, "alpha": m.alpha, "beta": m.beta, "bias": m.k},
    ),
    nn.Softmax: _softmax("Softmax"),
    nn.LogSoftmax: _softmax("LogSoftmax"),
    nn.Flatten: _flatten,
    nn.ConstantPad1d: _pad,
    nn.ConstantPad2d: _pad,
    nn.ConstantPad3d: _pad,
    Reshape: _reshape,
    Permute: _simple("Transpose", lambda m: {"perm": list(m.axes)}),
    StridedSlice: _slice,
    operator.add: _two("Add"),
    operator.mul: _two("Mul"),
    operator.sub: _two("Sub"),
    torch.cat: _concat,
}
"""Module type or function -> what writes it."""


def _spread(value: int | Sequence[int], length: int) -> Shape:
    return (value,) * length if isinstance(value, int) else tuple(int(v) for v in value)
