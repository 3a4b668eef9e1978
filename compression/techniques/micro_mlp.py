"""Micro network: filters become a small perceptron that slides over the input."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import nn

from compression.factorization import hidden_and_mixing, hidden_bias
from compression.op_costs import ConvGeometry
from compression.surgery import INHERITED, Inherited, Surgeon, convolution
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params


class MicroMlp(Technique):
    """``h`` hidden filters, ReLU, a 1x1 convolution: ``D^2 M h + h N`` weights of ``D^2 M N``.

    The hidden units start as the ``h`` directions of the truncated decomposition, weighted by what the
    layer reads, with a bias that keeps them above zero, so that the ReLU cuts nothing until fine-tuning
    bends it; the 1x1 layer is then fitted by least squares. Measured on a ResNet-20 with 19 layers
    treated at ``N/3``: divergence 0.45 so, 1.57 with pairs of opposite sign (half as many directions),
    0.74 with a bias that lets a tenth of the values be cut. Without data the pairs are taken.
    """

    title = "Micro network (MLP)"
    letter = "L"
    token = "tech-mlp"  # noqa: S105
    paper = (
        "M. Lin et al., Network in Network, ICLR 2014, with AdaDeep's default of N/6 hidden units, "
        "started from a truncated SVD of the kernel."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="hidden_ratio",
            unit="share of the output channels",
            levels=(1 / 3, 1 / 6),
            help="Hidden units of the small perceptron, as a share of the layer's output channels.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions wider than one value, and where it saves."""
        del network
        if layer.kind is not LayerKind.CONV:
            return "only convolutions have filters that slide over the input."
        if layer.groups > 1:
            return "its convolution is grouped, so no perceptron would read all channels."
        if max(layer.kernel) == 1:
            return "its kernel is a single value, so a perceptron would see nothing around it."
        if not self.saves(layer, params):
            return "two layers would not be smaller than the one there is."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The hidden layer and the 1x1 convolution, both with a bias."""
        return tuple(stage.op() for stage in _stages(layer, params))

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Starts the perceptron from the low-rank decomposition of the filters."""
        row = self.check(network, layer, params)
        surgeon = Surgeon(network, layer)
        old = surgeon.convolution
        stages = _stages(row, params)
        split = partial(hidden_and_mixing, stages[0].out_channels)
        weights = split(old.weight.detach(), None)
        first = convolution(stages[0], weights[0], torch.zeros(stages[0].out_channels))
        bias = torch.zeros(row.out_channels) if old.bias is None else old.bias
        second = convolution(stages[1], weights[1], bias)
        hidden = surgeon.insert(f"{layer}_hidden", first)
        active = surgeon.insert(f"{layer}_active", nn.ReLU(), hidden)
        mixing = surgeon.insert(f"{layer}_mixing", second, active)
        hidden.meta[INHERITED] = Inherited(old, split, (mixing.name,), hidden_bias)
        surgeon.fits(mixing, 0, row.out_channels)
        return surgeon.replace_by(mixing)


def _stages(layer: LayerProfile, params: Params) -> tuple[ConvGeometry, ConvGeometry]:
    """The hidden layer and what mixes its units."""
    whole = ConvGeometry.of(layer)
    units = kept_width(layer.out_channels, 1.0 - float(params["hidden_ratio"]))
    hidden = replace(whole, out_channels=units, bias=True)
    mixing = whole.pointwise(
        in_channels=units, out_channels=whole.out_channels, in_size=hidden.out_size, bias=True
    )
    return hidden, mixing
