"""The task as a vectorised environment: one decision a step, many recipes side by side, NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from selector.observation import Observation, Observer
    from selector.reward import Preferences
    from selector.tables import Array, BoolArray, IntArray


class Trace(NamedTuple):
    """``T`` decisions of ``B`` recipes: vectors ``[T, B, n]``, gains and legal ``[T, B, A]``.

    ``values [T + 1, B]`` are the potentials before each decision and of the finished recipe;
    ``actions [T, B]`` are what the recipes chose.
    """

    vectors: Array
    gains: Array
    legal: BoolArray
    values: Array
    actions: IntArray


class CompressionEnv:
    """Recipes grow decision by decision; the reward is the gain in potential.

    Rewards of an episode add up to the potential of the finished recipe minus that of the best
    anchor (see ``Observer``). Nothing is random: a replayed configuration gives the same rewards.

    Attributes:
        observer: makes the observations and knows the order of decisions.
        configs: ``[B, D]`` the recipes so far.
    """

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.configs: IntArray = observer.space.untouched(0)
        self._step = 0
        self._wants: Preferences | None = None
        self._seen: Observation | None = None

    def reset(self, wants: Preferences) -> Observation:
        """Start ``B = len(wants)`` untouched recipes, one for each asker."""
        self.configs = self.observer.space.untouched(len(wants))
        self._step, self._wants = 0, wants
        self._seen = self.observer.observe(self.configs, 0, wants)
        return self._seen

    def step(self, actions: IntArray) -> tuple[Observation | None, Array, bool]:
        """Take one action each: the next observation (``None`` at the end), rewards, terminated.

        Raises:
            ValueError: before ``reset``, after the end, or for an action that is not legal.
        """
        if self._seen is None or self._wants is None:
            raise ValueError("reset the environment before stepping")
        rows = np.arange(len(actions))
        if not self._seen.legal[rows, actions].all():
            raise ValueError("an action is not legal here")
        before, gains = self._seen.value, self._seen.gain[rows, actions]
        self.configs[:, self.observer.order[self._step]] = actions
        self._step += 1
        terminated = self._step == len(self.observer.order)
        if terminated:
            self._seen = None
            return None, gains, True
        self._seen = self.observer.observe(self.configs, self._step, self._wants)
        return self._seen, self._seen.value - before, False

    def trace(self, configs: IntArray, wants: Preferences) -> Trace:
        """Walk finished recipes again, for the same or for other wishes."""
        partial = self.observer.space.untouched(len(configs))
        seen = []
        for step, decision in enumerate(self.observer.order):
            seen.append(self.observer.observe(partial, step, wants))
            partial[:, decision] = configs[:, decision]
        vectors, gains, legal, values = (np.stack(part) for part in zip(*seen, strict=True))
        actions = configs[:, self.observer.order].T
        last = values[-1] + gains[-1][np.arange(len(configs)), actions[-1]]
        return Trace(vectors, gains, legal, np.concatenate([values, last[None]]), actions)
