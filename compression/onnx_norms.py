"""ONNX operators that normalise, and constants that scale and shift channels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx, nn

from compression.onnx_conversion import Conversion, attribute, parameter

if TYPE_CHECKING:
    import onnx

    from compression.types import Shape

_BATCH_NORM: dict[int, Any] = {1: nn.BatchNorm1d, 2: nn.BatchNorm1d, 3: nn.BatchNorm2d}
_INSTANCE_NORM: dict[int, Any] = {2: nn.InstanceNorm1d, 3: nn.InstanceNorm2d}


def convert_batch_norm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """BatchNormalization with its stored statistics."""
    if attribute(node, "training_mode", 0):
        network.forbid(node, "it is in training mode; export the model in evaluation mode")
    names = ("scale", "bias", "mean", "variance")
    scale, shift, mean, variance = (
        network.required(node, i + 1, name) for i, name in enumerate(names)
    )
    shape = network.out_shape(node)
    if len(shape) not in _BATCH_NORM:
        network.refuse(node, f"it scales tensors of {len(shape) + 1} axes")
    layer = _BATCH_NORM[len(shape)](len(scale), eps=attribute(node, "epsilon", 1e-5))
    layer.weight, layer.bias = parameter(scale), parameter(shift)
    layer.running_mean = parameter(mean).data
    layer.running_var = parameter(variance).data
    return network.add_layer(node, layer, network.source(node), shape)


def convert_layer_norm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """LayerNormalization over the last axes."""
    shape = network.out_shape(node)
    axis = network.axis(node, attribute(node, "axis", -1))
    scale, shift = network.required(node, 1, "scale"), network.constant(node, 2, "bias")
    sizes = shape[axis - 1 :]
    layer = nn.LayerNorm(sizes, eps=attribute(node, "epsilon", 1e-5), bias=shift is not None)
    layer.weight = parameter(np.broadcast_to(scale, sizes))
    if shift is not None:
        layer.bias = parameter(np.broadcast_to(shift, sizes))
    return network.add_layer(node, layer, network.source(node), shape)


def convert_instance_norm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """InstanceNormalization: each channel of each sample by its own statistics."""
    shape = network.out_shape(node)
    if len(shape) not in _INSTANCE_NORM:
        network.refuse(node, f"it normalises tensors of {len(shape) + 1} axes")
    scale, shift = network.required(node, 1, "scale"), network.required(node, 2, "bias")
    epsilon = attribute(node, "epsilon", 1e-5)
    layer = _INSTANCE_NORM[len(shape)](len(scale), eps=epsilon, affine=True)
    layer.weight, layer.bias = parameter(scale), parameter(shift)
    return network.add_layer(node, layer, network.source(node), shape)


def convert_group_norm(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """GroupNormalization; before opset 21 scale and bias belong to groups, not to channels."""
    shape, groups = network.out_shape(node), attribute(node, "num_groups", 1)
    each = shape[0] // groups if network.opset < 21 else 1
    layer = nn.GroupNorm(groups, shape[0], eps=attribute(node, "epsilon", 1e-5))
    layer.weight = parameter(np.repeat(network.required(node, 1, "scale"), each))
    layer.bias = parameter(np.repeat(network.required(node, 2, "bias"), each))
    return network.add_layer(node, layer, network.source(node), shape)


def scaled_and_shifted(
    network: Conversion,
    node: onnx.NodeProto,
    source: fx.Node,
    scale: np.ndarray,
    shift: np.ndarray,
) -> fx.Node | None:
    """``source * scale + shift`` as part of a layer, ``None`` where no layer can carry it.

    A dense layer before it takes both on. Else a batch norm does, where the constants belong to
    channels or where the importer can fold it into the layer before it.

    Args:
        network: the network under conversion.
        node: the operator.
        source: what it reads.
        scale: factors, ``[1, ...]`` with as many axes as the source.
        shift: summands, likewise.
    """
    shape = network.shape_of[source.name]
    layer, alone = network.layer_of(source), network.is_read_once(source)
    if isinstance(layer, nn.Linear) and alone:
        factors, summands = (_along(v, shape, len(shape) - 1) for v in (scale, shift))
        if factors is None or summands is None:
            return None
        return _taken_on(layer, source, factors, summands)
    factors, summands = _along(scale, shape, 0), _along(shift, shape, 0)
    if factors is None or summands is None or len(shape) not in _BATCH_NORM:
        return None
    foldable = alone and isinstance(
        layer, nn.Conv1d | nn.Conv2d | nn.BatchNorm1d | nn.BatchNorm2d
    )
    if max(scale.size, shift.size) == 1 and not foldable and source.op != "placeholder":
        return None
    norm: nn.BatchNorm1d | nn.BatchNorm2d = _BATCH_NORM[len(shape)](shape[0])
    norm.weight, norm.bias = parameter(factors), parameter(summands)
    norm.running_var = torch.full((shape[0],), 1.0 - norm.eps)
    return network.add_layer(node, norm, source, shape)


def _taken_on(
    layer: nn.Linear, source: fx.Node, scale: np.ndarray, shift: np.ndarray
) -> fx.Node:
    weight = layer.weight.detach().double().numpy()
    old: torch.Tensor | None = layer.bias
    before = 0.0 if old is None else old.detach().double().numpy() * scale
    layer.weight = parameter(weight * scale[:, None])
    if old is not None or np.any(shift):
        layer.bias = parameter(before + shift)
    return source


def _along(value: np.ndarray, shape: Shape, axis: int) -> np.ndarray | None:
    """A constant ``[1, ...]`` that varies along one axis at most, as one number for each index of it."""
    wanted = [1] * (len(shape) + 1)
    wanted[axis + 1] = shape[axis]
    if value.size == 1 or list(value.shape) == wanted:
        return np.broadcast_to(value.reshape(-1), (shape[axis],))
    return None
