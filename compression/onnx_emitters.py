"""What each layer is in ONNX: one function a kind; the table of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.onnx_activation_emitters import ACTIVATION_EMITTERS
from compression.onnx_movement_emitters import MOVEMENT_EMITTERS
from compression.onnx_writer import Emit, OnnxWriter, simple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.types import Shape


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
        inputs.append(writer.bias(layer.bias))
    writer.add("Conv", inputs, out, name=node.name, **attributes)


def _dense(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    source, bias = writer.source(node), layer.bias
    if len(writer.in_shape(node)) == 1 and (bias is not None or writer.opset >= 11):
        inputs = [source, writer.weight(layer.weight)]
        if bias is not None:
            inputs.append(writer.bias(bias))
        writer.add("Gemm", inputs, out, name=node.name, transB=1)
        return
    inputs = [source, writer.weight(layer.weight, transposed=True)]
    if bias is None:
        writer.add("MatMul", inputs, out, name=node.name)
    else:
        product = writer.add("MatMul", inputs, name=node.name)
        writer.add("Add", [product, writer.bias(bias)], out)


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


def _transposed_convolution(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    attributes: dict[str, Any] = {"kernel_shape": list(layer.kernel_size)}
    if set(layer.stride) != {1}:
        attributes["strides"] = list(layer.stride)
    if any(layer.padding):
        attributes["pads"] = [*layer.padding, *layer.padding]
    if any(layer.output_padding):
        attributes["output_padding"] = list(layer.output_padding)
    if set(layer.dilation) != {1}:
        attributes["dilations"] = list(layer.dilation)
    if layer.groups != 1:
        attributes["group"] = layer.groups
    inputs = [writer.source(node), writer.floats(layer.weight)]
    if layer.bias is not None:
        inputs.append(writer.floats(layer.bias))
    writer.add("ConvTranspose", inputs, out, name=node.name, **attributes)


def _layer_norm(writer: OnnxWriter, node: fx.Node, layer: nn.LayerNorm, out: str) -> None:
    source, count = writer.source(node), len(layer.normalized_shape)
    scale = writer.floats(layer.weight)
    bias: torch.Tensor | None = layer.bias
    inputs = [scale] if bias is None else [scale, writer.floats(bias)]
    if writer.opset >= 17:
        writer.add(
            "LayerNormalization", [source, *inputs], out, axis=-count, epsilon=float(layer.eps)
        )
        return
    rank = len(writer.in_shape(node)) + 1
    axes = list(range(rank - count, rank))  # older opsets: what exporters of their time wrote
    centred = writer.add("Sub", [source, writer.add("ReduceMean", [source], axes=axes)])
    squares = writer.add("Mul", [centred, centred])
    spread = writer.add("ReduceMean", [squares], axes=axes)
    spread = writer.add("Sqrt", [writer.add("Add", [spread, writer.floats(layer.eps)])])
    result = writer.add("Div", [centred, spread])
    for op, value in zip(("Mul", "Add"), inputs, strict=False):
        last = value == inputs[-1]
        result = writer.add(op, [result, value], out if last else "")


def _instance_norm(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    inputs = [writer.source(node), writer.floats(layer.weight), writer.floats(layer.bias)]
    writer.add("InstanceNormalization", inputs, out, epsilon=float(layer.eps))


def _group_norm(writer: OnnxWriter, node: fx.Node, layer: nn.GroupNorm, out: str) -> None:
    """As an instance norm over groups, which every opset knows."""
    shape, groups = writer.in_shape(node), layer.num_groups
    apart = writer.add("Reshape", [writer.source(node), writer.integers([0, groups, -1])])
    ones, zeros = writer.floats(torch.ones(groups)), writer.floats(torch.zeros(groups))
    normal = writer.add("InstanceNormalization", [apart, ones, zeros], epsilon=float(layer.eps))
    whole = writer.add("Reshape", [normal, writer.integers([0, *shape])])
    each = (-1, *[1] * (len(shape) - 1))
    scaled = writer.add("Mul", [whole, writer.floats(layer.weight.reshape(each))])
    writer.add("Add", [scaled, writer.floats(layer.bias.reshape(each))], out)


EMITTERS: Mapping[object, Emit] = {
    **ACTIVATION_EMITTERS,
    **MOVEMENT_EMITTERS,
    nn.Conv1d: _convolution,
    nn.Conv2d: _convolution,
    nn.ConvTranspose1d: _transposed_convolution,
    nn.ConvTranspose2d: _transposed_convolution,
    nn.Linear: _dense,
    nn.BatchNorm1d: _batch_norm,
    nn.BatchNorm2d: _batch_norm,
    nn.InstanceNorm1d: _instance_norm,
    nn.InstanceNorm2d: _instance_norm,
    nn.GroupNorm: _group_norm,
    nn.LayerNorm: _layer_norm,
    nn.LocalResponseNorm: simple(
        "LRN",
        lambda m: {"size": m.size, "alpha": m.alpha, "beta": m.beta, "bias": m.k},
    ),
    nn.MaxPool1d: _max_pool,
    nn.MaxPool2d: _max_pool,
    nn.AvgPool1d: _average_pool,
    nn.AvgPool2d: _average_pool,
    nn.AdaptiveAvgPool1d: simple("GlobalAveragePool"),
    nn.AdaptiveAvgPool2d: simple("GlobalAveragePool"),
    nn.AdaptiveMaxPool1d: simple("GlobalMaxPool"),
    nn.AdaptiveMaxPool2d: simple("GlobalMaxPool"),
}
"""Module type or function -> what writes it."""


def _spread(value: int | Sequence[int], length: int) -> Shape:
    return (value,) * length if isinstance(value, int) else tuple(int(v) for v in value)
