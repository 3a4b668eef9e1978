"""Climbing by changing one decision at a time: cheap, because a change touches few rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from selector.tables import Array, BoolArray, IntArray

if TYPE_CHECKING:
    from selector.pricing import CostTables

Value = Callable[[Array], Array]
"""Maps totals ``[B, A, 6]`` to what is to be made large ``[B, A]``."""


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
    configs = configs.copy()
    for _ in range(sweeps):
        before = configs.copy()
        for decision in range(configs.shape[1]):
            _improve(costs, configs, decision, mask, value, target)
        if np.array_equal(before, configs):
            break
    return configs


def _improve(
    costs: CostTables,
    configs: IntArray,
    decision: int,
    mask: BoolArray,
    value: Value,
    target: IntArray | int,
) -> None:
    ahead = costs.lookahead(configs, decision, costs.totals(configs, target), target)
    allowed = costs.space.legal(configs, decision, mask)
    values = np.where(allowed, value(ahead), -np.inf)
    rows = np.arange(len(configs))
    best = values.argmax(axis=1)
    better = values[rows, best] > values[rows, configs[:, decision]] + 1e-12
    configs[better, decision] = best[better]
    if decision == costs.space.head:
        configs[:] = costs.space.canonical(configs)
