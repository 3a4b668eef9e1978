"""ONNX Attention (opset 23), as the products and the softmax that it stands for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import fx, nn

from compression.constant_modules import ConstantOperand, Masked
from compression.onnx_arithmetic import tensor
from compression.onnx_conversion import Conversion, attribute
from compression.onnx_places import FIRST
from compression.shape_modules import Permute

if TYPE_CHECKING:
    import onnx


def convert_attention(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Queries, keys and values of shape ``[batch, heads, tokens, width]`` with a constant mask or none."""
    computed = {network.place(name) for name in network.computed(node)}
    shapes = [network.in_shape(node, i) for i in range(3)]
    heads = {shape[0] for shape in shapes}
    if computed != {FIRST} or {len(s) for s in shapes} != {3} or len(heads) > 1:
        network.refuse(node, "its heads are not an axis of their own")
    rest = ("is_causal", "softcap", "qk_matmul_output_mode")
    if any(attribute(node, name, 0) for name in rest) or any(node.input[4:]):
        network.refuse(node, f"it uses one of {', '.join(rest)} or a cache")
    query, key, value = (network.source(node, i) for i in range(3))
    tokens, width = shapes[0][1:]
    scores_shape = (shapes[0][0], tokens, shapes[1][1])
    turned = (shapes[1][0], width, shapes[1][1])
    key = network.add_layer(node, Permute((0, 1, 3, 2)), key, turned, "_keys")
    scores = network.add_function(node, torch.matmul, (query, key), scores_shape)
    scale = torch.full((1, 1, 1, 1), attribute(node, "scale", 1 / math.sqrt(width)))
    layers: list[nn.Module] = [ConstantOperand("multiply", scale)]
    mask = network.constant(node, 3, "mask")
    if mask is not None:
        layers.append(_masking(mask))
    for layer in (*layers, nn.Softmax(3)):
        scores = network.add_layer(node, layer, scores, scores_shape)
    return network.add_function(node, torch.matmul, (scores, value), network.out_shape(node))


def _masking(mask: np.ndarray) -> nn.Module:
    full = mask.reshape((1,) * (4 - mask.ndim) + mask.shape)
    if mask.dtype == bool:
        return Masked(torch.from_numpy(np.array(full)), torch.tensor(-math.inf))
    return ConstantOperand("add", tensor(full))
