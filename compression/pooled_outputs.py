"""What a convolution has to put out so that the pool behind it can go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

_HALVINGS = 20

_BatchNorm = nn.BatchNorm1d | nn.BatchNorm2d


def pooled_outputs(y: Tensor, between: Sequence[nn.Module], pool: nn.Module) -> Tensor:
    """The values ``z`` for which the layers between give what the pool gives now: ``f(z) = pool(f(y))``.

    A maximum commutes with layers ``f`` that keep larger values larger, so there ``z`` is the pooled
    output itself. For a mean behind a curved ``f``, ``z`` is found by bisection inside each window.

    Args:
        y: what the convolution puts out, ``[samples, channels, *positions]``.
        between: layers that rise in each channel (a batch norm may fall), in order.
        pool: a max or average pool.

    Returns:
        ``[samples, channels, *pooled positions]``.
    """
    rises = _direction(between, y)
    if isinstance(pool, nn.MaxPool1d | nn.MaxPool2d):
        largest: Tensor = pool(rises * y)
        return rises * largest
    middle: Tensor = pool(y)
    if all(isinstance(layer, _BatchNorm | nn.Dropout | nn.Identity) for layer in between):
        return middle
    return _solved(middle, y, between, pool, rises)


def _solved(
    middle: Tensor, y: Tensor, between: Sequence[nn.Module], pool: nn.Module, rises: Tensor
) -> Tensor:
    """``z`` within the range of each window; the window's mean where that is as good."""
    wanted = pool(_through(between, y))
    largest = _largest(pool)
    low, high = -largest(-rises * y), largest(rises * y)
    for _ in range(_HALVINGS):
        half = 0.5 * (low + high)
        short = _through(between, rises * half) < wanted
        low, high = torch.where(short, half, low), torch.where(short, high, half)
    return torch.where(_through(between, middle) == wanted, middle, rises * high)


def _largest(pool: nn.Module) -> nn.Module:
    """The max pool with the windows of an average pool."""
    kind = nn.MaxPool1d if isinstance(pool, nn.AvgPool1d) else nn.MaxPool2d
    if not isinstance(pool, nn.AvgPool1d | nn.AvgPool2d):
        raise TypeError(type(pool).__name__)
    return kind(pool.kernel_size, pool.stride, pool.padding, ceil_mode=pool.ceil_mode)


def _through(layers: Sequence[nn.Module], values: Tensor) -> Tensor:
    for layer in layers:
        values = layer(values)
    return values


def _direction(between: Sequence[nn.Module], y: Tensor) -> Tensor:
    """For each channel 1 where larger outputs come out larger, -1 where a batch norm turns them."""
    signs = torch.ones(y.shape[1])
    for layer in between:
        if isinstance(layer, _BatchNorm) and layer.weight is not None:
            signs = torch.where(layer.weight < 0, -signs, signs)
    return signs.reshape(-1, *(1,) * (y.ndim - 2))
