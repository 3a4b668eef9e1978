"""The few modules that torch lacks and imported networks need: they move values, they hold none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Sequence


class Reshape(nn.Module):
    """Gives every sample the shape ``shape`` (without the batch)."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[batch, ...]`` to ``[batch, *shape]``."""
        return x.reshape(x.shape[0], *self.shape)


class Permute(nn.Module):
    """Reorders axes; ``axes`` counts the batch, which stays first."""

    def __init__(self, axes: Sequence[int]) -> None:
        super().__init__()
        self.axes = tuple(axes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The same values, contiguous, with axes in the new order."""
        return x.permute(self.axes).contiguous()


class StridedSlice(nn.Module):
    """Takes ``x[..., start:stop:step, ...]`` on some axes (positive steps, non-negative bounds)."""

    def __init__(self, slices: Sequence[tuple[int, int, int, int]]) -> None:
        super().__init__()
        self.slices = tuple(slices)
        """``(axis, start, stop, step)``; axes count the batch."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The slice of every sample."""
        index = [slice(None)] * x.ndim
        for axis, start, stop, step in self.slices:
            index[axis] = slice(start, stop, step)
        return x[tuple(index)]
