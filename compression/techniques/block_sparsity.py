"""Block sparsity: channels fall into groups that do not see each other, so whole blocks of weights go."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from compression.op_costs import ConvGeometry
from compression.surgery import Surgeon, convolution
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind

if TYPE_CHECKING:
    from torch import Tensor

    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

_LEAST_CHANNELS, _CHANNEL_STEP = 16, 8
_LEAST_MACS = 100_000


class BlockSparsity(Technique):
    """A convolution with block-diagonal weights: a grouped convolution, channels in order.

    Sparsity pays in time only where a runtime can skip whole blocks. ONNX Runtime 1.32 does so in
    grouped convolutions of enough channels (one thread, AVX-512, ``benchmarks.graph_techniques``): with
    16 channels or more to a group, 2, 4 and 8 groups ran 1.3 to 2.0, 1.6 to 3.8 and 2.0 to 7 times as
    fast as the full layer, 3x3 and 1x1 alike; with 12 or 8 it was 0.8 to 2.8, with 4 or 2 about 1.0, and
    1.0 too for a layer of 16,384 multiply-adds, which takes 4 us anyhow. So groups of 16 or more, in
    eights, are offered, from 100,000 multiply-adds on. Each block is fitted by least squares.
    """

    title = "Block-sparse convolution"
    letter = "Q"
    token = "tech-blocks"  # noqa: S105
    paper = (
        "T. Zhang et al., Interleaved Group Convolutions, ICCV 2017, without the shuffle; blocks as "
        "in S. Gray, A. Radford, D. Kingma, GPU Kernels for Block-Sparse Weights, 2017, but on the "
        "diagonal only, and fitted to data."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="blocks",
            unit="groups of channels",
            levels=(2, 4, 8),
            help="Into how many groups the channels fall; one in so many weights stays.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only plain convolutions whose channels make groups that run faster than the whole."""
        del network
        blocks = int(params["blocks"])
        if layer.kind is not LayerKind.CONV:
            return "only convolutions can be computed in groups."
        if layer.groups > 1:
            return "its convolution is grouped already."
        if layer.in_channels % blocks or layer.out_channels % blocks:
            return f"its channels do not fall into {blocks} groups of one size."
        sizes = layer.in_channels // blocks, layer.out_channels // blocks
        if min(sizes) < _LEAST_CHANNELS or any(size % _CHANNEL_STEP for size in sizes):
            return (
                f"groups of {min(sizes)} channels run hardly faster here than the full convolution; "
                f"it takes {_LEAST_CHANNELS} or more, in steps of {_CHANNEL_STEP}."
            )
        if layer.macs < _LEAST_MACS:
            return "it is computed so fast already that groups would gain nothing."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The grouped convolution."""
        return (_grouped(layer, params).op(),)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Keeps the blocks on the diagonal of the weights."""
        row = self.check(network, layer, params)
        surgeon = Surgeon(network, layer)
        old, geometry = surgeon.convolution, _grouped(row, params)
        weight = _diagonal(old.weight.detach(), geometry.groups)
        new = surgeon.insert(f"{layer}_blocks", convolution(geometry, weight, old.bias))
        surgeon.fits(new, 0, row.out_channels)
        return surgeon.replace_by(new)


def _grouped(layer: LayerProfile, params: Params) -> ConvGeometry:
    return replace(ConvGeometry.of(layer), groups=int(params["blocks"]))


def _diagonal(weight: Tensor, blocks: int) -> Tensor:
    """``[outputs, inputs / blocks, *kernel]`` of ``[outputs, inputs, *kernel]``."""
    outputs, inputs = weight.shape[0] // blocks, weight.shape[1] // blocks
    return torch.cat(
        [
            weight[b * outputs : (b + 1) * outputs, b * inputs : (b + 1) * inputs]
            for b in range(blocks)
        ]
    )
