"""Which channels of a group to keep: those from which the readers' outputs are best rebuilt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compression.types import LayerKind

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import ChannelGroup, LayerProfile

_SHRINKAGE = 1e-2


@dataclass(frozen=True, slots=True)
class Reading:
    """What one layer makes of the channels: ``weights`` is ``sum w w'`` over its outputs and taps.

    ``covariance`` is that of the channels where the layer reads them; both ``[channels, channels]``.
    """

    weights: Tensor
    covariance: Tensor


def best_channels(readings: list[Reading], count: int) -> list[int]:
    """Picks channels one by one, each the one that removes most of the readers' remaining error.

    The error of a reader is that of its outputs once its weights on the picked channels are fitted
    by least squares: ``trace(G (C - C_s inv(C_ss) C_s'))`` with ``G`` the weights and ``C`` the
    covariance, as a share of ``trace(G C)``. So of two channels that say the same only one stays.

    Returns:
        ``count`` ascending indices.
    """
    left = [_Remainder(reading) for reading in readings]
    channels = len(readings[0].covariance)
    taken = torch.zeros(channels, dtype=torch.bool)
    for _ in range(count):
        gains = sum((remainder.gains() for remainder in left), torch.zeros(channels).double())
        best = int(gains.masked_fill(taken, -1.0).argmax())
        taken[best] = True
        for remainder in left:
            remainder.take(best)
    return torch.nonzero(taken).flatten().tolist()


class _Remainder:
    """What the channels picked so far leave unexplained for one reader."""

    def __init__(self, reading: Reading) -> None:
        self.covariance = reading.covariance.double().clone()
        # So that channels still differ once few samples seem to explain all of them.
        self.covariance.diagonal().mul_(1.0 + _SHRINKAGE)
        self.product = reading.weights.double() @ self.covariance
        self.total = float(self.product.diagonal().sum().clamp_min(1e-30))
        self.floor = self.covariance.diagonal() * 1e-6 + 1e-30

    def gains(self) -> Tensor:
        variance = self.covariance.diagonal()
        explained = (self.covariance * self.product).sum(0) / variance.clamp_min(1e-30)
        return torch.where(variance > self.floor, explained, 0.0) / self.total

    def take(self, channel: int) -> None:
        variance = self.covariance[channel, channel]
        if variance <= self.floor[channel]:
            return
        column = self.covariance[:, channel] / variance
        product = self.product[:, channel].clone()
        self.covariance -= torch.outer(self.covariance[:, channel].clone(), column)
        self.product -= torch.outer(product, column)


def readings_of(network: Network, group: ChannelGroup) -> list[Reading]:
    """What the layers behind a group make of its channels.

    Without moments, channels count as uncorrelated, with the energy of the weights that write them.
    """
    energy = _written_energy(network, group)
    readings = []
    for row in network.profile.layers:
        if row.name not in group.readers or row.kind is LayerKind.OTHER or row.is_depthwise:
            continue
        where = _channels_of(row, group)
        layer = network.module.get_submodule(row.name)
        if not isinstance(layer.weight, Tensor):
            raise TypeError(type(layer).__name__)
        weight = layer.weight.detach().reshape(row.out_channels, row.in_channels, -1)[:, where]
        gram = torch.einsum("oik,ojk->ij", weight, weight)
        seen = network.moments.get(row.name)
        covariance = energy.diag() if seen is None else seen[where][:, where]
        readings.append(Reading(gram, covariance))
    return readings or [Reading(torch.eye(group.channels), energy.diag())]


def _channels_of(row: LayerProfile, group: ChannelGroup) -> Tensor:
    """Input channels of the layer that belong to the group (the first time it occurs)."""
    start = 0
    for found, width in row.in_groups:
        if found == group.id:
            return torch.arange(start, start + width)
        start += width
    raise ValueError(f"{row.name} does not read group {group.id}")


def _written_energy(network: Network, group: ChannelGroup) -> Tensor:
    energy = torch.zeros(group.channels)
    for name in group.writers:
        layer = network.module.get_submodule(name)
        if isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
            energy += layer.weight.detach().flatten(1).square().sum(1)
    return energy.clamp_min(1e-12)
