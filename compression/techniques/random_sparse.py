"""Random sparse connections: each filter reads some of the channels, drawn by chance."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from compression.surgery import thinned, weights_of
from compression.technique import Parameter, Scope, Technique, identity_cost
from compression.types import LayerKind

if TYPE_CHECKING:
    from torch import Tensor

    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class RandomSparse(Technique):
    """Of all pairs of an input and an output channel a share ``p`` stays connected.

    A pair keeps its whole kernel or none of it: ``p D^2 M N`` weights are left of ``D^2 M N``. Which
    pairs stay is drawn from the layer's name, so that a recipe repeats; every channel keeps one at
    least. Dense runtimes multiply the zeros: the file shrinks, the time does not.
    """

    title = "Random sparse connections"
    letter = "R"
    token = "tech-random"  # noqa: S105
    note = "Saves bytes, not time: a dense runtime multiplies zeros too."
    paper = (
        "S. Changpinyo et al., The Power of Sparsity in Convolutional Neural Networks, 2017. The "
        "connections go at once and the weights left make up for them by least squares; AdaDeep's "
        "default is 3/4."
    )
    scope = Scope.WEIGHTS
    parameters = (
        Parameter(
            name="connected",
            unit="share of the pairs of channels",
            levels=(3 / 4, 1 / 2, 1 / 4),
            help="Which share of all pairs of an input and an output channel stays connected.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions between enough channels."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions connect channels."
        if layer.groups > 1:
            return "its convolution is grouped, so most pairs of channels are not connected anyway."
        pairs = layer.in_channels * layer.out_channels
        if _kept(layer.in_channels, layer.out_channels, params) >= pairs:
            return (
                f"with {layer.in_channels} channels in and {layer.out_channels} out it needs all "
                "connections, so that every channel keeps one."
            )
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The layer itself, with fewer weights to store."""
        return tuple(self.stored(op, layer, params) for op in identity_cost(layer))

    def stored(self, op: OpSpec, layer: LayerProfile, params: Params) -> OpSpec:
        """The share of the connections; of weights that are thin already, as many as chance leaves."""
        del layer
        if op.op != "conv" or op.groups > 1:
            return op
        inputs, outputs = op.in_shape[0], op.out_shape[0]
        share = _kept(inputs, outputs, params) / (inputs * outputs)
        return replace(op, density=op.density * min(1.0, share))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Cuts the connections that were not drawn."""
        row = self.check(network, layer, params)
        count = _kept(row.in_channels, row.out_channels, params)
        pairs = _drawn(row.out_channels, row.in_channels, count, zlib.crc32(layer.encode()))
        taps = (1,) * len(row.kernel)
        mask = pairs.reshape(*pairs.shape, *taps).expand_as(weights_of(network, layer))
        return thinned(network, layer, mask)


def _kept(inputs: int, outputs: int, params: Params) -> int:
    return max(inputs, outputs, round(float(params["connected"]) * inputs * outputs))


def _drawn(outputs: int, inputs: int, count: int, seed: int) -> Tensor:
    """``[outputs, inputs]``, true for that many pairs, among them one for every channel."""
    generator = torch.Generator().manual_seed(seed)
    longer = max(outputs, inputs)
    rows = torch.randperm(longer, generator=generator) % outputs
    columns = torch.randperm(longer, generator=generator) % inputs
    order = torch.rand(outputs, inputs, generator=generator)
    order[rows, columns] = (
        2.0  # these come first: one for each channel of the more numerous side
    )
    mask = torch.zeros(outputs * inputs, dtype=torch.bool)
    mask[order.flatten().sort(descending=True, stable=True).indices[:count]] = True
    return mask.reshape(outputs, inputs)
