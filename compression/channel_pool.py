"""Layouts of channels and the pool of groups that they belong to, while the groups are found."""

from __future__ import annotations

from dataclasses import dataclass, field

from compression.types import ChannelGroup

Segments = tuple[tuple[int, int], ...]


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


@dataclass
class ChannelPool:
    """Groups in the making: union-find over their ids, and who writes and reads them."""

    parents: list[int] = field(default_factory=list)
    channels: list[int] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)
    writers: list[tuple[int, str]] = field(default_factory=list)
    readers: list[tuple[int, str]] = field(default_factory=list)

    def new(self, channels: int, reason: str = "") -> int:
        """Id of a new group of that many channels; with a reason it is fixed from the start."""
        self.parents.append(len(self.parents))
        self.channels.append(channels)
        if reason:
            self.reasons[len(self.parents) - 1] = reason
        return len(self.parents) - 1

    def root(self, group: int) -> int:
        """The group that stands for all that were united with this one."""
        while self.parents[group] != group:
            group = self.parents[group]
        return group

    def unite(self, first: int, second: int) -> None:
        """Ties two groups: from now on they are one."""
        first, second = sorted((self.root(first), self.root(second)))
        self.parents[second] = first
        if second in self.reasons:
            self.reasons.setdefault(first, self.reasons[second])

    def lock(self, layout: Layout, reason: str) -> None:
        """Fixes the width of all groups of a layout; the first reason stands."""
        for group, _ in layout.segments:
            self.reasons.setdefault(self.root(group), reason)

    def reason(self, layout: Layout) -> str:
        """Why the groups of a layout are fixed; empty when one of them is not."""
        reasons = [self.reasons.get(self.root(group), "") for group, _ in layout.segments]
        return reasons[0] if all(reasons) else ""

    def group(self, root: int, number: int) -> ChannelGroup:
        """The finished group of a root, under that id."""

        def names(pairs: list[tuple[int, str]]) -> tuple[str, ...]:
            return tuple(dict.fromkeys(n for g, n in pairs if self.root(g) == root))

        writers = names(self.writers)
        return ChannelGroup(
            id=number,
            channels=self.channels[root],
            leader=writers[0] if writers else "",
            writers=writers,
            readers=names(self.readers),
            reason=self.reasons.get(root, ""),
        )
