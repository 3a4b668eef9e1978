"""Which channels can only be removed together: adds, norms and depthwise layers tie them.

Every tensor carries a layout: the axis its channels lie on and the groups they belong to, in order.
Layers that keep channels apart hand their layout on; adds unite groups; a layer that mixes or moves
channels in a way no surgery follows locks the groups it touches, with the reason.
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.shape_modules import Permute, Reshape, StridedSlice
from compression.types import ChannelGroup, Shape

if TYPE_CHECKING:
    from collections.abc import Mapping

Segments = tuple[tuple[int, int], ...]

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d)
PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)
CHANNEL_WISE = (
    *(nn.BatchNorm1d, nn.BatchNorm2d, nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d),
    *(nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d),
    *(nn.ReLU, nn.ReLU6, nn.Hardtanh, nn.Sigmoid, nn.Tanh, nn.LeakyReLU, nn.Hardsigmoid),
    *(nn.Hardswish, nn.SiLU, nn.GELU, nn.ELU, nn.SELU, nn.Softplus, nn.Mish, nn.PReLU),
    *(nn.Dropout, nn.Identity, nn.LocalResponseNorm),
)
"""Layers whose output channel depends on the same input channel (or nearly, for the last)."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a tensor keeps its channels.

    ``axis`` counts the batch. ``segments`` are ``(group, channels)`` in order; each channel stands
    for ``multiplier`` neighbouring entries of the axis (more than 1 behind a flatten).
    """

    axis: int
    segments: Segments
    multiplier: int = 1

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels of each segment."""
        return tuple(channels for _, channels in self.segments)


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


@dataclass
class _Pool:
    """Union-find over group ids."""

    parents: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    writers: list[tuple[int, str]] = field(default_factory=list)
    readers: list[tuple[int, str]] = field(default_factory=list)

    def new(self, channels: int, reason: str = "") -> int:
        self.parents.append(len(self.parents))
        self.channels.append(channels)
        if reason:
            self.reasons[len(self.parents) - 1] = reason
        return len(self.parents) - 1

    def root(self, group: int) -> int:
        while self.parents[group] != group:
            group = self.parents[group]
        return group

    def unite(self, first: int, second: int) -> None:
        first, second = sorted((self.root(first), self.root(second)))
        self.parents[second] = first
        if second in self.reasons:
            self.reasons.setdefault(first, self.reasons[second])

    def lock(self, layout: Layout, reason: str) -> None:
        for group, _ in layout.segments:
            self.reasons.setdefault(self.root(group), reason)


class _Finder:
    def __init__(self, module: fx.GraphModule, shapes: Mapping[str, Shape]) -> None:
        self.module = module
        self.shapes = shapes
        self.pool = _Pool()
        self.reads: dict[str, Layout] = {}
        self.writes: dict[str, Layout] = {}

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
        if isinstance(layer, CHANNEL_WISE):
            return source
        if isinstance(layer, nn.Softmax | nn.LogSoftmax):
            if not any(user.op == "output" for user in node.users):
                self.pool.lock(source, f"{node.name} weighs the channels against each other")
            return source
        if isinstance(layer, nn.Flatten | Reshape):
            return self._reshape(node, source)
        if isinstance(layer, Permute):
            return Layout(layer.axes.index(source.axis), source.segments, source.multiplier)
        if isinstance(layer, PADS) and len(layer.padding) <= 2 * (
            self._rank(node) - 1 - source.axis
        ):
            return source
        if isinstance(layer, StridedSlice) and all(s[0] != source.axis for s in layer.slices):
            return source
        return self._opaque(node, source)

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
        reason = f"{node.name} reads positions as channels"
        self.pool.lock(source, reason)
        self.reads[node.name] = Layout(axis, self._one(self.pool.new(channels, reason)))
        return self.reads[node.name]

    def _reshape(self, node: fx.Node, source: Layout) -> Layout:
        old, new = self.shapes[node.all_input_nodes[0].name], self.shapes[node.name]
        if source.axis == 1:
            if old[0] == new[0]:
                return source
            ratio = new[0] / old[0] * source.multiplier
            if (
                math.prod(new[1:]) * new[0] == math.prod(old)
                and ratio >= 1
                and ratio.is_integer()
            ):
                return Layout(1, source.segments, int(ratio))
        return self._opaque(node, source)

    def _opaque(self, node: fx.Node, *sources: Layout) -> Layout:
        """A node that no surgery follows: what it reads and what it writes keep their width."""
        reason = f"{node.name} moves or mixes channels"
        for source in sources:
            self.pool.lock(source, reason)
        shape = self.shapes[node.name]
        return Layout(1, self._one(self.pool.new(shape[0] if shape else 1, reason)))

    def _function(self, node: fx.Node) -> Layout:
        sources = [self.writes[n.name] for n in _tensors(node.args)]
        if node.target in (operator.add, operator.mul, operator.sub):
            return self._unite(node, sources)
        if node.target is torch.cat:
            return self._concatenate(node, sources)
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

    def _concatenate(self, node: fx.Node, sources: list[Layout]) -> Layout:
        dim = int(node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0))  # type: ignore[arg-type]
        axis, multiplier = sources[0].axis, sources[0].multiplier
        if any((s.axis, s.multiplier) != (axis, multiplier) for s in sources):
            return self._opaque(node, *sources)
        if dim % self._rank(node) != axis:
            return self._unite(node, sources)
        layout = Layout(
            axis, tuple(s for source in sources for s in source.segments), multiplier
        )
        self.reads[node.name] = layout
        return layout

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
            tuple(self._group(root, number) for root, number in ids.items()),
            {name: final(layout) for name, layout in self.reads.items()},
            {name: final(layout) for name, layout in self.writes.items()},
        )

    def _group(self, root: int, number: int) -> ChannelGroup:
        def names(pairs: list[tuple[int, str]]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(n for g, n in pairs if self.pool.root(g) == root))

        writers = names(self.pool.writers)
        return ChannelGroup(
            id=number,
            channels=self.pool.channels[root],
            leader=writers[0] if writers else "",
            writers=writers,
            readers=names(self.pool.readers),
            reason=self.pool.reasons.get(root, ""),
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
