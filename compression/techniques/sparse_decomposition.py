"""Sparse decomposition: few filters for each channel, and a sparse mixing of what they give."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compression.op_costs import ConvGeometry
from compression.sparse_factorization import channels_bases_and_mixing
from compression.surgery import Surgeon
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class SparseDecomposition(Technique):
    """A 1x1 transform ``P``, ``q`` filters ``Q`` for each channel, a sparse 1x1 mixing ``S``.

    ``W[o, i, t] = sum_mb S[o, mb] Q[m, b, t] P[m, i]`` (Liu et al., eq. 3 to 6): ``M^2 + q M D^2`` weights
    and what is stored of ``q M N``. ``q`` is half of the number ``(D^2 M N - M^2) / (M D^2 + M N)``
    from which on nothing would be saved, AdaDeep's default. ``S`` is thinned by what each entry
    contributes instead of by an L1 penalty during training. It saves bytes, not time: three layers for
    one, several filters a channel and zeros that are multiplied made a LeNet run at 0.76 and a
    ResNet-20 at 0.58 of its speed.
    """

    title = "Sparse decomposition"
    letter = "X"
    token = "tech-bases"  # noqa: S105
    note = "The sparse part saves bytes, not time: a dense runtime multiplies zeros too."
    paper = (
        "B. Liu et al., Sparse Convolutional Neural Networks, CVPR 2015. Transform, filters and "
        "mixing are found in closed form, weighted by what the layer reads."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="density",
            unit="share of the mixing weights",
            levels=(1 / 2, 1 / 4, 1 / 10),
            help="Which share of the weights that mix the filters' outputs is kept.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions wider than one value, of several channels, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions have a kernel to decompose channel by channel."
        if layer.groups > 1:
            return "its convolution is grouped already."
        if max(layer.kernel) == 1:
            return "its kernel is a single value: there are no filters to find a basis for."
        if layer.in_channels < 2:
            return "it reads a single channel, so there are no channels to transform."
        if _bases(layer) < 1 or not self.saves(layer, params):
            return "three layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The transform, the filters and the mixing, of which a share is stored."""
        transform, filters, mixing = (stage.op() for stage in _stages(layer))
        weights = filters.out_shape[0] * layer.out_channels
        return transform, filters, replace(mixing, density=_entries(layer, params) / weights)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Decomposes the layer's weights."""
        row = self.check(network, layer, params)
        split = partial(channels_bases_and_mixing, _bases(row), _entries(row, params))
        named = dict(zip(("transform", "bases", "mixing"), _stages(row), strict=True))
        return Surgeon(network, layer).replace_by_chain(named, split, sparse=True)


def _stages(layer: LayerProfile) -> tuple[ConvGeometry, ConvGeometry, ConvGeometry]:
    """The transform, the filters of each channel, and the mixing."""
    whole = ConvGeometry.of(layer)
    channels = whole.in_channels
    transform = whole.pointwise(
        in_channels=channels, out_channels=channels, in_size=whole.in_size
    )
    filters = replace(
        whole, out_channels=channels * max(1, _bases(layer)), groups=channels, bias=False
    )
    mixing = whole.pointwise(
        in_channels=filters.out_channels,
        out_channels=whole.out_channels,
        in_size=filters.out_size,
        bias=whole.bias,
    )
    return transform, filters, mixing


def _bases(layer: LayerProfile) -> int:
    """Filters for each channel: half of what would save nothing; 0 where one is too many."""
    taps, inputs, outputs = math.prod(layer.kernel), layer.in_channels, layer.out_channels
    saves_nothing = (taps * outputs - inputs) / (taps + outputs)
    return math.floor(saves_nothing / 2)


def _entries(layer: LayerProfile, params: Params) -> int:
    """Of the mixing; one for each output at least."""
    whole = layer.in_channels * max(1, _bases(layer)) * layer.out_channels
    return max(layer.out_channels, round(float(params["density"]) * whole))
