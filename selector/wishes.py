"""Random wishes, as people might have them: what the agent trains on and is tested with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.reward import Preferences, for_targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate

_LIMITED = 0.5  # share of the drawn budgets that are active
_LOOSEST_POINTS, _TIGHTEST_POINTS = 8.0, 0.2


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
