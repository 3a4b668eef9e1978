"""Batch norm is a scale and a shift of each channel: the layer before it can carry both."""

from __future__ import annotations

import torch
from torch import Tensor, fx, nn

Norm = nn.BatchNorm1d | nn.BatchNorm2d
STATISTICS = "norm_statistics"
"""Key of ``node.meta``: mean and standard deviation of each output channel on the training data, as the batch
norm that was folded in has set them (its shift and the size of its scale)."""

Carrier = nn.Conv1d | nn.Conv2d | nn.Linear | Norm


def fold_batch_norms(module: fx.GraphModule) -> None:
    """Fold each batch norm into the convolution, dense layer or batch norm before it, in place.

    Only where nothing else reads that layer's output; other batch norms stay. The module computes
    the same afterwards, in evaluation mode.
    """
    layers = dict(module.named_modules())
    for node in list(module.graph.nodes):
        norm = layers.get(str(node.target)) if node.op == "call_module" else None
        if not isinstance(norm, Norm):
            continue
        before = node.all_input_nodes[0]
        layer = layers.get(str(before.target)) if before.op == "call_module" else None
        if isinstance(layer, Carrier) and len(before.users) == 1:
            carry(layer, norm)
            before.meta[STATISTICS] = norm_statistics(norm)
            node.replace_all_uses_with(before)
            module.graph.erase_node(node)
    module.delete_all_unused_submodules()
    module.recompile()


def norm_statistics(norm: Norm) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of each channel that a batch norm puts out on its training data."""
    ones = torch.ones(norm.num_features)
    if not norm.affine:
        return 0 * ones, ones
    return norm.bias.detach().clone(), norm.weight.detach().abs()


def carry(layer: Carrier, norm: Norm) -> None:
    """Scales and shifts the weights of the layer as the norm would its outputs, in place."""
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    with torch.no_grad():
        scale = (norm.running_var.double() + norm.eps).rsqrt()
        if norm.weight is not None:
            scale *= norm.weight.double()
        shift = -norm.running_mean.double() * scale
        if norm.bias is not None:
            shift += norm.bias.double()
        if layer.bias is not None:
            shift += layer.bias.double() * scale
        shape = (-1, *[1] * (layer.weight.ndim - 1))
        layer.weight.copy_((layer.weight.double() * scale.reshape(shape)).float())
        layer.bias = nn.Parameter(shift.float())
