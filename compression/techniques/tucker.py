"""Tucker-2: the kernel works between a few mixtures of the inputs and a few of the outputs."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compression.factorization import reading_core_and_mixing
from compression.op_costs import ConvGeometry
from compression.surgery import Surgeon
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class Tucker(Technique):
    """1x1 to few channels, the kernel between these and few outputs, 1x1 to all outputs.

    With ``r`` and ``s`` inner channels the filters are
    ``W[o, i, t] = sum_rs B[o, s] C[s, r, t] A[r, i]`` (Kim et al., eq. 4). Both ranks are the same
    share of the channels, rounded as widths are. Two of the three layers are plain 1x1
    convolutions, which runtimes compute best.
    """

    title = "Tucker-2"
    letter = "T"
    token = "tech-tucker"  # noqa: S105
    paper = (
        "Y.-D. Kim et al., Compression of Deep CNNs for Fast and Low Power Mobile Applications, "
        "ICLR 2016. Ranks are levels to choose from instead of variational Bayes; the factors are "
        "weighted by what the layer reads."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="rank_ratio",
            unit="share of the channels",
            levels=(1 / 2, 1 / 4),
            help="How many of the input and of the output channels the kernel works between.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions wider than one value, of several channels, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions have a kernel between two sets of channels."
        if layer.groups > 1:
            return "its convolution is grouped, so no kernel spans all channels."
        if max(layer.kernel) == 1:
            return "its kernel is a single value, for which plain low rank does the same."
        if layer.in_channels < 4:
            return "it reads too few channels to mix them into fewer."
        if not self.saves(layer, params):
            return "three layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The two 1x1 convolutions and the kernel between them."""
        return tuple(stage.op() for stage in _stages(layer, params))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Splits the layer's weights by a Tucker decomposition of its two channel axes."""
        row = self.check(network, layer, params)
        stages = _stages(row, params)
        ranks = (stages[0].out_channels, stages[1].out_channels)
        split = partial(reading_core_and_mixing, ranks)
        named = dict(zip(("reading", "core", "mixing"), stages, strict=True))
        return Surgeon(network, layer).replace_by_chain(named, split)


def _stages(
    layer: LayerProfile, params: Params
) -> tuple[ConvGeometry, ConvGeometry, ConvGeometry]:
    """What reads, the kernel, and what mixes."""
    whole = ConvGeometry.of(layer)
    inner, outer = _ranks(layer, params)
    reading = whole.pointwise(
        in_channels=whole.in_channels, out_channels=inner, in_size=whole.in_size
    )
    core = replace(whole, in_channels=inner, out_channels=outer, bias=False)
    mixing = whole.pointwise(
        in_channels=outer,
        out_channels=whole.out_channels,
        in_size=core.out_size,
        bias=whole.bias,
    )
    return reading, core, mixing


def _ranks(layer: LayerProfile, params: Params) -> tuple[int, int]:
    """Inner channels of inputs and of outputs; neither axis has a higher rank than the rest."""
    taps = math.prod(layer.kernel)
    away = 1.0 - float(params["rank_ratio"])
    inputs = min(layer.in_channels, layer.out_channels * taps)
    outputs = min(layer.out_channels, layer.in_channels * taps)
    return kept_width(inputs, away), kept_width(outputs, away)
