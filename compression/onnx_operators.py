"""What each ONNX operator becomes: the whitelist of the importer.

Layers with weights are in ``onnx_layers``, pools in ``onnx_windows``; here are activations, arithmetic and shapes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping

import numpy as np
import onnx
import torch
from torch import fx, nn

from compression.onnx_conversion import Conversion, attribute, parameter
from compression.onnx_layers import (
    add_scale_and_shift,
    convert_batch_norm,
    convert_convolution,
    convert_gemm,
    convert_matmul,
)
from compression.onnx_windows import (
    convert_average_pool,
    convert_global_pool,
    convert_max_pool,
    convert_pad,
    convert_reduction,
)
from compression.shape_modules import Permute, Reshape, StridedSlice

Converter = Callable[[Conversion, onnx.NodeProto], fx.Node]


def _activation(make: Callable[[onnx.NodeProto], nn.Module]) -> Converter:
    def convert(network: Conversion, node: onnx.NodeProto) -> fx.Node:
        return network.add_layer(
            node, make(node), network.source(node), network.out_shape(node)
        )

    return convert


def _same(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Nothing at inference: the input is the output."""
    return network.source(node)


def _cast(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    if attribute(node, "to", 0) != onnx.TensorProto.FLOAT:
        network.refuse(node, "only 32-bit floating point is handled; export without casts")
    return network.source(node)


def _clip(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    bounds = []
    for index, (name, default) in enumerate((("min", -math.inf), ("max", math.inf))):
        value = attribute(node, name, None)
        if value is None:
            found = network.constant(node, index + 1, name)
            value = default if found is None else found.reshape(-1)[0]
        bounds.append(float(value))
    low, high = bounds
    layer: nn.Module = nn.Hardtanh(low, high)
    if low == 0.0:
        layer = {6.0: nn.ReLU6(), math.inf: nn.ReLU()}.get(high, layer)
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))


def _hard_sigmoid(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    alpha, beta = attribute(node, "alpha", 0.2), attribute(node, "beta", 0.5)
    source, shape = network.source(node), network.out_shape(node)
    if math.isclose(alpha, 1 / 6, rel_tol=1e-4) and beta == 0.5:
        return network.add_layer(node, nn.Hardsigmoid(), source, shape)
    scaled = add_scale_and_shift(network, node, source, np.full(1, alpha), np.full(1, beta))
    return network.add_layer(node, nn.Hardtanh(0.0, 1.0), scaled, shape)


def _prelu(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    slope = network.required(node, 1, "slope").reshape(-1)
    shape = network.out_shape(node)
    if slope.size not in (1, shape[0]):
        network.refuse(node, "its slopes belong neither to all values nor to channels")
    layer = nn.PReLU(slope.size)
    layer.weight = parameter(slope)
    return network.add_layer(node, layer, network.source(node), shape)


def _softmax(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    shape = network.out_shape(node)
    axis = attribute(node, "axis", -1 if network.opset >= 13 else 1) % (len(shape) + 1)
    if network.opset < 13 and math.prod(shape[axis:]) != 1:
        network.refuse(node, "before opset 13 it normalises over several axes at once")
    if axis == 0:
        network.refuse(node, "it normalises over the batch")
    layer = nn.Softmax(axis) if node.op_type == "Softmax" else nn.LogSoftmax(axis)
    return network.add_layer(node, layer, network.source(node), shape)


def _add_or_multiply(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    if any(network.is_constant(name) for name in node.input):
        return _with_constant(network, node)
    function = operator.mul if node.op_type == "Mul" else operator.add
    result = network.source(node)
    for index in range(1, len(node.input)):
        args = (result, network.source(node, index))
        result = network.add_function(node, function, args, network.out_shape(node))
    return result


def _with_constant(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """``x + c``, ``x - c``, ``c - x``, ``x * c``, ``x / c``: a scale and a shift of each channel."""
    if len(node.input) != 2:
        network.refuse(node, "it adds a constant to several tensors")
    at = 0 if network.is_constant(node.input[0]) else 1
    value = network.required(node, at, "constant").astype(np.float64)
    source = network.source(node, 1 - at)
    one, zero = np.ones(1), np.zeros(1)
    scale, shift = {
        "Add": (one, value),
        "Sum": (one, value),
        "Mul": (value, zero),
        "Sub": (one, -value) if at == 1 else (-one, value),
        "Div": (1.0 / value if at == 1 else np.full(1, np.nan), zero),
    }[node.op_type]
    if np.isnan(scale).any():
        network.refuse(node, "a constant is divided by what the network computes")
    return add_scale_and_shift(network, node, source, scale, shift)


def _constant_only(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    if not any(network.is_constant(name) for name in node.input):
        network.refuse(
            node,
            "it combines two computed tensors; only adding and multiplying them is handled",
        )
    return _with_constant(network, node)


def _concat(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    shape = network.out_shape(node)
    axis = attribute(node, "axis", 1) % (len(shape) + 1)
    if any(network.is_constant(name) for name in node.input):
        network.refuse(node, "it appends a constant to what the network computes")
    if len(node.input) == 1:
        return network.source(node)
    sources = [network.values[name] for name in node.input]
    return network.add_function(node, torch.cat, (sources, axis), shape)


def _reshape(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    old, new = network.in_shape(node), network.out_shape(node)
    if old == new:
        return network.source(node)
    layer = nn.Flatten(1) if len(new) == 1 else Reshape(new)
    return network.add_layer(node, layer, network.source(node), new)


def _transpose(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    rank = len(network.in_shape(node)) + 1
    axes = attribute(node, "perm", list(reversed(range(rank))))
    if axes[0] != 0:
        network.refuse(node, "it moves the batch axis")
    if list(axes) == sorted(axes):
        return network.source(node)
    return network.add_layer(node, Permute(axes), network.source(node), network.out_shape(node))


def _slice(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    starts = network.integers(node, "starts", 1) or []
    ends = network.integers(node, "ends", 2) or []
    axes = network.integers(node, "axes", 3) or list(range(len(starts)))
    steps = network.integers(node, "steps", 4) or [1] * len(starts)
    shape = (1 << 40, *network.in_shape(node))  # the batch has no size of its own
    slices = []
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        position = axis % len(shape)
        if step < 1:
            network.refuse(node, "it walks backwards")
        first, last, _ = slice(start, stop, step).indices(shape[position])
        if (first, last, step) == (0, shape[position], 1) or (
            position == 0 and stop >= 1 << 31
        ):
            continue
        if position == 0:
            network.refuse(node, "it picks samples of the batch")
        slices.append((position, first, last, step))
    if not slices:
        return network.source(node)
    return network.add_layer(
        node, StridedSlice(slices), network.source(node), network.out_shape(node)
    )


CONVERTERS: Mapping[str, Converter] = {
    "Conv": convert_convolution,
    "Gemm": convert_gemm,
    "MatMul": convert_matmul,
    "BatchNormalization": convert_batch_norm,
    "MaxPool": convert_max_pool,
    "AveragePool": convert_average_pool,
    "GlobalAveragePool": convert_global_pool,
    "GlobalMaxPool": convert_global_pool,
    "ReduceMean": convert_reduction,
    "ReduceMax": convert_reduction,
    "Pad": convert_pad,
    "Relu": _activation(lambda _: nn.ReLU()),
    "Sigmoid": _activation(lambda _: nn.Sigmoid()),
    "Tanh": _activation(lambda _: nn.Tanh()),
    "HardSwish": _activation(lambda _: nn.Hardswish()),
    "Softplus": _activation(lambda _: nn.Softplus()),
    "Mish": _activation(lambda _: nn.Mish()),
    "Selu": _activation(lambda _: nn.SELU()),
    "Swish": _activation(lambda _: nn.SiLU()),
    "LeakyRelu": _activation(lambda n: nn.LeakyReLU(attribute(n, "alpha", 0.01))),
    "Elu": _activation(lambda n: nn.ELU(attribute(n, "alpha", 1.0))),
    "Gelu": _activation(lambda n: nn.GELU(approximate=attribute(n, "approximate", "none"))),
    "LRN": _activation(
        lambda n: nn.LocalResponseNorm(
            attribute(n, "size", 1),
            attribute(n, "alpha", 1e-4),
            attribute(n, "beta", 0.75),
            attribute(n, "bias", 1.0),
        )
    ),
    "Clip": _clip,
    "HardSigmoid": _hard_sigmoid,
    "PRelu": _prelu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "Add": _add_or_multiply,
    "Mul": _add_or_multiply,
    "Sum": _add_or_multiply,
    "Sub": _constant_only,
    "Div": _constant_only,
    "Concat": _concat,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Squeeze": _reshape,
    "Unsqueeze": _reshape,
    "Transpose": _transpose,
    "Slice": _slice,
    "Identity": _same,
    "Dropout": _same,
    "Cast": _cast,
}
"""Operator -> what makes it a layer. An operator that is not here is refused by name."""
