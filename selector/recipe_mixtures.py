"""Mixtures of recipes under linear constraints: a linear program whose columns are made as they are needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import linprog

from selector.cell_prices import COLD, ENERGY, LATENCY, N_COLUMNS, PARAMS, cold_share
from selector.elimination import Cheapest
from selector.score_lines import CAPACITY, Box, replaced

if TYPE_CHECKING:
    from selector.score_lines import Line
    from selector.selection import Prepared
    from selector.tables import Array, IntArray

_PENALTY = 20.0


class Mixtures:
    """Recipes in one precision, with their scaled totals: the columns of the linear programs."""

    def __init__(self, question: Prepared, precision: int, scale: Array) -> None:
        self.precision = precision
        self._question = question
        self._scale = scale
        self._oracle = Cheapest(question.costs, question.mask, precision)
        self._totals: Array = np.zeros((0, N_COLUMNS))
        self._known: set[bytes] = set()

    def ends(self) -> tuple[Array, Array]:
        """``[7]`` the least and an upper end of each total."""
        nowhere = Box(np.zeros(N_COLUMNS), np.zeros(N_COLUMNS), self.precision)
        low = np.array([self.cheapest(e, nowhere)[0] for e in np.eye(N_COLUMNS)])
        high = np.array([-self.cheapest(-e, nowhere)[0] for e in np.eye(N_COLUMNS)])
        cached, ms_each, watts = self._oracle.parts.fetch
        most = high[PARAMS] * self._scale[PARAMS]
        beyond = ms_each * max(0.0, most - cached)
        beyond += float(cold_share(most, cached)) * high[COLD] * self._scale[COLD]
        high[LATENCY] += beyond / self._scale[LATENCY]
        high[ENERGY] += beyond * watts / self._scale[ENERGY]
        low[list(CAPACITY)] = np.maximum(low[list(CAPACITY)], 1e-6)
        return low, high

    def cheapest(self, prices: Array, box: Box) -> tuple[float, IntArray]:
        """The least that any recipe costs at prices ``[7]`` of scaled totals; it becomes a column.

        Fetching weights beyond the caches takes no less than the tangent at the middle of the box, cold
        operations no less than with the fewest weights in it.
        """
        raw = prices / self._scale
        cached, ms_each, watts = self._oracle.parts.fetch
        a_ms = max(0.0, float(raw[LATENCY] + watts * raw[ENERGY]))
        fixed = 0.0
        if self._oracle.parts.may_be_cold:
            share = float(cold_share(box.low[PARAMS] * self._scale[PARAMS], cached))
            raw = replaced(raw, COLD, raw[COLD] + share * a_ms)
        if (
            ms_each
            and np.sqrt(box.low[PARAMS] * box.high[PARAMS]) * self._scale[PARAMS] > cached
        ):
            each = ms_each * a_ms
            raw = replaced(raw, PARAMS, raw[PARAMS] + each)
            fixed = -each * cached
        cost, config = self._oracle.find(raw)
        if config.tobytes() not in self._known:
            self._known.add(config.tobytes())
            totals = self._question.costs.totals(config[None]) / self._scale
            self._totals = np.concatenate([self._totals, totals])
        return cost + fixed, config

    def mixture(self, line: Line, matrix: Array, ends: Array) -> tuple[float, Array, Array]:
        """The mixture of known recipes that makes the line largest inside ``matrix @ totals <= ends``.

        Its value, the price of each constraint, and its totals. What cannot be kept costs a penalty.
        """
        n, m = len(self._totals), len(ends)
        found = linprog(
            np.concatenate(
                [-(line.constant + self._totals @ line.slopes), np.full(m, _PENALTY)]
            ),
            A_ub=np.concatenate([matrix @ self._totals.T, -np.eye(m)], axis=1),
            b_ub=ends,
            A_eq=np.concatenate([np.ones(n), np.zeros(m)])[None],
            b_eq=[1.0],
            method="highs-ds",
            options={"maxiter": 2000},
        )
        if found.status:
            return np.inf, np.zeros(m), self._totals.mean(axis=0)
        prices = np.maximum(0.0, -found.ineqlin.marginals)
        return -float(found.fun), prices, found.x[:n] @ self._totals
