"""Which channels can only be removed together: adds, norms and depthwise layers tie them.

Every tensor carries a layout: the axis its channels lie on and the groups they belong to, in order.
Layers that keep channels apart hand their layout on; adds unite groups; a layer that mixes or moves
channels in a way no surgery follows locks the groups it touches, with the reason.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.channel_pool import ChannelPool, Layout, Segments
from compression.channel_rules import (
    CONVOLUTIONS,
    JOINING_FUNCTIONS,
    TRANSPOSED_CONVOLUTIONS,
    UNARY_FUNCTIONS,
    effect,
    layout_behind,
)
from compression.constant_modules import Repeated
from compression.shape_modules import Reshape

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import ChannelGroup, Shape


@dataclass(frozen=True, slots=True)
class Channels:
    """The groups of a network and the layout that each node reads (first input) and writes."""

    groups: tuple[ChannelGroup, ...]
    reads: Mapping[str, Layout]
    writes: Mapping[str, Layout]


def find_channel_groups(module: fx.GraphModule, shapes: Mapping[str, Shape]) -> Channels:
    """Groups of all channels in the graph.

    Args:
        module: the network.
        shapes: output shape of each node, without the batch.
    """
    finder = _Finder(module, shapes)
    for node in module.graph.nodes:
        finder.visit(node)
    return finder.result()


class _Finder:
    def __init__(self, module: fx.GraphModule, shapes: Mapping[str, Shape]) -> None:
        self.module = module
        self.shapes = shapes
        self.pool = ChannelPool()
        self.reads: dict[str, Layout] = {}
        self.writes: dict[str, Layout] = {}
        self.constants: set[str] = set()

    def visit(self, node: fx.Node) -> None:
        if node.op == "placeholder":
            group = self.pool.new(self.shapes[node.name][0], "network input")
            self.writes[node.name] = Layout(1, self._one(group))
            return
        inputs = [self.writes[source.name] for source in node.all_input_nodes]
        if node.op == "output":
            for layout in inputs:
                self.pool.lock(layout, "network output")
            return
        self.reads[node.name] = inputs[0]
        if node.op == "call_module":
            layer = self.module.get_submodule(str(node.target))
            self.writes[node.name] = self._module(node, layer, inputs[0])
        else:
            self.writes[node.name] = self._function(node)

    def _module(self, node: fx.Node, layer: nn.Module, source: Layout) -> Layout:
        if isinstance(layer, CONVOLUTIONS):
            return self._convolution(node, layer, source)
        if isinstance(layer, nn.Linear):
            return self._linear(node, layer, source)
        if isinstance(layer, nn.Softmax | nn.LogSoftmax):
            if layer.dim == source.axis and not any(u.op == "output" for u in node.users):
                self.pool.lock(source, f"{node.name} weighs the channels against each other")
            return source
        if isinstance(layer, nn.LayerNorm | nn.GroupNorm):
            return self._norm(node, layer, source)
        if isinstance(layer, nn.Flatten | Reshape):
            return self._reshape(node, source)
        if isinstance(layer, TRANSPOSED_CONVOLUTIONS):
            return self._opaque(node, source)
        if isinstance(layer, Repeated):
            return self._constant(node, layer)
        old, new = self.shapes[node.all_input_nodes[0].name], self.shapes[node.name]
        return layout_behind(layer, source, old, new) or self._opaque(node, source)

    def _norm(
        self, node: fx.Node, layer: nn.LayerNorm | nn.GroupNorm, source: Layout
    ) -> Layout:
        """A norm over the channels fixes them; a layer norm over other axes leaves them alone."""
        first = 1
        if isinstance(layer, nn.LayerNorm):
            first = self._rank(node) - len(layer.normalized_shape)
        if source.axis >= first:
            self.pool.lock(source, effect(node.name, layer))
        return source

    def _constant(self, node: fx.Node, layer: Repeated) -> Layout:
        """A constant joins whatever layout it meets; its channels are fixed."""
        shape = self.shapes[node.name]
        axis = max(1, len(shape))
        group = self.pool.new(shape[-1] if shape else 1, effect(node.name, layer))
        self.constants.add(node.name)
        return Layout(axis, self._one(group))

    def _convolution(
        self, node: fx.Node, layer: nn.Conv1d | nn.Conv2d, source: Layout
    ) -> Layout:
        if source.axis != 1 or source.multiplier != 1:
            source = self._misread(node, source, 1, layer.in_channels)
        self._read(node, source)
        if layer.groups == layer.in_channels == layer.out_channels > 1:
            if len(source.segments) > 1:
                self.pool.lock(source, f"{node.name} is depthwise over a concatenation")
            self._write(node, source)
            return source
        reason = ""
        if layer.groups > 1:
            reason = f"{node.name} is a grouped convolution"
            self.pool.lock(source, reason)
        written = Layout(1, self._one(self.pool.new(layer.out_channels, reason)))
        self._write(node, written)
        return written

    def _linear(self, node: fx.Node, layer: nn.Linear, source: Layout) -> Layout:
        last = self._rank(node) - 1
        if source.axis != last:
            source = self._misread(node, source, last, layer.in_features)
        self._read(node, source)
        written = Layout(last, self._one(self.pool.new(layer.out_features)))
        self._write(node, written)
        return written

    def _misread(self, node: fx.Node, source: Layout, axis: int, channels: int) -> Layout:
        """What a layer reads as channels although it is something else: nobody may narrow it."""
        reason = self.pool.reason(source) or f"{node.name} reads positions as channels"
        self.pool.lock(source, reason)
        self.reads[node.name] = Layout(axis, self._one(self.pool.new(channels, reason)))
        return self.reads[node.name]

    def _reshape(self, node: fx.Node, source: Layout) -> Layout:
        """Channels stay together when as many values lie before them as did, and they fill an axis."""
        old, new = self.shapes[node.all_input_nodes[0].name], self.shapes[node.name]
        at = source.axis - 1
        before = math.prod(old[:at])
        for axis, size in enumerate(new):
            if math.prod(new[:axis]) == before and size >= old[at]:
                if size == old[at]:
                    return replace(source, axis=axis + 1)
                behind = size // old[at]
                if size % old[at] == 0 and math.prod(old[at + 1 :]) % behind == 0:
                    # a flatten: each channel now stands for neighbouring entries
                    multiplier = source.multiplier * behind
                    return Layout(axis + 1, source.segments, multiplier)
        return self._opaque(node, source)

    def _opaque(self, node: fx.Node, *sources: Layout) -> Layout:
        """A node that no surgery follows: what it reads and what it writes keep their width."""
        kind: object = node.target
        if node.op == "call_module":
            kind = self.module.get_submodule(str(node.target))
        reason = effect(node.name, kind)
        for source in sources:
            self.pool.lock(source, reason)
        shape = self.shapes[node.name]
        return Layout(1, self._one(self.pool.new(shape[0] if shape else 1, reason)))

    def _function(self, node: fx.Node) -> Layout:
        names = [n.name for n in _tensors(node.args)]
        sources = [self.writes[name] for name in names]
        if node.target in UNARY_FUNCTIONS:
            return sources[0]
        if node.target in JOINING_FUNCTIONS:
            return self._unite(node, sources)
        if node.target is torch.cat:
            return self._concatenate(node, names)
        return self._opaque(node, *sources)

    def _unite(self, node: fx.Node, sources: list[Layout]) -> Layout:
        first = max(sources, key=lambda s: sum(s.widths) * s.multiplier)
        for other in sources:
            if other is first:
                continue
            if sum(other.widths) == 1 < sum(first.widths):  # broadcast over all channels
                self.pool.lock(other, f"{node.name} spreads one channel over all")
            elif (other.axis, other.multiplier, other.widths) != (
                *(first.axis, first.multiplier),
                first.widths,
            ):
                return self._opaque(node, *sources)
            else:
                for (mine, _), (theirs, _) in zip(first.segments, other.segments, strict=True):
                    self.pool.unite(mine, theirs)
        return first

    def _concatenate(self, node: fx.Node, names: list[str]) -> Layout:
        dim = int(node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0))  # type: ignore[arg-type]
        computed = [self.writes[name] for name in names if name not in self.constants]
        axis, multiplier = computed[0].axis, computed[0].multiplier
        if any((s.axis, s.multiplier) != (axis, multiplier) for s in computed):
            return self._opaque(node, *computed)
        if dim % self._rank(node) != axis:
            if len(computed) < len(names):
                self.pool.lock(computed[0], f"{node.name} joins a constant to the channels")
            return self._unite(node, computed)
        sources = [self._part(name, axis, multiplier) for name in names]
        layout = Layout(
            axis, tuple(s for source in sources for s in source.segments), multiplier
        )
        self.reads[node.name] = layout
        return layout

    def _part(self, name: str, axis: int, multiplier: int) -> Layout:
        """A part of a concatenation along the channels, constants included."""
        if name not in self.constants:
            return self.writes[name]
        channels = self.shapes[name][axis - 1] // multiplier
        return Layout(
            axis, self._one(self.pool.new(channels, f"{name} is a constant")), multiplier
        )

    def _rank(self, node: fx.Node) -> int:
        """Axes of the node's output, the batch among them."""
        return len(self.shapes[node.name]) + 1

    def _one(self, group: int) -> Segments:
        return ((group, self.pool.channels[group]),)

    def _read(self, node: fx.Node, layout: Layout) -> None:
        self.pool.readers += [(group, node.name) for group, _ in layout.segments]

    def _write(self, node: fx.Node, layout: Layout) -> None:
        self.pool.writers += [(group, node.name) for group, _ in layout.segments]

    def result(self) -> Channels:
        pool = self.pool
        roots = sorted({pool.root(group) for group in range(len(pool.parents))})
        ids = {root: number for number, root in enumerate(roots)}

        def final(layout: Layout) -> Layout:
            segments = tuple((ids[pool.root(g)], c) for g, c in layout.segments)
            return Layout(layout.axis, segments, layout.multiplier)

        return Channels(
            tuple(self.pool.group(root, number) for root, number in ids.items()),
            {name: final(layout) for name, layout in self.reads.items()},
            {name: final(layout) for name, layout in self.writes.items()},
        )


def _tensors(args: Any) -> list[fx.Node]:
    """The nodes among the arguments, in order, repeats kept (``x + x``)."""
    found: list[fx.Node] = []
    for arg in args:
        if isinstance(arg, fx.Node):
            found.append(arg)
        elif isinstance(arg, list | tuple):
            found += _tensors(arg)
    return found
