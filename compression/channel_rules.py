"""Which layers keep channels apart, and what the others do to them, in plain words."""

from __future__ import annotations

import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from compression.constant_modules import ConstantOperand, Einsum, Masked, Repeated
from compression.shape_modules import (
    Expanded,
    Permute,
    Picked,
    Reduced,
    Reshape,
    Resized,
    StridedSlice,
)
from compression.untouched import Untouched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from compression.channel_pool import Layout
    from compression.types import Shape

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
TRANSPOSED_CONVOLUTIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d)
PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)

ELEMENTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.Hardsigmoid),
    *(nn.Hardswish, nn.SiLU, nn.GELU, nn.ELU, nn.CELU, nn.SELU, nn.Softplus, nn.Softsign),
    *(nn.Mish, nn.Threshold, nn.Dropout, nn.Identity),
)
"""Layers that treat every value alike, wherever the channels lie."""

PER_CHANNEL = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.InstanceNorm1d, nn.InstanceNorm2d, nn.PReLU),
    nn.LocalResponseNorm,
)
"""Layers that treat each entry of axis 1 by itself (the last one nearly)."""

PER_POSITION = (
    *(nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    *(nn.ReflectionPad1d, nn.ReflectionPad2d, nn.ReplicationPad1d, nn.ReplicationPad2d),
    Resized,
)
"""Layers that join entries behind axis 1."""

UNARY_FUNCTIONS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(torch.abs, operator.neg, torch.sqrt, torch.exp, torch.log, torch.erf, torch.sin),
        *(torch.cos, torch.reciprocal, torch.floor, torch.ceil, torch.sign),
    }
)
JOINING_FUNCTIONS: frozenset[Callable[..., Any]] = frozenset(
    {
        *(operator.add, operator.mul, operator.sub, operator.truediv),
        *(torch.pow, torch.maximum, torch.minimum),
    }
)

_MULTIPLIES = "multiplies computed tensors with each other, as attention does"
_EFFECTS: Mapping[object, str] = {
    torch.matmul: _MULTIPLIES,
    Einsum: _MULTIPLIES,
    ConstantOperand: "combines the channels with a constant of another shape",
    StridedSlice: "cuts the channels apart",
    Picked: "picks some of the channels",
    Reduced: "reduces the channels to one value",
    Reshape: "regroups the channels, as a channel shuffle or attention heads do",
    nn.Flatten: "regroups the channels",
    Expanded: "repeats the channels",
    Repeated: "is a constant",
    nn.LayerNorm: "normalises over all channels together",
    nn.GroupNorm: "normalises over groups of channels",
    nn.ConvTranspose1d: "is a transposed convolution, which stays as it is",
    nn.ConvTranspose2d: "is a transposed convolution, which stays as it is",
}


def effect(name: str, kind: object) -> str:
    """Why the channels that a node touches keep their number.

    Args:
        name: the node.
        kind: its module, or the function that it calls.
    """
    if isinstance(kind, Untouched):
        return f"{name} is an operator that no technique knows ({kind.node.op_type})"
    found = _EFFECTS.get(type(kind), "") if isinstance(kind, nn.Module) else _EFFECTS.get(kind)
    return f"{name} {found or 'moves or mixes channels'}"


def layout_behind(layer: nn.Module, source: Layout, old: Shape, new: Shape) -> Layout | None:
    """Where a layer that keeps channels apart leaves them; ``None`` when it does not, or nobody knows.

    Args:
        layer: what is called.
        source: layout of what it reads.
        old: shape of what it reads, without the batch.
        new: shape of what it gives.
    """
    axis = source.axis
    if isinstance(layer, Permute):
        return replace(source, axis=layer.axes.index(axis))
    if isinstance(layer, Picked) and layer.axis != axis:
        gone = int(not layer.keep_axis and layer.axis < axis)
        return replace(source, axis=axis - gone)
    if isinstance(layer, Reduced) and axis not in layer.axes:
        gone = 0 if layer.keep_axes else sum(a < axis for a in layer.axes)
        return replace(source, axis=axis - gone)
    if isinstance(layer, Expanded | ConstantOperand | Masked):
        same = len(old) == len(new) and old[axis - 1] == new[axis - 1]
        return source if same and _meets(layer, source) else None
    return source if _keeps(layer, source, len(new)) else None


def _keeps(layer: nn.Module, source: Layout, rank: int) -> bool:
    """Whether a layer that changes no order leaves every channel to itself."""
    if isinstance(layer, ELEMENTWISE):
        return True
    if isinstance(layer, nn.PReLU) and layer.weight.numel() == 1:
        return True
    if isinstance(layer, PER_CHANNEL):
        return source.axis == source.multiplier == 1
    if isinstance(layer, PER_POSITION):
        return source.axis == 1
    if isinstance(layer, PADS):
        return len(layer.padding) <= 2 * (rank - source.axis)
    return isinstance(layer, StridedSlice) and all(s[0] != source.axis for s in layer.slices)


def _meets(layer: nn.Module, source: Layout) -> bool:
    """Whether a constant can be narrowed together with the channels that it meets."""
    if isinstance(layer, ConstantOperand):
        entries = constant_entries(layer, source.axis)
        return layer.kind != "matmul" and (entries == 1 or source.multiplier == 1)
    if isinstance(layer, Masked):
        parts = (layer.keep, layer.value)
        return all(p.ndim <= source.axis or p.shape[source.axis] == 1 for p in parts)
    return True


def constant_entries(layer: ConstantOperand, axis: int) -> int:
    """How many numbers the constant has along an axis of the tensor that it meets (batch is 0)."""
    return int(layer.value.shape[axis]) if layer.value.ndim > axis else 1
