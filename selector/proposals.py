"""Which recipes to build for real next: answers to many kinds of goals, far from each other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.pareto import spread
from selector.selection import Question
from selector.types import Budgets, Goals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import IntArray

LOSSES = (0.3, 0.7, 1.5, 3.0)
"""Points that may be lost: predictions are wrong by a factor before anything was built."""

WISHES = (
    Goals(accuracy=0.1, latency=0.3, energy=0.3, storage=0.3),
    Goals(accuracy=0.0, latency=1.0, energy=0.0, storage=0.0),
    Goals(accuracy=0.0, latency=0.0, energy=0.0, storage=1.0),
)
_STARTS = 6


def propose(
    surrogate: Surrogate, count: int, targets: Sequence[DeviceProfile], seed: int
) -> IntArray:
    """``[<= count, D]`` distinct configurations along the predicted front, the same for a seed.

    Each answers one wish within one loss on one target; of these, the ones that differ most in
    predicted loss, time and size are kept, so that a few builds teach the predictions the most.
    """
    rng = np.random.default_rng(seed)
    starts = surrogate.space.sample(surrogate.space.mask, _STARTS, rng)
    starts = np.concatenate([surrogate.space.untouched(), starts])
    found = [
        _answer(
            Question(surrogate=surrogate, target=target, goals=goals, budgets=budgets), starts
        )
        for budgets in (Budgets(max_accuracy_drop=loss) for loss in LOSSES)
        for goals in WISHES
        for target in targets
    ]
    distinct = np.unique(np.array(found), axis=0)
    changed = distinct[distinct.any(axis=1)]
    if not len(changed):
        return distinct[:0]
    chosen = spread(_points(surrogate, changed, targets[0]), count)
    return changed[chosen]


def _answer(question: Question, starts: IntArray) -> IntArray:
    prepared = question.prepared()
    return prepared.best(prepared.polished(starts))


def _points(surrogate: Surrogate, configs: IntArray, target: DeviceProfile) -> np.ndarray:
    """``[N, 3]`` logs of what they lose, take and weigh: equal steps are equal factors."""
    metrics = surrogate.evaluate(configs, target)
    columns = (metrics.drop_points + 0.1, metrics.latency_ms, metrics.size_bytes)
    return np.log(np.maximum(np.stack(columns, axis=1), 1e-9))
