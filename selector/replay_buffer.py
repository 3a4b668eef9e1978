"""Finished configurations with the wishes they were made for: any step of them can be replayed."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.reward import Preferences

if TYPE_CHECKING:
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
            if field.name not in self._wants:
                shape = (len(self._configs), *values.shape[1:])
                self._wants[field.name] = np.zeros(shape, dtype=values.dtype)
            self._wants[field.name][rows] = values
        self._added += len(configs)

    def sample(
        self, count: int, rng: np.random.Generator
    ) -> tuple[IntArray, IntArray, Preferences]:
        """``count`` episodes drawn evenly: starts and configurations ``[count, D]``, and their wishes."""
        rows = rng.integers(0, len(self), count)
        wants: dict[str, Any] = {name: values[rows] for name, values in self._wants.items()}
        return self._starts[rows], self._configs[rows], Preferences(**wants)
