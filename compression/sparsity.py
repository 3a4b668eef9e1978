"""Layers some of whose weights are exactly zero, and stay so whatever fits or trains them.

A layer's mask, ``True`` where a weight may differ from zero, is a buffer of its module: copies, files
and ``state_dict`` carry it along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from torch import nn

_MASK = "mask"


def mask_of(layer: nn.Module) -> Tensor | None:
    """Where the layer's weights may differ from zero, shaped like them; ``None``: everywhere."""
    found = getattr(layer, _MASK, None)
    return found if isinstance(found, Tensor) else None


def thin_out(layer: nn.Module, mask: Tensor) -> None:
    """Sets the weights outside the mask to zero, for good; those that were before stay zero."""
    before = mask_of(layer)
    layer.register_buffer(_MASK, mask.clone() if before is None else mask & before)
    zero_again(layer)


def zero_again(module: nn.Module) -> None:
    """Sets every weight that a mask forbids back to zero, in all layers of the module."""
    for layer in module.modules():
        mask, weight = mask_of(layer), getattr(layer, "weight", None)
        if mask is not None and isinstance(weight, Tensor):
            weight.data.mul_(mask)


def set_weight(layer: nn.Module, values: Tensor) -> None:
    """Gives the layer those weights; where it has a mask, this becomes where they are not zero."""
    weight = getattr(layer, "weight", None)
    if not isinstance(weight, Tensor):
        raise TypeError(type(layer).__name__)
    weight.data.copy_(values)
    if mask_of(layer) is not None:
        layer.register_buffer(_MASK, weight.data != 0)


def narrow_mask(layer: nn.Module, kept: Tensor, axis: int) -> None:
    """Cuts the layer's mask, if any, as its weights are cut along that axis."""
    mask = mask_of(layer)
    if mask is not None:
        layer.register_buffer(_MASK, mask.index_select(axis, kept))


def largest(scores: Tensor, count: int) -> Tensor:
    """A mask, shaped like the scores, of the ``count`` largest; the first of equal ones."""
    order = scores.flatten().sort(descending=True, stable=True).indices
    mask = scores.new_zeros(scores.numel()).bool()
    mask[order[:count]] = True
    return mask.reshape(scores.shape)
