"""Finished configurations with the wishes they were made for: any step of them can be replayed."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.reward import Preferences

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.tables import Array, IntArray


class ReplayBuffer:
    """A ring of the latest ``capacity`` episodes.

    Configurations are kept instead of transitions: observations and rewards of every step, for the
    old wishes or for new ones, are computed again when drawn, and take no memory.
    """

    def __init__(self, capacity: int, n_decisions: int) -> None:
        self._starts: IntArray = np.zeros((capacity, n_decisions), dtype=np.int64)
        self._configs: IntArray = np.zeros((capacity, n_decisions), dtype=np.int64)
        self._wants: dict[str, Array | IntArray] = {}
        self._added = 0

    def __len__(self) -> int:
        return min(self._added, len(self._configs))

    def add(self, starts: IntArray, configs: IntArray, wants: Preferences) -> None:
        """Store episodes, from and to ``[B, D]``; the oldest make room."""
        rows = (self._added + np.arange(len(configs))) % len(self._configs)
        self._starts[rows], self._configs[rows] = starts, configs
        for field in fields(Preferences):
            values = getattr(wants, field.name)
            self._make_room(field.name, values)[rows] = values
        self._added += len(configs)

    def state(self) -> dict[str, Array | IntArray]:
        """Everything that was stored and is still there, copied."""
        kept: dict[str, Array | IntArray] = {"starts": self._starts, "configs": self._configs}
        kept |= {f"wants.{name}": values for name, values in self._wants.items()}
        found = {name: values[: len(self)].copy() for name, values in kept.items()}
        return {**found, "added": np.array(self._added)}

    def take_up(self, state: Mapping[str, Array | IntArray]) -> None:
        """Goes back to a ``state`` of a buffer of the same capacity."""
        count = len(state["starts"])
        self._added = int(state["added"])
        self._starts[:count], self._configs[:count] = state["starts"], state["configs"]
        for field in fields(Preferences):
            values = state.get(f"wants.{field.name}")
            if values is not None:
                self._make_room(field.name, values)[:count] = values

    def _make_room(self, name: str, values: Array | IntArray) -> Array | IntArray:
        if name not in self._wants:
            shape = (len(self._configs), *values.shape[1:])
            self._wants[name] = np.zeros(shape, dtype=values.dtype)
        return self._wants[name]

    def sample(
        self, count: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray, Preferences]:
        """``count`` episodes drawn evenly: starts and configurations ``[count, D]``, and their wishes."""
        rows = rng.integers(0, len(self), count)
        wants: dict[str, Any] = {name: values[rows] for name, values in self._wants.items()}
        return self._starts[rows], self._configs[rows], Preferences(**wants)
