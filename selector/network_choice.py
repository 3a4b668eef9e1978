"""Which whole networks to time: those whose times tell most about all the others."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.host_latency import FRESH, Ridge, Scales, Sums

if TYPE_CHECKING:
    from selector.action_space import ActionSpace
    from selector.tables import Array, IntArray, StudyTables

_POOL = 200
_LEAST_CHANGED, _MOST_CHANGED = 0.25, 1.0
_SCALES = Scales(cache_bytes=0.0, noise=0.03, layer=0.2, way=0.1)
"""As tiny networks show them."""


def telling(tables: StudyTables, space: ActionSpace, count: int, seed: int) -> IntArray:
    """``[count, D]`` float recipes out of many drawn ones, the most telling first; same for a seed and these times.

    Times are unknown, but not how far they may be off and which networks are off together: that is
    the prior of ``host_latency``. Each network is the one that leaves the least variance over all
    (Cohn 1996, active learning with Gaussian processes), the original being timed anyway.

    Args:
        tables: with the times of operations alone.
        space: of these tables.
        count: how many.
        seed: of what is drawn.
    """
    pool = np.concatenate([space.untouched(), drawn(space, max(_POOL, count), seed)])
    sums = Sums.of(tables, space, pool)
    deviations = Ridge(tables, sums, 0, FRESH, _SCALES).deviations()
    chosen = _least_variance(deviations @ deviations.T, _SCALES.noise**2, count)
    return np.asarray(pool[chosen])


def _least_variance(covariance: Array, noise: float, count: int) -> list[int]:
    """Indices, without the first, whose observation leaves the smallest trace; one after the other."""
    chosen: list[int] = []
    at = 0
    for _ in range(count):
        seen = covariance[:, at]
        covariance = covariance - np.outer(seen, seen) / (seen[at] + noise)
        gains = (covariance**2).sum(axis=0) / (np.diag(covariance) + noise)
        gains[[0, *chosen]] = -1.0
        at = int(gains.argmax())
        chosen.append(at)
    return chosen


def drawn(space: ActionSpace, count: int, seed: int) -> IntArray:
    """``[count, D]`` float recipes, from few changes to all decisions changed; same for a seed."""
    rng = np.random.default_rng(seed)
    configs = space.sample(space.mask, count, rng)
    shares = np.linspace(_LEAST_CHANGED, _MOST_CHANGED, count)[:, None]
    configs = np.where(rng.random(configs.shape) < shares, configs, 0)
    configs[:, -1] = 0
    return space.canonical(configs)
