"""CP: a convolution as a sum of terms, each of one input mixture, one filter, one output mixture."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compression.factorization import reading_filters_and_mixing
from compression.op_costs import ConvGeometry
from compression.surgery import Surgeon
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class CP(Technique):
    """1x1 to one channel a term, one filter on each of these, 1x1 to the outputs.

    With ``R`` terms the filters are ``W[o, i, t] = sum_r B[o, r] K[r, t] A[r, i]`` (Lebedev et al.,
    eq. 3). A depthwise separable convolution is the case in which each term reads one channel.
    """

    title = "CP decomposition"
    letter = "C"
    token = "tech-cp"  # noqa: S105
    paper = (
        "V. Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned "
        "CP-Decomposition, ICLR 2015. The kernel stays whole, as in M. Astrid, S. Lee, BigComp "
        "2017: one layer less, and small kernels hold little to separate."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="rank_ratio",
            unit="share of the output channels",
            levels=(1.0, 1 / 2),
            help="How many terms stand for the layer, as a share of its output channels.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions wider than one value, of several channels, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions have a kernel to part from both sets of channels."
        if layer.groups > 1:
            return "its convolution is grouped already."
        if max(layer.kernel) == 1:
            return "its kernel is a single value: it only mixes channels already."
        if layer.in_channels < 2:
            return "it reads a single channel, so there is nothing to mix before the filters."
        if not self.saves(layer, params):
            return "three layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The two 1x1 convolutions and the depthwise one between them."""
        return tuple(stage.op() for stage in _stages(layer, params))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Splits the layer's weights by alternating least squares."""
        row = self.check(network, layer, params)
        stages = _stages(row, params)
        split = partial(reading_filters_and_mixing, stages[0].out_channels)
        named = dict(zip(("reading", "filters", "mixing"), stages, strict=True))
        return Surgeon(network, layer).replace_by_chain(named, split)


def _stages(
    layer: LayerProfile, params: Params
) -> tuple[ConvGeometry, ConvGeometry, ConvGeometry]:
    """What reads, the filters, and what mixes."""
    whole = ConvGeometry.of(layer)
    rank = _rank(layer, params)
    reading = whole.pointwise(
        in_channels=whole.in_channels, out_channels=rank, in_size=whole.in_size
    )
    filters = replace(whole, in_channels=rank, out_channels=rank, groups=rank, bias=False)
    mixing = whole.pointwise(
        in_channels=rank,
        out_channels=whole.out_channels,
        in_size=filters.out_size,
        bias=whole.bias,
    )
    return reading, filters, mixing


def _rank(layer: LayerProfile, params: Params) -> int:
    full = min(layer.out_channels, layer.in_channels * math.prod(layer.kernel))
    return kept_width(full, 1.0 - float(params["rank_ratio"]))
