"""Structured pruning: whole channels go, in all layers that share them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.channel_selection import best_channels, readings_of
from compression.surgery import without_channels
from compression.technique import Parameter, Scope, Technique, identity_cost
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import ChannelGroup, LayerProfile, NetworkProfile, OpSpec, Params


class FilterPruning(Technique):
    """Narrows the channel group that the layer leads, in every layer that writes or reads it."""

    title = "Filter pruning"
    letter = "P"
    token = "tech-prune"  # noqa: S105
    paper = (
        "H. Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017; channels chosen by the "
        "error of the layers behind them as in J.-H. Luo et al., ThiNet, ICCV 2017, in closed form."
    )
    scope = Scope.WIDTH
    parameters = (
        Parameter(
            name="pruning_ratio",
            unit="share removed",
            levels=(0.25, 0.5, 0.75, 0.875),
            help="Share of the channels that goes; the rest is rounded to a width that runs fast.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only the layer that leads a group of channels, none of them fixed from outside."""
        if layer.kind is LayerKind.OTHER:
            return "it has no filters of its own."
        group = _group(layer, network)
        if group is None:
            return _why_no_group(layer, network)
        if not group.prunable:
            return f"its channels cannot be removed: {group.reason}."
        if not group.readers:
            return "no layer behind it could do without its channels."
        if kept_width(group.channels, float(params["pruning_ratio"])) >= group.channels:
            return f"it has only {group.channels} channels; at this level all of them stay."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer with fewer outputs; the layers behind it have to be resized by the caller."""
        kept = kept_width(layer.out_channels, float(params["pruning_ratio"]))
        inputs = kept if layer.is_depthwise else layer.in_channels
        return identity_cost(layer.resized(in_channels=inputs, out_channels=kept))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Removes the channels that the layers behind miss least (by ``network.moments`` if any)."""
        row = self.check(network, layer, params)
        group = _group(row, network.profile)
        if group is None:
            raise ValueError(layer)
        count = kept_width(group.channels, float(params["pruning_ratio"]))
        kept = best_channels(readings_of(network, group), count)
        return without_channels(network, group.id, kept)


def _group(layer: LayerProfile, network: NetworkProfile) -> ChannelGroup | None:
    return next((group for group in network.groups if group.leader == layer.name), None)


def _why_no_group(layer: LayerProfile, network: NetworkProfile) -> str:
    for group in network.groups:
        if layer.name in group.writers and group.leader and group.prunable:
            return (
                f"its channels are those of “{group.leader}”; they are removed there, together."
            )
        if layer.name in group.writers:
            return f"its channels cannot be removed: {group.reason}."
    return "its channels are not its own."
