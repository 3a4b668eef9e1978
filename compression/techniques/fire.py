"""Fire module: squeeze the channels, then expand them by small and by full filters."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from compression.factorization import squeeze_and_expand
from compression.op_costs import ConvGeometry
from compression.shape_modules import StridedSlice
from compression.surgery import INHERITED, Inherited, Surgeon, convolution
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, OpSpec, Params, kept_width

if TYPE_CHECKING:
    from torch import fx

    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile


class Fire(Technique):
    """Half of the outputs keep the full kernel, half become 1x1; all read few squeezed channels.

    ``s`` squeezed channels: ``s M + s N/2 + D^2 s N/2`` weights of ``D^2 M N``. AdaDeep's default is
    ``s = N/4``, the gentler level.
    """

    title = "Fire module"
    letter = "F"
    token = "tech-fire"  # noqa: S105
    paper = (
        "F. Iandola et al., SqueezeNet, 2016. The squeeze stays linear, so that it can be fitted to "
        "the weights it replaces."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="squeeze_ratio",
            unit="share of the output channels",
            levels=(1 / 4, 1 / 8),
            help="Width of the squeezed middle, as a share of the layer's output channels.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions with an odd kernel, wide enough, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions can be squeezed and expanded."
        if layer.groups > 1:
            return "its convolution is grouped already."
        if max(layer.kernel) == 1:
            return "its kernel is a single value already."
        if any(k % 2 == 0 for k in layer.kernel):
            return "its kernel has no middle for the 1x1 filters to sit at."
        if layer.in_channels < 4 or layer.out_channels < 8:
            return "it has too few channels to squeeze."
        if _stages(layer, params)[0].out_channels >= layer.in_channels:
            return "the squeeze would not be narrower than what the layer reads."
        if not self.saves(layer, params):
            return "the three layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """Squeeze, both expansions, and what joins them."""
        squeeze, small, full = _stages(layer, params)
        cut = () if _margin(layer) is None else (_elementwise(squeeze, small),)
        whole = ConvGeometry.of(layer).op().out_shape
        joined = OpSpec(op="concat", in_shape=whole, out_shape=whole)
        return (squeeze.op(), *cut, small.op(), full.op(), joined)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Puts the module in the layer's place."""
        row = self.check(network, layer, params)
        surgeon = Surgeon(network, layer)
        old = surgeon.convolution
        stages = _stages(row, params)
        half = stages[1].out_channels
        split = partial(squeeze_and_expand, stages[0].out_channels)
        weights = split(old.weight.detach(), None)
        bias = (None, None) if old.bias is None else (old.bias[:half], old.bias[half:])
        squeeze = surgeon.insert(f"{layer}_squeeze", convolution(stages[0], weights[0], None))
        middle = _cut(surgeon, row, squeeze)
        small = surgeon.insert(
            f"{layer}_small", convolution(stages[1], weights[1], bias[0]), middle
        )
        full = surgeon.insert(
            f"{layer}_full", convolution(stages[2], weights[2], bias[1]), squeeze
        )
        squeeze.meta[INHERITED] = Inherited(old, split, (small.name, full.name))
        surgeon.fits(small, 0, half)
        surgeon.fits(full, half, row.out_channels)
        return surgeon.replace_by(surgeon.concatenate(f"{layer}_join", (small, full)))


def _stages(
    layer: LayerProfile, params: Params
) -> tuple[ConvGeometry, ConvGeometry, ConvGeometry]:
    """Squeeze, 1x1 expansion and full expansion."""
    whole = ConvGeometry.of(layer)
    ones = (1,) * len(whole.kernel)
    squeezed = kept_width(whole.out_channels, 1.0 - float(params["squeeze_ratio"]))
    half = whole.out_channels // 2
    squeeze = whole.pointwise(
        in_channels=whole.in_channels, out_channels=squeezed, in_size=whole.in_size
    )
    # The 1x1 filter sits at the middle of the full one, so its padding is what the middle has left.
    reach = [d * (k - 1) // 2 for k, d in zip(whole.kernel, whole.dilation, strict=True)]
    spare = tuple(p - r for p, r in zip(whole.padding, reach, strict=True))
    size = tuple(n + 2 * min(0, s) for n, s in zip(whole.in_size, spare, strict=True))
    small = replace(
        whole,
        in_channels=squeezed,
        out_channels=half,
        in_size=size,
        kernel=ones,
        padding=tuple(max(0, s) for s in spare),
        dilation=ones,
    )
    full = replace(whole, in_channels=squeezed, out_channels=whole.out_channels - half)
    return squeeze, small, full


def _margin(layer: LayerProfile) -> tuple[int, ...] | None:
    """What has to be cut from each side for the 1x1 filters, when the kernel is padded too little."""
    whole = ConvGeometry.of(layer)
    axes = zip(whole.kernel, whole.dilation, whole.padding, strict=True)
    margin = tuple(max(0, d * (k - 1) // 2 - p) for k, d, p in axes)
    return margin if any(margin) else None


def _cut(surgeon: Surgeon, layer: LayerProfile, squeeze: fx.Node) -> fx.Node:
    margin = _margin(layer)
    if margin is None:
        return squeeze
    sizes = layer.in_shape[1:]
    slices = [(2 + i, m, sizes[i] - m, 1) for i, m in enumerate(margin) if m]
    return surgeon.insert(f"{layer.name}_middle", StridedSlice(slices), squeeze)


def _elementwise(before: ConvGeometry, after: ConvGeometry) -> OpSpec:
    return OpSpec(
        op="elementwise", in_shape=before.op().out_shape, out_shape=after.op().in_shape
    )
