"""Pool to stride: a convolution takes the steps of the pool behind it, and the pool goes."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from compression.layer_paths import pool_behind
from compression.op_costs import ConvGeometry
from compression.surgery import (
    FITS,
    SHIFTED,
    Fits,
    Surgeon,
    convolution,
    node_of,
    original_layer,
)
from compression.technique import Scope, Technique, identity_cost
from compression.types import LayerKind

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params, Shape


class PoolToStride(Technique):
    """The convolution is computed only where the pool's windows lie, not at every place in them.

    The layer keeps its name, so a technique of the same recipe can treat what it has become.
    """

    title = "Pool to stride"
    letter = "O"
    token = "tech-stride"  # noqa: S105
    paper = (
        "J. Springenberg et al., Striving for Simplicity: The All Convolutional Net, ICLR 2015 "
        "workshop (section 2). They train anew; we keep the kernel and fit it by least squares to "
        "what the pool made of the layer's outputs."
    )
    scope = Scope.STRUCTURE

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only convolutions with a pool behind them whose positions a stride can reproduce."""
        del params
        if layer.kind is not LayerKind.CONV:
            return "only a convolution can take over the steps of a pool."
        path = pool_behind(layer, network)
        if not path:
            return (
                "no max or average pool follows it directly, with activations at most between."
            )
        if max(path[-1].stride) == 1:
            return (
                f"the pool “{path[-1].name}” moves by single steps, so it leaves out nothing."
            )
        if _padding(layer, path[-1]) is None:
            return (
                f"no padding gives a strided convolution the {_size(path[-1])} positions of the pool "
                f"“{path[-1].name}”."
            )
        if max(ConvGeometry.of(layer).dilation) > 1:
            return "its kernel has gaps (dilation), which longer steps would leave unread."
        return ""

    def treated(self, layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
        """The convolution with the pool's strides, see ``strided``."""
        return strided(layer, network)

    def removes(self, layer: LayerProfile, network: NetworkProfile) -> tuple[str, ...]:
        """The pool."""
        path = pool_behind(layer, network)
        return (path[-1].name,) if path else ()

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The strided convolution."""
        del params
        return identity_cost(layer)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Gives the convolution longer steps; its weights stay until reconstruction fits them."""
        row = self.check(network, layer, params)
        original = original_layer(network, layer)
        *between, pool = pool_behind(row, network.profile)
        surgeon = Surgeon(network, pool.name)
        old = surgeon.module.get_submodule(layer)
        geometry = ConvGeometry.of(strided(row, network.profile))
        surgeon.module.add_module(layer, convolution(geometry, old.weight, old.bias))  # type: ignore[arg-type]
        node = node_of(surgeon.module, layer)
        node.meta[SHIFTED] = True
        if original is not None:
            node.meta[FITS] = Fits(original, 0, row.out_channels)
        surgeon.fit_behind()
        changed = surgeon.replace_by(surgeon.old.all_input_nodes[0])
        sparser = {layer, *(row.name for row in between)}
        outputs = {
            name: replace(output, pooled=True)
            if network.outputs_of[name].node in sparser
            else output
            for name, output in changed.outputs_of.items()
        }
        return replace(changed, outputs_of=outputs)


def strided(layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
    """The convolution with the strides of the pool behind it: other techniques can be priced on it.

    Args:
        layer: one that the technique does not refuse; it may be ``resized``.
        network: the network with the pool.
    """
    pool = pool_behind(layer, network)[-1]
    padding = _padding(layer, pool)
    if padding is None:
        raise ValueError(layer.name)
    steps = tuple(s * p for s, p in zip(layer.stride, pool.stride, strict=True))
    shape = (layer.out_shape[0], *pool.out_shape[1:])
    sparser = replace(layer, stride=steps, padding=padding, out_shape=shape)
    return sparser.resized(in_channels=layer.in_channels, out_channels=layer.out_channels)


def _padding(layer: LayerProfile, pool: LayerProfile) -> Shape | None:
    """Per axis the padding that puts the filters at the middle of the windows, or as near as can be.

    ``None`` when no padding gives as many positions as the pool has.
    """
    found = []
    geometry = ConvGeometry.of(layer)
    for axis, wanted in enumerate(pool.out_shape[1:]):
        middle = (pool.kernel[axis] - 1) / 2 - pool.padding[axis]
        ideal = geometry.padding[axis] - geometry.stride[axis] * middle
        step = geometry.stride[axis] * pool.stride[axis]
        reach = geometry.dilation[axis] * (geometry.kernel[axis] - 1) + 1
        fitting = [
            padding
            for padding in range(reach)
            if geometry.in_size[axis] + 2 * padding >= reach
            and (geometry.in_size[axis] + 2 * padding - reach) // step + 1 == wanted
        ]
        if not fitting:
            return None
        found.append(min(fitting, key=lambda padding: (abs(padding - ideal), padding)))
    return tuple(found)


def _size(pool: LayerProfile) -> str:
    return " × ".join(str(size) for size in pool.out_shape[1:])
