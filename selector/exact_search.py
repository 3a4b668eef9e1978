"""Recipes that are exactly cheapest, at prices that follow the score and lean on the limits.

The terms of the score but accuracy are convex in the totals: the cheapest recipe at the score's slopes is
no worse in them than the recipe where the slopes were taken (minorise and maximise, Hunter and Lange 2004).
A limit adds to the price of its quantity, more while it is missed and less while it is kept, so that recipes
come close to it from both sides. Many decisions change at once, where a climb changes one or two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import DAMAGE, ENERGY, LATENCY, MACS, PARAMS, SIZE
from selector.elimination import Cheapest
from selector.reward import POINTS_PER_UNIT, quantities

if TYPE_CHECKING:
    from selector.pricing import CostTables
    from selector.reward import Preferences
    from selector.surrogate import Surrogate
    from selector.tables import Array, BoolArray, IntArray

_COSTS = [LATENCY, ENERGY, SIZE]
_LEAST_DAMAGE = 0.05  # the slope of the loss has no end where nothing is damaged
_PACE = 8.0  # of the prices of limits, by how far a limit is missed in units of the score
_MOST_PACE = 1.2
_LEAST_PRICE = 1e-3


class ExactSearch:
    """The exact solvers of some targets under one mask, made when they are needed."""

    def __init__(self, surrogate: Surrogate, costs: CostTables, mask: BoolArray) -> None:
        self._surrogate, self._costs, self._mask = surrogate, costs, mask
        self._solvers: dict[tuple[int, int], Cheapest] = {}

    def recipes(
        self, wants: Preferences, pressure: Array, configs: IntArray, turns: int
    ) -> IntArray:
        """``[turns * K, D]`` recipes that a path of so many turns meets for each of ``K`` askers.

        A path begins at a configuration ``[K, D]``, keeps its precision, and first prices limits by
        ``pressure [K, 4]``, in score a unit of the terms of the score.
        """
        found = []
        for _ in range(turns):
            totals = self._costs.totals(configs, wants.target)
            over = _over(quantities(self._surrogate, totals), wants)
            pressure = pressure * np.exp(np.clip(_PACE * over, -_MOST_PACE, _MOST_PACE))
            prices = _prices(self._surrogate, totals, wants, pressure)
            block = self._costs.block(configs, wants.target)
            prices = self._costs.marginal_prices(prices, totals, block)
            configs = self._cheapest(configs, prices, wants.target)
            found.append(configs)
        return np.concatenate(found)

    def _cheapest(self, configs: IntArray, prices: Array, target: IntArray) -> IntArray:
        """The cheapest configuration ``[K, D]`` in the precision of each at prices ``[K, 7]``."""
        found = np.empty_like(configs)
        kinds = np.stack([target, configs[:, -1]], axis=1)
        for kind in np.unique(kinds, axis=0).tolist():
            mine = (kinds == kind).all(axis=1)
            _, found[mine] = self._solver(*kind).find_many(prices[mine])
        return found

    def _solver(self, target: int, precision: int) -> Cheapest:
        key = target, precision
        if key not in self._solvers:
            self._solvers[key] = Cheapest(self._costs, self._mask, precision, target)
        return self._solvers[key]


def _over(values: Array, wants: Preferences) -> Array:
    """``[K, 4]`` by how much each limit is missed (or kept, negative) in units of the terms of the score."""
    limited = np.isfinite(wants.limits)
    limits = np.where(limited, np.maximum(wants.limits, 1e-12), 1.0)
    points = (values[:, :1] - limits[:, :1]) / POINTS_PER_UNIT
    ratios = np.log2(np.maximum(values[:, 1:], 1e-12) / limits[:, 1:]) / wants.best_log2
    return np.concatenate([points, ratios], axis=1) * limited


def _prices(surrogate: Surrogate, totals: Array, wants: Preferences, pressure: Array) -> Array:
    """``[K, 7]`` what one unit of each total takes from the score there, or adds to what limits miss."""
    weights = wants.weights + np.where(np.isfinite(wants.limits), pressure, 0.0)
    found = np.zeros_like(totals)
    found[:, _COSTS] = weights[:, 1:] / (np.log(2.0) * wants.best_log2 * totals[:, _COSTS])
    slopes = surrogate.point_slopes(totals, _LEAST_DAMAGE)
    share = np.maximum(weights[:, 0], _LEAST_PRICE) / POINTS_PER_UNIT
    for column, slope in zip((DAMAGE, MACS, PARAMS), slopes.T, strict=True):
        found[:, column] += share * slope
    return found
