"""What each ONNX operator becomes: the whitelist of the importer.

Layers with weights are in ``onnx_layers``, pools in ``onnx_windows``; here are activations, arithmetic and shapes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import onnx
import torch
from torch import fx, nn

from compression.constant_modules import ConstantOperand
from compression.onnx_arithmetic import (
    UNARY,
    WORDS,
    convert_arithmetic,
    convert_unary,
    convert_where,
)
from compression.onnx_attention import convert_attention
from compression.onnx_conversion import Conversion, attribute, parameter
from compression.onnx_layers import (
    convert_convolution,
    convert_gemm,
    convert_matmul,
    convert_transposed_convolution,
)
from compression.onnx_movement import (
    convert_concat,
    convert_depth_to_space,
    convert_einsum,
    convert_expand,
    convert_gather,
    convert_reshape,
    convert_slice,
    convert_softmax,
    convert_split,
    convert_transpose,
)
from compression.onnx_norms import (
    convert_batch_norm,
    convert_group_norm,
    convert_instance_norm,
    convert_layer_norm,
)
from compression.onnx_reductions import convert_reduction
from compression.onnx_resizing import convert_resize
from compression.onnx_windows import (
    convert_average_pool,
    convert_global_pool,
    convert_max_pool,
    convert_pad,
)

Converter = Callable[[Conversion, onnx.NodeProto], fx.Node | list[fx.Node]]


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
    kinds = onnx.TensorProto
    wanted = attribute(node, "to", 0)
    if wanted in (kinds.FLOAT16, kinds.BFLOAT16):
        network.forbid(
            node, "it computes in 16 bits; export the model in 32-bit floating point"
        )
    real = network.probe.is_real(node.input[0])
    if not real or wanted not in (kinds.FLOAT, kinds.DOUBLE):
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
    for kind, value in (("multiply", alpha), ("add", beta)):
        operand = ConstantOperand(kind, torch.full((1,) * (len(shape) + 1), value))
        source = network.add_layer(node, operand, source, shape, f"_{kind}")
    return network.add_layer(node, nn.Hardtanh(0.0, 1.0), source, shape)


def _prelu(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    slope = network.required(node, 1, "slope").reshape(-1)
    shape = network.out_shape(node)
    if slope.size not in (1, shape[0]):
        network.refuse(node, "its slopes belong neither to all values nor to channels")
    layer = nn.PReLU(slope.size)
    layer.weight = parameter(slope)
    return network.add_layer(node, layer, network.source(node), shape)


_ACTIVATIONS: Mapping[str, Callable[[onnx.NodeProto], nn.Module]] = {
    "Relu": lambda _: nn.ReLU(),
    "Sigmoid": lambda _: nn.Sigmoid(),
    "Tanh": lambda _: nn.Tanh(),
    "HardSwish": lambda _: nn.Hardswish(),
    "Softplus": lambda _: nn.Softplus(),
    "Softsign": lambda _: nn.Softsign(),
    "Mish": lambda _: nn.Mish(),
    "Selu": lambda _: nn.SELU(),
    "Swish": lambda _: nn.SiLU(),
    "LeakyRelu": lambda n: nn.LeakyReLU(attribute(n, "alpha", 0.01)),
    "Elu": lambda n: nn.ELU(attribute(n, "alpha", 1.0)),
    "Celu": lambda n: nn.CELU(attribute(n, "alpha", 1.0)),
    "ThresholdedRelu": lambda n: nn.Threshold(attribute(n, "alpha", 1.0), 0.0),
    "Gelu": lambda n: nn.GELU(approximate=attribute(n, "approximate", "none")),
}


def _response_norm(node: onnx.NodeProto) -> nn.Module:
    return nn.LocalResponseNorm(
        attribute(node, "size", 1),
        attribute(node, "alpha", 1e-4),
        attribute(node, "beta", 0.75),
        attribute(node, "bias", 1.0),
    )


ANYWHERE: Mapping[str, Converter] = {
    **{op: _activation(make) for op, make in _ACTIVATIONS.items()},
    **dict.fromkeys(UNARY, convert_unary),
    **dict.fromkeys(WORDS, convert_arithmetic),
    **dict.fromkeys(("Flatten", "Reshape", "Squeeze", "Unsqueeze"), convert_reshape),
    **dict.fromkeys(
        ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceSum", "ReduceL2"), convert_reduction
    ),
    **dict.fromkeys(("Softmax", "LogSoftmax"), convert_softmax),
    **dict.fromkeys(("Identity", "Dropout"), _same),
    "Gemm": convert_gemm,
    "MatMul": convert_matmul,
    "LayerNormalization": convert_layer_norm,
    "Clip": _clip,
    "Where": convert_where,
    "Cast": _cast,
    "Concat": convert_concat,
    "Transpose": convert_transpose,
    "Slice": convert_slice,
    "Split": convert_split,
    "Gather": convert_gather,
    "Expand": convert_expand,
}
"""Operators that work wherever the model keeps the batch."""

CONVERTERS: Mapping[str, Converter] = {
    **ANYWHERE,
    "Conv": convert_convolution,
    "ConvTranspose": convert_transposed_convolution,
    "BatchNormalization": convert_batch_norm,
    "InstanceNormalization": convert_instance_norm,
    "GroupNormalization": convert_group_norm,
    "MaxPool": convert_max_pool,
    "AveragePool": convert_average_pool,
    "GlobalAveragePool": convert_global_pool,
    "GlobalMaxPool": convert_global_pool,
    "Pad": convert_pad,
    "LRN": _activation(_response_norm),
    "HardSigmoid": _hard_sigmoid,
    "PRelu": _prelu,
    "Resize": convert_resize,
    "Upsample": convert_resize,
    "DepthToSpace": convert_depth_to_space,
    "SpaceToDepth": convert_depth_to_space,
    "Einsum": convert_einsum,
    "Attention": convert_attention,
}
"""Operator -> what makes it a layer. An operator that is not here passes through, if it can."""
