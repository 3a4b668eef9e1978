"""Global average pooling: the whole fully connected head becomes a mean and one dense layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from compression.op_costs import dense_op, totals
from compression.shape_modules import Reshape
from compression.surgery import STANDS_FOR, Surgeon, dense, layer_of, node_of
from compression.technique import Scope, Technique, head_rows
from compression.types import LayerKind, OpSpec

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, Params


class GlobalAveragePooling(Technique):
    """Asked about the first dense layer of the head; the later ones go away with it.

    ``y = W mean(x) + b`` over the positions of ``M`` channels: ``M`` weights an output.
    """

    title = "Global average pooling"
    letter = "G"
    token = "tech-gap"  # noqa: S105
    paper = (
        "M. Lin, Q. Chen, S. Yan, Network in Network, 2014. One dense layer follows the mean, fitted "
        "by least squares to the outputs of the head that it replaces."
    )
    scope = Scope.HEAD

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only the first dense layer of a head that reads a flattened feature map."""
        head = head_rows(network)
        if layer.kind is not LayerKind.DENSE:
            return "only the fully connected end of a network can be replaced by a mean."
        if not head or head[0].name != layer.name:
            return "it is not the first layer of the network's fully connected end."
        if layer.in_multiplier < 2:
            return "it does not read a feature map, so there is nothing to take the mean of."
        if any(len(row.in_shape) > 1 for row in head[1:]):
            return "what it computes is made a map again before the network's end."
        _, weights = totals(self.cost(self.treated(layer, network), params))
        if weights >= sum(row.params for row in head):
            return "the mean and its dense layer would not be smaller than the head there is."
        return ""

    def treated(self, layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
        """The layer with as many output channels as the network has outputs."""
        outputs = head_rows(network)[-1].out_channels
        return layer.resized(in_channels=layer.in_channels, out_channels=outputs)

    def removes(self, layer: LayerProfile, network: NetworkProfile) -> tuple[str, ...]:
        """The rest of the head."""
        return tuple(row.name for row in head_rows(network) if row.name != layer.name)

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The mean and one dense layer; the later rows of the head cost nothing then."""
        del params
        channels = layer.in_channels
        pooled = OpSpec(
            op="average_pool",
            in_shape=(channels, layer.in_multiplier),
            out_shape=(channels, 1),
            kernel=(layer.in_multiplier,),
            stride=(1,),
            padding=(0,),
        )
        head = dense_op(in_features=channels, out_features=layer.out_channels, bias=True)
        return pooled, head

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Puts the mean and a dense layer in place of the head.

        Until reconstruction fits it to data, the dense layer holds the product of the old ones (as
        if nothing stood between them), summed over positions.
        """
        row = self.check(network, layer, params)
        head = [r for r in head_rows(network.profile) if r.kind is LayerKind.DENSE]
        surgeon = Surgeon(network, head[-1].name)
        flattened = source = node_of(surgeon.module, layer).all_input_nodes[0]
        while isinstance(layer_of(surgeon.module, source), nn.Flatten | Reshape):
            source = source.all_input_nodes[0]
        shape = _map_shape(network, source.name)
        if len(shape) == 1:  # an activation follows what flattens the map
            shape = (row.in_channels, row.in_multiplier)
            source = surgeon.insert(f"{layer}_map", Reshape(shape), flattened)
        weight, bias = _linear_head(surgeon, [r.name for r in head])
        weight = weight.reshape(len(weight), row.in_channels, row.in_multiplier).sum(2)
        pool = nn.AdaptiveAvgPool2d(1) if len(shape) == 3 else nn.AdaptiveAvgPool1d(1)
        pooled = surgeon.insert(f"{layer}_mean", pool, source)
        flat = surgeon.insert(f"{layer}_flat", nn.Flatten(1), pooled)
        new = surgeon.insert(f"{layer}_classes", dense(weight, bias), flat)
        for node in (pooled, flat, new):  # what may follow on this layer finds it here
            node.meta[STANDS_FOR] = layer
        surgeon.fits(new, 0, len(weight))
        return surgeon.replace_by(new)


def _linear_head(surgeon: Surgeon, names: list[str]) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights and bias of the dense layers in a row, without what stands between them."""
    modules = [surgeon.module.get_submodule(name) for name in names]
    layers = [module for module in modules if isinstance(module, nn.Linear)]
    weight = torch.eye(layers[0].in_features)
    bias = torch.zeros(len(weight))
    for layer in layers:
        here = layer.weight.detach()
        weight, bias = here @ weight, here @ bias
        if layer.bias is not None:
            bias = bias + layer.bias.detach()
    return weight, bias


def _map_shape(network: Network, node: str) -> tuple[int, ...]:
    shapes = {row.name: row.out_shape for row in network.profile.layers}
    return shapes.get(node, network.profile.input_shape)
