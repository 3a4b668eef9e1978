"""ONNX operators that hold weights, as torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from torch import fx, nn

from compression.onnx_arithmetic import convert_product
from compression.onnx_conversion import Conversion, attribute, parameter
from compression.onnx_windows import Window, evenly_padded

if TYPE_CHECKING:
    import onnx

    from compression.types import Shape


_CONV: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d}
_CONV_TRANSPOSE: dict[int, Any] = {1: nn.ConvTranspose1d, 2: nn.ConvTranspose2d}


def convert_convolution(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Conv over one or two spatial axes, with uneven padding as a pad of its own."""
    weight = network.required(node, 1, "weight")
    bias = network.constant(node, 2, "bias")
    spatial = weight.ndim - 2
    if spatial not in _CONV:
        network.refuse(node, f"it convolves over {spatial} axes; one and two are handled")
    groups = attribute(node, "group", 1)
    window = Window(network, node, weight.shape[2:])
    source, padding = evenly_padded(network, node, window, 0.0)
    layer = _CONV[spatial](
        in_channels=weight.shape[1] * groups,
        out_channels=weight.shape[0],
        kernel_size=window.kernel,
        stride=window.strides,
        padding=padding,
        dilation=window.dilations,
        groups=groups,
        bias=bias is not None,
    )
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return network.add_layer(node, layer, source, network.out_shape(node))


def convert_transposed_convolution(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """ConvTranspose over one or two spatial axes; padding that differs between sides is cut off."""
    weight, bias = network.required(node, 1, "weight"), network.constant(node, 2, "bias")
    shape = network.out_shape(node)
    window = Window(network, node, weight.shape[2:])
    if attribute(node, "auto_pad", "NOTSET").startswith("SAME"):
        network.refuse(node, "its padding is worked out from the size of the output")
    extra = attribute(node, "output_padding", [0] * window.spatial)
    layer = _CONV_TRANSPOSE[window.spatial](
        in_channels=weight.shape[0],
        out_channels=shape[0],
        kernel_size=window.kernel,
        stride=window.strides,
        padding=window.before,
        output_padding=_output_padding(network, node, window, tuple(extra)),
        groups=attribute(node, "group", 1),
        dilation=window.dilations,
        bias=bias is not None,
    )
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return network.add_layer(node, layer, network.source(node), shape)


def _output_padding(
    network: Conversion, node: onnx.NodeProto, window: Window, extra: Shape
) -> Shape:
    """What torch has to add at the end; padding that is smaller there comes to the same."""
    pairs = zip(extra, window.before, window.after, strict=True)
    found = tuple(e + b - a for e, b, a in pairs)
    reach = [max(s, d) for s, d in zip(window.strides, window.dilations, strict=True)]
    if any(not 0 <= f < r for f, r in zip(found, reach, strict=True)):
        network.refuse(node, "its padding differs between the two sides")
    return found


def convert_gemm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Gemm with constant weights: a dense layer."""
    if attribute(node, "transA", 0):
        network.refuse(node, "it transposes what the network computes")
    network.axis(node, 1)  # refuses to mix the samples
    weight = network.required(node, 1, "weight") * np.float32(attribute(node, "alpha", 1.0))
    if not attribute(node, "transB", 0):
        weight = weight.T
    bias = network.constant(node, 2, "bias")
    if bias is not None:
        if bias.size not in (1, weight.shape[0]):
            network.refuse(node, "its bias is not one number per output")
        bias = np.broadcast_to(bias.reshape(-1), weight.shape[:1])
        bias = bias * np.float32(attribute(node, "beta", 1.0))
    return _dense(network, node, weight, bias)


def convert_matmul(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """MatMul by a constant matrix: a dense layer; an Add behind it becomes its bias."""
    weight = network.probe.constants.get(node.input[1])
    if weight is None or weight.ndim != 2:
        return convert_product(network, node)
    network.axis(node, -1)  # refuses to mix the samples
    return _dense(network, node, weight.T, None)


def _dense(
    network: Conversion, node: onnx.NodeProto, weight: np.ndarray, bias: np.ndarray | None
) -> fx.Node:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))
