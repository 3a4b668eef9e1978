"""Climbing by changing one decision at a time: cheap, because a change touches few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from selector.tables import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from selector.action_space import ActionSpace
    from selector.pricing import CostTables

Value = Callable[[Array], Array]
"""Maps totals ``[B, A, 7]`` to what is to be made large ``[B, A]``."""

_LEAST_GAIN = 1e-12


def climb(
    costs: CostTables,
    configs: IntArray,
    mask: BoolArray,
    value: Value,
    target: IntArray | int = 0,
    sweeps: int = 8,
) -> IntArray:
    """Improve every configuration ``[B, D]`` until no single change does, or ``sweeps`` times over.

    Decisions are taken in order, each set to its best action. Never worse than what came in.
    """
    space, rows = costs.space, np.arange(len(configs))
    configs = space.canonical(configs)
    totals = costs.totals(configs, target)
    settled = 0
    for turn in range(sweeps * space.n_decisions):
        decision = turn % space.n_decisions
        ahead = costs.lookahead(configs, decision, totals, target)
        allowed = space.legal(configs, decision, mask)
        values = np.where(allowed, value(ahead), -np.inf)
        best = values.argmax(axis=1)
        better = values[rows, best] > values[rows, configs[:, decision]] + _LEAST_GAIN
        if not better.any():
            settled += 1
            if settled == space.n_decisions:
                break
            continue
        settled = 0
        configs[better, decision] = best[better]
        totals[better] = ahead[better, best[better]]
        if space.removals.reaches_beyond(decision):
            configs[better] = space.removals.silenced_by(configs[better], decision)
            totals[better] = costs.totals(configs[better], _of(target, better))
    return configs


def _of(target: IntArray | int, chosen: BoolArray) -> IntArray | int:
    return target if isinstance(target, int) else target[chosen]


def neighbours(space: ActionSpace, config: IntArray, mask: BoolArray) -> IntArray:
    """``[N, D]`` all legal configurations one change away from ``config [D]``."""
    found = []
    for decision in range(space.n_decisions):
        legal = space.legal(config[None], decision, mask)[0]
        legal[config[decision]] = False
        actions = np.flatnonzero(legal)
        changed = np.repeat(config[None], len(actions), axis=0)
        changed[:, decision] = actions
        found.append(space.canonical(changed))
    return np.concatenate(found)
