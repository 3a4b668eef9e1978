"""The task as a vectorised environment: one decision a step, many recipes side by side, NumPy only."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector.reward import Preferences, for_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.observation import Observation, Observer
    from selector.surrogate import Surrogate
    from selector.tables import Array, BoolArray, IntArray

_LIMITED = 0.5  # share of the drawn budgets that are active
_LOOSEST_POINTS, _TIGHTEST_POINTS = 8.0, 0.2


class Trace(NamedTuple):
    """``T`` decisions of ``B`` recipes: vectors ``[T, B, n]``, gains and legal ``[T, B, A]``.

    ``actions [T, B]`` are what the recipes chose.
    """

    vectors: Array
    gains: Array
    legal: BoolArray
    actions: IntArray


class CompressionEnv:
    """Recipes grow decision by decision; the reward is the gain in potential.

    Rewards of an episode add up to the potential of the finished recipe minus that of the
    untouched network. Nothing is random: a replayed configuration gives the same rewards.

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
        rewards = self._seen.gain[rows, actions]
        self.configs[:, self.observer.order[self._step]] = actions
        self._step += 1
        terminated = self._step == len(self.observer.order)
        self._seen = (
            None if terminated else self.observer.observe(self.configs, self._step, self._wants)
        )
        return self._seen, rewards, terminated

    def trace(self, configs: IntArray, wants: Preferences) -> Trace:
        """Walk finished recipes again, for the same or for other wishes."""
        partial = self.observer.space.untouched(len(configs))
        seen = []
        for step, decision in enumerate(self.observer.order):
            seen.append(self.observer.observe(partial, step, wants))
            partial[:, decision] = configs[:, decision]
        vectors, gains, legal = (np.stack(part) for part in zip(*seen, strict=True))
        return Trace(vectors, gains, legal, configs[:, self.observer.order].T)


def draw_wishes(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    count: int,
    rng: np.random.Generator,
) -> Preferences:
    """Random goals and budgets, as people might set them, each for one of the targets.

    Weights are even over the simplex, or (one in three) near its corners; each budget is active in
    half of the cases, anywhere between what costs nothing and the best attainable.
    """
    n_goals = 4
    even = rng.dirichlet(np.ones(n_goals), count)
    corner = rng.dirichlet(np.full(n_goals, 0.3), count)
    weights = np.where(rng.random((count, 1)) < 1 / 3, corner, even)
    target = rng.integers(0, len(targets), count)
    limits = np.full((count, n_goals), np.inf)
    wants = for_targets(surrogate, targets, target, weights, limits)
    span = np.log(_LOOSEST_POINTS / _TIGHTEST_POINTS)
    limits[:, 0] = _TIGHTEST_POINTS * np.exp(span * rng.random(count))
    limits[:, 1:] = wants.base * 2.0 ** (-wants.best_log2 * rng.random((count, n_goals - 1)))
    limits[rng.random((count, n_goals)) >= _LIMITED] = np.inf
    return wants
