"""What a recipe is worth to somebody: the score of goals, and budgets as hard limits."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import ENERGY, LATENCY, SIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, BoolArray, IntArray
    from selector.types import Budgets, Goals

POINTS_PER_UNIT = 5.0
"""Losing so many points outweighs the best attainable gain of another goal of equal weight."""

BUDGET_NAMES = ("max_accuracy_drop", "max_latency_ms", "max_energy_mj", "max_size_bytes")
"""The order of every last axis of four: points lost, ms, mJ, bytes."""

_NO_LIMIT = np.inf
_LEAST_UNITS = np.array([1.0, 1e-9, 1e-9, 1e-9])  # a limit of zero must not divide by zero
INFEASIBLE = -1000.0
"""No utility above this breaks a budget, none below keeps them all."""

_STEP = 0.25  # training: the least that any violation costs
_SLOPE = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What ``B`` askers want, each for a target of its own.

    Attributes:
        weights: ``[B, 4]`` shares of accuracy, latency, energy and storage, summing to 1.
        limits: ``[B, 4]`` the budgets in the order of ``BUDGET_NAMES``; infinite for none.
        base: ``[B, 3]`` ms, mJ and bytes of the network as it came.
        best_log2: ``[B, 3]`` log2 of the best attainable ratios.
        target: ``[B]`` index of the target.
    """

    weights: Array
    limits: Array
    base: Array
    best_log2: Array
    target: IntArray

    def __len__(self) -> int:
        return len(self.weights)

    def take(self, rows: IntArray | BoolArray | slice) -> Preferences:
        """Some of the askers."""
        return Preferences(
            weights=self.weights[rows],
            limits=self.limits[rows],
            base=self.base[rows],
            best_log2=self.best_log2[rows],
            target=self.target[rows],
        )

    def mixed(self, other: Preferences, swap: BoolArray) -> Preferences:
        """These askers, with those of ``other`` where ``swap [B]`` says so."""
        chosen = np.where(swap, len(self) + np.arange(len(self)), np.arange(len(self)))
        both = {
            field.name: np.concatenate([getattr(self, field.name), getattr(other, field.name)])
            for field in fields(Preferences)
        }
        return Preferences(**both).take(chosen)

    def repeated(self, count: int) -> Preferences:
        """Every asker ``count`` times in a row."""
        return self.take(np.repeat(np.arange(len(self)), count))


def preferences(
    surrogate: Surrogate, targets: Sequence[DeviceProfile], goals: Goals, budgets: Budgets
) -> Preferences:
    """The same goals and budgets on each of the targets: ``B = len(targets)``."""
    shares = goals.normalised()
    weights = [shares.accuracy, shares.latency, shares.energy, shares.storage]
    wanted = [getattr(budgets, name) for name in BUDGET_NAMES]
    limits = [_NO_LIMIT if limit is None else float(limit) for limit in wanted]
    return for_targets(
        surrogate,
        targets,
        np.arange(len(targets)),
        np.tile(weights, (len(targets), 1)),
        np.tile(limits, (len(targets), 1)),
    )


def for_targets(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    target: IntArray,
    weights: Array,
    limits: Array,
) -> Preferences:
    """Preferences with the scale of each asker's target filled in."""
    base = np.array([surrogate.scale(t).base for t in targets])
    best = np.array([surrogate.scale(t).best_log2 for t in targets])
    return Preferences(
        weights=weights, limits=limits, base=base[target], best_log2=best[target], target=target
    )


def quantities(surrogate: Surrogate, totals: Array) -> Array:
    """``[..., 4]`` points lost, ms, mJ and bytes from totals ``[..., 7]``."""
    found = np.empty((*totals.shape[:-1], 4))
    found[..., 0] = surrogate.drop_points(totals)
    for column, total in enumerate((LATENCY, ENERGY, SIZE), start=1):
        found[..., column] = totals[..., total]
    return found


def terms(values: Array, wants: Preferences) -> Array:
    """``[B, ..., 4]`` terms of the score from quantities of that shape.

    Accuracy: minus the points lost divided by 5, at least -1. The others: log2 of the ratio to the
    baseline divided by log2 of the best attainable ratio (0 at the baseline, 1 at the best).
    """
    base, best = _along(wants.base, values), _along(wants.best_log2, values)
    found = np.empty(np.broadcast_shapes(values.shape, (*base.shape[:-1], 4)))
    np.maximum(-1.0, values[..., 0] / -POINTS_PER_UNIT, out=found[..., 0])
    gains = np.log2(base / np.maximum(values[..., 1:], 1e-12), out=found[..., 1:])
    gains /= best
    return found


def score(values: Array, wants: Preferences) -> Array:
    """``[B, ...]`` the sum of weight times term; 0 for the network as it came."""
    return np.asarray((terms(values, wants) * _along(wants.weights, values)).sum(axis=-1))


def violations(values: Array, wants: Preferences) -> Array:
    """``[B, ..., 4]`` by what share of it each limit is exceeded, 0 where it is kept."""
    limits = _along(wants.limits, values)
    unit = np.maximum(limits, _LEAST_UNITS)
    return np.asarray(np.maximum(values - limits, 0.0) / unit)


def utility(values: Array, wants: Preferences) -> Array:
    """``[B, ...]`` the order in which recipes are preferred.

    The score where every limit is kept; else below any such score, by total relative violation.
    """
    over = violations(values, wants).sum(axis=-1)
    return np.asarray(np.where(over <= 0, score(values, wants), INFEASIBLE - over))


def excess(values: Array, wants: Preferences) -> Array:
    """``[B, ..., 4]`` by how much each limit is exceeded in units of the terms of the score.

    Unlike ``violations`` it falls evenly while a network shrinks towards a limit far below it.
    """
    limits = _along(wants.limits, values)
    points = np.minimum(
        1.0, np.maximum(0.0, values[..., :1] - limits[..., :1]) / POINTS_PER_UNIT
    )
    ratios = np.maximum(values[..., 1:], 1e-12) / np.maximum(limits[..., 1:], 1e-12)
    over = np.log2(np.maximum(ratios, 1.0)) / _along(wants.best_log2, values)
    return np.concatenate([points, over], axis=-1)


def potential(values: Array, wants: Preferences) -> Array:
    """``[B, ...]`` what training climbs: the score, less a penalty for each limit exceeded.

    The difference of two potentials is the dense reward of one decision; along a recipe they add
    up to the potential of the whole, so that shaping does not change which recipe is best. No gain
    of score pays for a penalty: it is steeper than any weight.
    """
    return penalised(terms(values, wants), excess(values, wants), wants)


def penalised(found: Array, over: Array, wants: Preferences) -> Array:
    """``[B, ...]`` the potential from ``terms`` and ``excess`` ``[B, ..., 4]``, where both are at hand."""
    scored = (found * _along(wants.weights, found)).sum(axis=-1)
    penalty = ((over > 0) * _STEP + _SLOPE * over).sum(axis=-1)
    return np.asarray(np.maximum(scored, -2.0) - penalty)


def relative_gap(found: Array, best: Array) -> Array:
    """Score missing to the best, as a share of what compression can win at all."""
    return np.asarray((best - found) / np.maximum(best, 0.01))


def gap_to_best(found: float, best: float) -> float | None:
    """The relative gap between two utilities: 1 where only the best keeps all limits, None where neither does."""
    if max(found, best) <= INFEASIBLE:
        return None
    if found <= INFEASIBLE:
        return 1.0
    return float(relative_gap(np.array(found), np.array(max(found, best))))


def _along(per_asker: Array, values: Array) -> Array:
    """Shape ``[B, n]`` made to broadcast against ``[B, ..., m]``."""
    if len(per_asker) == 1:
        return np.asarray(per_asker[0])
    return per_asker.reshape(len(per_asker), *(1,) * (values.ndim - 2), per_asker.shape[-1])
