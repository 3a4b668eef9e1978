"""Geometry of convolutions and dense layers, and the operations they amount to (no torch)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from compression.types import LayerProfile, OpSpec, Shape

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvGeometry:
    """All that fixes a 1-D or 2-D convolution but its weights; ``in_size`` is spatial only."""

    in_channels: int
    out_channels: int
    in_size: Shape
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape
    groups: int
    bias: bool

    @classmethod
    def of(cls, layer: LayerProfile) -> ConvGeometry:
        """The geometry of a convolution of the layer table."""
        return cls(
            in_channels=layer.in_channels,
            out_channels=layer.out_channels,
            in_size=layer.in_shape[1:],
            kernel=layer.kernel,
            stride=layer.stride,
            padding=layer.padding,
            dilation=_dilation(layer),
            groups=layer.groups,
            bias=layer.bias,
        )

    def pointwise(
        self, *, in_channels: int, out_channels: int, in_size: Shape, bias: bool = False
    ) -> ConvGeometry:
        """A 1x1 convolution of as many dimensions as this one."""
        ones = (1,) * len(self.kernel)
        return ConvGeometry(
            in_channels=in_channels,
            out_channels=out_channels,
            in_size=in_size,
            kernel=ones,
            stride=ones,
            padding=(0,) * len(ones),
            dilation=ones,
            groups=1,
            bias=bias,
        )

    @property
    def out_size(self) -> Shape:
        """The spatial part of the output's shape."""
        axes = zip(
            self.in_size, self.kernel, self.stride, self.padding, self.dilation, strict=True
        )
        return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, k, s, p, d in axes)

    def op(self) -> OpSpec:
        """The operation at batch 1, counted."""
        weights = self.out_channels * (self.in_channels // self.groups) * math.prod(self.kernel)
        return OpSpec(
            op="conv",
            in_shape=(self.in_channels, *self.in_size),
            out_shape=(self.out_channels, *self.out_size),
            kernel=self.kernel,
            stride=self.stride,
            padding=self.padding,
            groups=self.groups,
            macs=weights * math.prod(self.out_size),
            params=weights + (self.out_channels if self.bias else 0),
        )


def dense_op(*, in_features: int, out_features: int, bias: bool, rows: Shape = ()) -> OpSpec:
    """A dense layer on one vector, or on each vector of an array of shape ``rows``."""
    weights = in_features * out_features
    return OpSpec(
        op="dense",
        in_shape=(*rows, in_features),
        out_shape=(*rows, out_features),
        macs=weights * math.prod(rows),
        params=weights + (out_features if bias else 0),
    )


def totals(ops: Sequence[OpSpec]) -> tuple[int, int]:
    """MACs and parameters of all the operations together."""
    return sum(op.macs for op in ops), sum(op.params for op in ops)


def stored_weights(ops: Sequence[OpSpec]) -> float:
    """Parameters of all the operations that are not zero, as their densities tell."""
    return sum(op.params * op.density for op in ops)


def _dilation(layer: LayerProfile) -> Shape:
    """Worked out from the shapes, the smallest that fits; 1 along axes where the kernel is 1."""
    axes = zip(
        layer.in_shape[1:],
        layer.out_shape[1:],
        layer.kernel,
        layer.stride,
        layer.padding,
        strict=True,
    )
    found = []
    for size_in, size_out, k, s, p in axes:
        slack = size_in + 2 * p - 1 - size_out * s
        found.append(max(1, slack // (k - 1) + 1) if k > 1 else 1)
    return tuple(found)
