"""Singular value decomposition: a layer becomes two thinner ones."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from compression.factorization import columns_and_rows, thin_and_wide
from compression.op_costs import ConvGeometry, dense_op
from compression.surgery import INHERITED, Inherited, Surgeon, convolution, dense, layer_of
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


A_TWELFTH = "n/12"
"""The level of AdaDeep's defaults, in outputs and not in ranks."""


class Svd(Technique):
    """Dense: two dense layers. 2-D kernel: a column of it, then a row. 1-D and 1x1: fewer channels.

    ``W = U V`` of rank ``k``: ``k (m + n)`` weights of ``m n``. Of a ``D x D`` kernel with ``K`` channels
    between the two, ``W[o, i, y, x] = sum_k U[o, k, x] V[k, i, y]``: ``D K (M + N)`` of ``D^2 M N``.
    The rank is rounded as widths are. Without data the factors are those of plain SVD;
    ``reconstruction`` computes them again, weighted by what the layer reads. AdaDeep's defaults are
    ``k = n/12`` of a dense layer's and ``K = N/12`` of a convolution's outputs, whatever the kernel.
    """

    title = "Low-rank (SVD)"
    letter = "S"
    token = "tech-svd"  # noqa: S105
    paper = (
        "Dense: N. Lane et al., DeepX, IPSN 2016. Convolution: S. Bhattacharya, N. Lane, SparseSep, "
        "SenSys 2016. We weight the factors by the covariance of the layer's inputs."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="rank_ratio",
            unit="share of the full rank",
            levels=(1 / 2, 1 / 4, 1 / 8, 1 / 12, A_TWELFTH),
            help=(
                "How much of the full rank the two thin layers keep between them; “n/12” is the "
                "paper's default, a twelfth of the outputs."
            ),
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions and dense layers, and only where two layers are fewer weights."""
        del network
        if layer.kind is LayerKind.OTHER:
            return "only convolutions and dense layers hold a matrix to decompose."
        if layer.groups > 1:
            return (
                "its convolution is grouped, so there is little left to share between channels."
            )
        if not self.saves(layer, params):
            rank = _rank(layer, params)
            return f"two layers of rank {rank} would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The two thin layers."""
        rank = _rank(layer, params)
        if layer.kind is LayerKind.DENSE:
            rows = layer.in_shape[:-1]
            first = dense_op(
                in_features=layer.in_shape[-1], out_features=rank, bias=False, rows=rows
            )
            second = dense_op(
                in_features=rank, out_features=layer.out_channels, bias=layer.bias, rows=rows
            )
            return (first, second)
        return tuple(stage.op() for stage in _stages(layer, rank))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Splits the layer's weights in two by SVD."""
        row = self.check(network, layer, params)
        surgeon = Surgeon(network, layer)
        old = layer_of(surgeon.module, surgeon.old)
        if not isinstance(old, nn.Linear | nn.Conv1d | nn.Conv2d):
            raise TypeError(type(old).__name__)
        method = columns_and_rows if _is_spatial(row) else thin_and_wide
        split = partial(method, _rank(row, params))
        first, second = split(old.weight.detach(), None)
        if isinstance(old, nn.Linear):
            thin = surgeon.insert(f"{layer}_thin", dense(first, None))
            wide = surgeon.insert(f"{layer}_wide", dense(second, old.bias), thin)
        else:
            stages = _stages(row, len(first))
            thin = surgeon.insert(f"{layer}_thin", convolution(stages[0], first, None))
            wide = surgeon.insert(
                f"{layer}_wide", convolution(stages[1], second, old.bias), thin
            )
        thin.meta[INHERITED] = Inherited(old, split, (wide.name,))
        surgeon.fits(wide, 0, row.out_channels)
        return surgeon.replace_by(wide)


def _rank(layer: LayerProfile, params: Params) -> int:
    if params["rank_ratio"] == A_TWELFTH:
        return kept_width(layer.out_channels, 11 / 12)
    share = float(params["rank_ratio"])
    if layer.kind is LayerKind.DENSE:
        full = min(layer.in_shape[-1], layer.out_channels)
    elif _is_spatial(layer):
        full = min(layer.in_channels * layer.kernel[0], layer.out_channels * layer.kernel[1])
    else:
        full = min(layer.in_channels * layer.kernel[0], layer.out_channels)
    return kept_width(full, 1.0 - share)


def _is_spatial(layer: LayerProfile) -> bool:
    return len(layer.kernel) == 2 and max(layer.kernel) > 1


def _stages(layer: LayerProfile, rank: int) -> tuple[ConvGeometry, ConvGeometry]:
    whole = ConvGeometry.of(layer)
    if not _is_spatial(layer):
        ones = (1,) * len(layer.kernel)
        first = replace(whole, out_channels=rank, bias=False)
        return first, ConvGeometry(
            in_channels=rank,
            out_channels=whole.out_channels,
            in_size=first.out_size,
            kernel=ones,
            stride=ones,
            padding=(0,) * len(ones),
            dilation=ones,
            groups=1,
            bias=whole.bias,
        )
    columns = replace(
        whole,
        out_channels=rank,
        kernel=(whole.kernel[0], 1),
        stride=(whole.stride[0], 1),
        padding=(whole.padding[0], 0),
        dilation=(whole.dilation[0], 1),
        bias=False,
    )
    rows = replace(
        whole,
        in_channels=rank,
        in_size=columns.out_size,
        kernel=(1, whole.kernel[1]),
        stride=(1, whole.stride[1]),
        padding=(0, whole.padding[1]),
        dilation=(1, whole.dilation[1]),
    )
    return columns, rows
