"""ONNX operators that hold weights, as torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from compression.onnx_conversion import Conversion, attribute, parameter
from compression.onnx_windows import Window, evenly_padded

if TYPE_CHECKING:
    import onnx

    from compression.types import Shape


_CONV: dict[int, Any] = {1: nn.Conv1d, 2: nn.Conv2d}
_NORM: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}


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


def convert_gemm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Gemm with constant weights: a dense layer."""
    if attribute(node, "transA", 0):
        network.refuse(node, "it transposes what the network computes")
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
    if network.is_constant(node.input[0]):
        network.refuse(node, "its constant stands on the left")
    weight = network.required(node, 1, "second factor")
    if weight.ndim != 2:
        network.refuse(node, "its weight is not a matrix")
    return _dense(network, node, weight.T, None)


def _dense(
    network: Conversion, node: onnx.NodeProto, weight: np.ndarray, bias: np.ndarray | None
) -> fx.Node:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None)
    layer.weight = parameter(weight)
    if bias is not None:
        layer.bias = parameter(bias)
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))


def convert_batch_norm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """BatchNormalization with its stored statistics."""
    if attribute(node, "training_mode", 0):
        network.refuse(node, "it is in training mode; export the model in evaluation mode")
    names = ("scale", "bias", "mean", "variance")
    scale, shift, mean, variance = (
        network.required(node, i + 1, name) for i, name in enumerate(names)
    )
    layer = _norm(
        network, node, network.source(node), len(scale), attribute(node, "epsilon", 1e-5)
    )
    layer.weight, layer.bias = parameter(scale), parameter(shift)
    layer.running_mean = parameter(mean).data
    layer.running_var = parameter(variance).data
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))


def add_scale_and_shift(
    network: Conversion,
    node: onnx.NodeProto,
    source: fx.Node,
    scale: np.ndarray,
    shift: np.ndarray,
) -> fx.Node:
    """``source * scale + shift`` with constants for all values or per channel.

    It becomes the bias of the dense layer before it where it can, else a batch norm, which the
    importer folds into a convolution before it.
    """
    shape = network.shape_of[source.name]
    layer = network.layer_of(source)
    computed = next(name for name in node.input if not network.is_constant(name))
    alone = not source.users and network.readers[computed] == 1
    if isinstance(layer, nn.Linear) and scale.size == 1 and scale.item() == 1 and alone:
        old: torch.Tensor | None = layer.bias
        bias = _along(network, node, shift, shape, len(shape) - 1)
        layer.bias = parameter(bias if old is None else bias + old.detach().numpy())
        return source
    norm = _norm(network, node, source, shape[0], 1e-5)
    norm.weight = parameter(_along(network, node, scale, shape, 0))
    norm.bias = parameter(_along(network, node, shift, shape, 0))
    norm.running_var = torch.full((shape[0],), 1.0 - norm.eps)
    return network.add_layer(node, norm, source, shape)


def _norm(
    network: Conversion, node: onnx.NodeProto, source: fx.Node, channels: int, epsilon: float
) -> nn.BatchNorm1d | nn.BatchNorm2d:
    rank = len(network.shape_of[source.name])
    if rank not in _NORM:
        network.refuse(node, f"it scales tensors of {rank + 1} axes; up to four are handled")
    if isinstance(network.layer_of(source), nn.Linear) and rank > 1:
        network.refuse(node, "it scales positions behind a dense layer")
    norm: nn.BatchNorm1d | nn.BatchNorm2d = _NORM[rank](channels, eps=epsilon)
    return norm


def _along(
    network: Conversion, node: onnx.NodeProto, value: np.ndarray, shape: Shape, axis: int
) -> np.ndarray:
    """A constant that varies along one axis only, as one number for each index of it."""
    full = (1,) * (len(shape) + 1 - value.ndim) + value.shape
    wanted = [1] * (len(shape) + 1)
    wanted[axis + 1] = shape[axis]
    if value.size == 1 or list(full) == wanted:
        return np.broadcast_to(value.reshape(-1), (shape[axis],))
    return network.refuse(
        node,
        f"its constant of shape {list(value.shape)} is neither one number nor one per channel",
    )
