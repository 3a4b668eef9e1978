"""The task as a vectorised environment: one decision a step, many recipes side by side, NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector.cell_prices import N_COLUMNS

if TYPE_CHECKING:
    from selector.observation import Observation, Observer, Walk
    from selector.reward import Preferences
    from selector.tables import Array, BoolArray, IntArray


class Trace(NamedTuple):
    """``T`` decisions of ``B`` recipes: states ``[T, B, n]``, actions ``[T, B, A, F]``, padded.

    ``outlooks`` and ``legal`` are ``[T, B, A]``, ``values [T + 1, B]`` the potentials before each decision
    and of the finished recipe; ``chosen [T, B]`` are the actions taken.
    """

    states: Array
    actions: Array
    outlooks: Array
    legal: BoolArray
    values: Array
    chosen: IntArray

    def of(self, recipes: slice) -> Trace:
        """The same decisions of some of the recipes."""
        return Trace(
            states=self.states[:, recipes],
            actions=self.actions[:, recipes],
            outlooks=self.outlooks[:, recipes],
            legal=self.legal[:, recipes],
            values=self.values[:, recipes],
            chosen=self.chosen[:, recipes],
        )


class CompressionEnv:
    """Recipes change decision by decision; the reward is the gain in potential.

    Rewards of an episode add up to the potential of the finished recipe minus that of the one it
    started from. Nothing is random: a replayed walk gives the same rewards.

    Attributes:
        observer: makes the observations and knows the order of decisions.
        configs: ``[B, D]`` the recipes so far.
        totals: ``[B, 7]`` what they cost.
    """

    def __init__(self, observer: Observer) -> None:
        self.observer = observer
        self.configs: IntArray = observer.space.untouched(0)
        self.totals: Array = np.zeros((0, N_COLUMNS))
        self._step = 0
        self._walk: Walk | None = None
        self._seen: Observation | None = None

    def reset(
        self, wants: Preferences, starts: IntArray, decisions: IntArray | None = None
    ) -> Observation:
        """Start from recipes ``[B, D]``, one for each asker; ``decisions`` are those to take anew."""
        self.configs, self._step = starts.copy(), 0
        self.totals = self.observer.costs.totals(starts, wants.target)
        self._walk = self.observer.walk(wants, starts, decisions)
        self._seen = self.observer.observe(self._walk, 0, self.configs, self.totals)
        return self._seen

    def step(self, actions: IntArray) -> tuple[Observation | None, Array, bool]:
        """Take one action each: the next observation (``None`` at the end), rewards, terminated.

        Raises:
            ValueError: before ``reset``, after the end, or for an action that is not legal.
        """
        if self._seen is None or self._walk is None:
            raise ValueError("reset the environment before stepping")
        rows, seen, walk = np.arange(len(actions)), self._seen, self._walk
        if not seen.legal[rows, actions].all():
            raise ValueError("an action is not legal here")
        decision = int(walk.decisions[self._step])
        self.configs[:, decision] = actions
        reward = seen.gain[rows, actions]
        self.totals = seen.ahead[rows, actions]
        if self.observer.space.removals.reaches_beyond(decision):
            reward = self._settle(walk) - seen.value
        if decision == self.configs.shape[1] - 1:
            self._walk = walk = self.observer.reconsidered(walk, self.configs)
        self._step += 1
        if self._step == len(walk.decisions):
            self._seen = None
            return None, reward, True
        self._seen = self.observer.observe(walk, self._step, self.configs, self.totals)
        return self._seen, reward, False

    def trace(
        self,
        starts: IntArray,
        configs: IntArray,
        wants: Preferences,
        decisions: IntArray | None = None,
    ) -> Trace:
        """Walk from ``starts`` towards finished recipes again, for the same or for other wishes.

        Where a finished recipe says what is not legal on the way, nothing is changed. What a walk decides
        twice is from the first what it ended as.
        """
        seen: Observation | None = self.reset(wants, starts, decisions)
        observed, chosen, rows = [], [], np.arange(len(starts))
        while seen is not None and self._walk is not None:
            wanted = configs[:, self._walk.decisions[self._step]]
            fallback = seen.legal.argmax(axis=1)
            actions = np.where(seen.legal[rows, wanted], wanted, fallback)
            observed.append(seen)
            chosen.append(actions)
            seen, reward, _ = self.step(actions)
        last = observed[-1].value + reward
        most = max(each.legal.shape[1] for each in observed)
        return Trace(
            np.stack([each.state for each in observed]),
            np.stack([_padded(each.actions, most) for each in observed]),
            np.stack([_padded(each.outlook, most) for each in observed]),
            np.stack([_padded(each.legal, most) for each in observed]),
            np.stack([*(each.value for each in observed), last]),
            np.stack(chosen),
        )

    def _settle(self, walk: Walk) -> Array:
        """Say nothing about what is gone; the potential ``[B]`` of what is left."""
        self.configs = self.observer.space.canonical(self.configs)
        self.totals = self.observer.costs.totals(self.configs, walk.wants.target)
        return self.observer.potential(self.totals, walk.wants)


def _padded(values: Array | BoolArray, width: int) -> Array:
    """``[B, A', ...]`` made ``[B, width, ...]`` with zeros."""
    full = np.zeros((len(values), width, *values.shape[2:]), dtype=values.dtype)
    full[:, : values.shape[1]] = values
    return full
