"""The few modules that torch lacks and imported networks need: they move values, they hold none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence


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


class Picked(nn.Module):
    """Takes entries of one axis by number; a single one without ``keep_axis`` drops the axis."""

    indices: torch.Tensor

    def __init__(self, axis: int, indices: Sequence[int], *, keep_axis: bool = True) -> None:
        super().__init__()
        self.axis = axis
        self.keep_axis = keep_axis
        self.register_buffer("indices", torch.tensor(indices, dtype=torch.int64))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x.index_select`` on the axis (which counts the batch)."""
        if self.keep_axis:
            return x.index_select(self.axis, self.indices)
        return x.select(self.axis, int(self.indices[0]))


class Expanded(nn.Module):
    """Repeats axes of size 1 until every sample has the shape ``shape``."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[batch, ...]`` to ``[batch, *shape]``."""
        return x.expand(x.shape[0], *self.shape)


class Reduced(nn.Module):
    """Mean, sum, largest, smallest or length of the values along some axes (the batch is 0)."""

    def __init__(self, kind: str, axes: Sequence[int], *, keep_axes: bool) -> None:
        super().__init__()
        self.kind = kind
        self.axes = tuple(axes)
        self.keep_axes = keep_axes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``kind`` is one of ``REDUCTIONS``."""
        reduced: torch.Tensor = REDUCTIONS[self.kind](x, dim=self.axes, keepdim=self.keep_axes)
        return reduced


REDUCTIONS: Mapping[str, Callable[..., torch.Tensor]] = {
    "mean": torch.mean,
    "sum": torch.sum,
    "max": torch.amax,
    "min": torch.amin,
    "l2": torch.linalg.vector_norm,
}
"""What ``Reduced`` can do: the ONNX operator is ``Reduce`` and the key."""


class Resized(nn.Module):
    """Brings the positions to ``size``, as torch interpolates; ``asymmetric`` is linear without centring.

    ``settings`` are the attributes of the ONNX operator that mean the same, and ``scales`` its
    factors for each position axis: an exporter has to write them again.
    """

    def __init__(
        self,
        size: Sequence[int],
        mode: str,
        *,
        align_corners: bool | None = None,
        scales: Sequence[float],
        settings: Mapping[str, str | float],
    ) -> None:
        super().__init__()
        self.size = tuple(size)
        self.mode = mode
        self.align_corners = align_corners
        self.scales = tuple(scales)
        self.settings = dict(settings)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[batch, channels, *positions]`` to ``[batch, channels, *size]``."""
        if self.mode == "asymmetric":
            for axis, (size, scale) in enumerate(zip(self.size, self.scales, strict=True), 2):
                x = _stretched(x, axis, size, scale)
            return x
        return nn.functional.interpolate(
            x, size=self.size, mode=self.mode, align_corners=self.align_corners
        )


def _stretched(x: torch.Tensor, axis: int, size: int, scale: float) -> torch.Tensor:
    """Linear interpolation of one axis where entry 0 stays entry 0."""
    places = torch.arange(size, device=x.device) / scale
    last = x.shape[axis] - 1
    first = places.floor().long().clamp(max=last)
    share = (places - first).reshape(-1, *[1] * (x.ndim - 1 - axis))
    share = share.clamp(max=1.0)
    near = x.index_select(axis, first)
    far = x.index_select(axis, (first + 1).clamp(max=last))
    return near + (far - near) * share
