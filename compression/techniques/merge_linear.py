"""Merging: two linear layers with nothing curved between them are one, exactly."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from compression.layer_paths import path_to
from compression.op_costs import ConvGeometry
from compression.surgery import FITS, INHERITED, Surgeon, convolution, dense, node_of
from compression.technique import Scope, Technique, identity_cost
from compression.types import LayerKind

if TYPE_CHECKING:
    from torch import fx

    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

_BETWEEN = frozenset({"dropout", "identity", "flatten"})


class MergeLinear(Technique):
    """Asked about the first of the two; the second goes, and the first keeps its name.

    Dense behind dense, a 1x1 convolution before or behind another convolution, and a 1x1
    convolution before a flatten and a dense layer. A batch norm between them needs no rule: the
    importer folds it into the first.
    """

    title = "Merged linear layers"
    letter = "J"
    token = "tech-merge"  # noqa: S105
    paper = (
        "X. Ding et al., Diverse Branch Block, CVPR 2021 (transform III: a sequence of "
        "convolutions as one). Done here only where one layer is smaller than the two."
    )
    scope = Scope.STRUCTURE

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only two plain layers in a row whose product is exact and smaller."""
        del params
        if layer.kind is LayerKind.OTHER:
            return "only convolutions and dense layers can be merged with the next one."
        path = _path(layer, network)
        if not path:
            return "no other linear layer follows it with nothing curved between the two."
        reason = _inexact(layer, path)
        if reason:
            return reason
        second, one = path[-1], merged(layer, network)
        if one.params >= layer.params + second.params or one.macs >= layer.macs + second.macs:
            return f"one layer instead of it and “{second.name}” would not be smaller."
        return ""

    def treated(self, layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
        """The one layer, see ``merged``."""
        return merged(layer, network)

    def removes(self, layer: LayerProfile, network: NetworkProfile) -> tuple[str, ...]:
        """The second layer, and what stands between but a flatten that is still needed."""
        path = _path(layer, network)
        kept = "flatten" if layer.kind is LayerKind.CONV else ""
        return tuple(row.name for row in path if row.op != kept)

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """The one layer."""
        del params
        return identity_cost(layer)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Multiplies the weights of the two, in double precision."""
        row = self.check(network, layer, params)
        second = _path(row, network.profile)[-1]
        surgeon = Surgeon(network, second.name)
        first = node_of(surgeon.module, layer)
        weight, bias = _product(surgeon.module, row, second)
        if second.kind is LayerKind.DENSE:
            if row.kind is LayerKind.CONV:
                _flatten_before(surgeon, first)
            surgeon.module.add_module(layer, dense(weight, bias))
        else:
            surgeon.module.add_module(layer, convolution(_geometry(row, second), weight, bias))
        for key in (FITS, INHERITED):
            first.meta.pop(key, None)
        if FITS in surgeon.old.meta:
            first.meta[FITS] = surgeon.old.meta[FITS]
        changed = surgeon.replace_by(first)
        outputs = {
            name: output
            for name, output in changed.outputs_of.items()
            if network.outputs_of[name].node != layer
        }
        return replace(changed, outputs_of=outputs)


def merged(layer: LayerProfile, network: NetworkProfile) -> LayerProfile:
    """The layer as the one that it and the next become.

    Args:
        layer: one that is followed by another; it may be ``resized``.
        network: the network that holds both.
    """
    second = _path(layer, network)[-1]
    bias = layer.bias or second.bias
    if second.kind is LayerKind.DENSE and layer.kind is LayerKind.CONV:
        one = replace(
            second,
            name=layer.name,
            reads=layer.reads,
            in_groups=layer.in_groups,
            in_multiplier=math.prod(layer.out_shape[1:]),
            bias=bias,
        )
    elif second.kind is LayerKind.DENSE:
        one = replace(layer, out_group=second.out_group, bias=bias)
    else:
        whole = _geometry(layer, second)
        one = replace(
            layer,
            kernel=whole.kernel,
            stride=whole.stride,
            padding=whole.padding,
            out_shape=second.out_shape,
            out_group=second.out_group,
            bias=bias,
        )
    return one.resized(in_channels=layer.in_channels, out_channels=second.out_channels)


def _path(layer: LayerProfile, network: NetworkProfile) -> tuple[LayerProfile, ...]:
    return path_to(layer, network, {"conv", "dense"}, _BETWEEN)


def _inexact(layer: LayerProfile, path: tuple[LayerProfile, ...]) -> str:
    """Why the product of the two is not one layer; empty when it is."""
    second, flat = path[-1], any(row.op == "flatten" for row in path)
    if max(layer.groups, second.groups) > 1:
        return "one of the two is grouped: together they would be a full convolution."
    if second.kind is LayerKind.DENSE:
        same = layer.kind is LayerKind.CONV and flat
        plain = layer.kind is LayerKind.DENSE and (not flat or len(layer.out_shape) == 1)
        if not (plain or (same and _is_single(layer) and max(layer.stride) == 1)):
            return f"it is not a 1x1 convolution whose positions “{second.name}” reads apart."
        return ""
    if layer.kind is LayerKind.DENSE or flat:
        return "a dense layer and a convolution do not mix the same axis."
    if _is_single(second):
        return ""
    if not _is_single(layer) or max(layer.stride) > 1:
        return "neither it nor the next layer is a 1x1 convolution."
    if layer.bias and max(second.padding) > 0:
        return f"“{second.name}” pads with zeros what it reads, and the bias here is not zero there."
    return ""


def _is_single(layer: LayerProfile) -> bool:
    return max(layer.kernel) == 1 and max(layer.padding) == 0


def _geometry(layer: LayerProfile, second: LayerProfile) -> ConvGeometry:
    """Kernel and padding of the one that has a kernel, steps of both."""
    first, last = ConvGeometry.of(layer), ConvGeometry.of(second)
    wide = first if _is_single(second) else last
    return replace(
        wide,
        in_channels=first.in_channels,
        out_channels=last.out_channels,
        in_size=first.in_size,
        stride=tuple(a * b for a, b in zip(first.stride, last.stride, strict=True)),
        bias=first.bias or last.bias,
    )


def _product(
    module: fx.GraphModule, layer: LayerProfile, second: LayerProfile
) -> tuple[Tensor, Tensor | None]:
    """Weights and bias of the two layers in one, float64."""
    before, after = _weights(module, layer.name), _weights(module, second.name)
    w1, w2 = before[0].flatten(2), after[0].flatten(2)
    if layer.kind is LayerKind.CONV and second.kind is LayerKind.DENSE:
        w2 = w2.reshape(len(w2), layer.out_channels, -1)
    weight = torch.einsum("omk,mij->oikj", w2, w1)
    bias = after[1]
    if before[1] is not None:
        moved = w2.sum(2) @ before[1]
        bias = moved if bias is None else moved + bias
    if second.kind is LayerKind.DENSE:
        return weight.flatten(1), bias
    kernel = layer.kernel if _is_single(second) else second.kernel
    return weight.reshape(*weight.shape[:2], *kernel), bias


def _weights(module: fx.GraphModule, name: str) -> tuple[Tensor, Tensor | None]:
    """Weights ``[outputs, inputs, taps]`` with at least three axes, and the bias, float64."""
    layer = module.get_submodule(name)
    if not isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d):
        raise TypeError(type(layer).__name__)
    weight, bias = layer.weight.detach().double(), layer.bias
    if weight.ndim == 2:
        weight = weight[..., None]
    return weight, None if bias is None else bias.detach().double()


def _flatten_before(surgeon: Surgeon, node: fx.Node) -> None:
    source, name = node.all_input_nodes[0], f"{node.name}_flat"
    surgeon.module.add_module(name, nn.Flatten(1))
    with surgeon.module.graph.inserting_before(node):
        flat = surgeon.module.graph.create_node("call_module", name, (source,), {}, name=name)
    node.replace_input_with(source, flat)
