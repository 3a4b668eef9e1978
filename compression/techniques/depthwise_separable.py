"""Depthwise separable convolution: one filter per channel, then a 1x1 convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.factorization import depthwise_and_pointwise
from compression.op_costs import ConvGeometry
from compression.surgery import Surgeon
from compression.technique import Scope, Technique
from compression.types import LayerKind

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class DepthwiseSeparable(Technique):
    """The filters of each input channel become one, the best rank-one fit of what it sees.

    ``W[o, i, t] = P[o, i] F[i, t]``: ``D^2 M + M N`` weights of ``D^2 M N``.
    """

    title = "Depthwise separable"
    letter = "D"
    token = "tech-depthwise"  # noqa: S105
    paper = (
        "A. Howard et al., MobileNets, 2017. No activation stands between the two layers, so that "
        "they can be fitted to the weights they replace."
    )
    scope = Scope.STRUCTURE

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions wider than one value, of several channels, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions have a kernel to separate from the channels."
        if layer.groups > 1:
            return "its convolution is grouped already."
        if max(layer.kernel) == 1:
            return "its kernel is a single value: it only mixes channels already."
        if layer.in_channels < 2:
            return "it reads a single channel, for which one filter would be left."
        if not self.saves(layer, params):
            return "two layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The depthwise and the 1x1 convolution."""
        del params
        return tuple(stage.op() for stage in _stages(layer))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Separates the kernel by the rank-one fit of each input channel's filters."""
        row = self.check(network, layer, params)
        named = dict(zip(("depthwise", "pointwise"), _stages(row), strict=True))
        return Surgeon(network, layer).replace_by_chain(named, depthwise_and_pointwise)


def _stages(layer: LayerProfile) -> tuple[ConvGeometry, ConvGeometry]:
    whole = ConvGeometry.of(layer)
    depthwise = replace(
        whole, out_channels=whole.in_channels, groups=whole.in_channels, bias=False
    )
    pointwise = whole.pointwise(
        in_channels=whole.in_channels,
        out_channels=whole.out_channels,
        in_size=depthwise.out_size,
        bias=whole.bias,
    )
    return depthwise, pointwise
