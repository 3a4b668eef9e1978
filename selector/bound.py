"""How good the best recipe can be at the most: an upper bound of the score, by branch and bound.

Costs and damage add up over layers, so the cheapest recipe at fixed prices is found exactly
(``selector.elimination``). The score is not linear in these totals, but inside a box of totals it lies
below a linear function: logarithms of costs below their chords, the points lost above tangents. The most
that this function can be, over all mixtures of recipes that reach the box, is a small linear program
whose columns are recipes (Dantzig and Wolfe 1960), solved by HiGHS; its prices make new recipes, and
by weak duality any prices prove a bound. The box whose bound is highest is cut in two where the
linear function is furthest off, until nothing can be better by more than a tolerance or the count is used up.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.optimize import linprog

from selector.elimination import Cheapest
from selector.pricing import DAMAGE, ENERGY, LATENCY, MACS, N_COLUMNS, PARAMS, SIZE
from selector.reward import INFEASIBLE, POINTS_PER_UNIT

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.selection import Prepared
    from selector.tables import Array, IntArray

COSTS = (LATENCY, ENERGY, SIZE)
"""Columns of the second to fourth goal and budget."""

BOXES = 300
"""Boxes looked at before the bound reached so far is taken."""

TOLERANCE = 0.002
"""Share of the best score below which nothing better is looked for."""

_ROUNDS = 8  # of new prices for one box
_CLOSE = 1e-4  # share by which the prices of a box may still be improved
_EXACT = 1e-6  # of the score: a line that is no further off need not be mended
_PROVEN = 1e-6  # of a limit: what cannot be kept but by more than that cannot be kept
_PENALTY = 20.0
_SLACK = 1e-7
_NO_POINTS = 0.002
_LEAST_CAP = 8.0  # below it the loss is not convex as far as it counts
_CAPACITY = (MACS, PARAMS)
_FROM_BELOW = (SIZE, MACS, PARAMS, DAMAGE)  # not what fetching weights makes more than linear


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """No recipe scores more than ``score``; minus infinity when it is proven that none keeps the limits.

    ``config`` is the best recipe met on the way, ``boxes`` how many boxes were looked at.
    """

    score: float
    config: IntArray
    boxes: int


class _Line(NamedTuple):
    """A linear function of scaled totals: ``constant + slopes @ totals``."""

    constant: float
    slopes: Array

    def at(self, totals: Array) -> float:
        return float(self.constant + self.slopes @ totals)


class _Box(NamedTuple):
    """Scaled totals between two corners ``[6]``, in one precision."""

    low: Array
    high: Array
    precision: int


def upper_bound(question: Prepared, known: IntArray, boxes: int = BOXES) -> Bound | None:
    """The most that any recipe the locks allow can score within the limits.

    ``known`` is a good recipe ``[D]``: what is not better need not be looked at. None where the accuracy
    model is one that this cannot bound, or where neither a recipe within the limits was met nor
    proven that there is none.
    """
    if question.question.surrogate.model.cap < _LEAST_CAP:
        return None
    return _Search(question, known).run(boxes)


@dataclass(slots=True)
class _Open:
    """Boxes still to be cut, the highest bound first, and the highest of those that need not be."""

    boxes: list[tuple[float, int, _Box, Array]] = field(default_factory=list)
    settled: float = -np.inf
    looked: int = 0

    def push(self, most: float, box: _Box, mean: Array) -> None:
        heapq.heappush(self.boxes, (-most, self.looked, box, mean))

    @property
    def most(self) -> float:
        """The highest bound of all."""
        return max(self.settled, -self.boxes[0][0] if self.boxes else -np.inf)


class _Search:
    """Branch and bound over boxes of totals."""

    def __init__(self, question: Prepared, known: IntArray) -> None:
        self._question = question
        self._shape = _Shape(question)
        self._columns = {
            int(action): _Columns(question, int(action), self._shape.scale)
            for action in np.flatnonzero(question.mask[-1])
        }
        self._best = known
        self._reached = float(question.utility(known[None])[0])

    def run(self, count: int) -> Bound | None:
        """Look at that many boxes. Without a recipe within the limits, first find one, or prove there is none."""
        found = _Open()
        if self._reached <= INFEASIBLE:
            found = self._explore(count)
            if not found.boxes and self._reached <= INFEASIBLE:
                return Bound(score=-np.inf, config=self._best, boxes=found.looked)
        if self._reached <= INFEASIBLE:
            return None
        again = self._explore(count)
        most = max(again.most, self._reached) + _SLACK
        return Bound(score=most, config=self._best, boxes=found.looked + again.looked)

    def _explore(self, count: int) -> _Open:
        """Cut boxes until nothing better is possible, the count is used up, or a first recipe is within limits."""
        found, lost = _Open(), self._reached <= INFEASIBLE
        for columns in self._columns.values():
            self._add(found, self._first(columns), np.inf)
        while found.boxes and found.looked < count:
            if found.most <= self._enough() or (lost and self._reached > INFEASIBLE):
                break
            above, _, box, mean = heapq.heappop(found.boxes)
            halves = self._halves(box, mean)
            if not halves:
                found.settled = max(found.settled, -above)
            self._add(found, halves, -above)
        return found

    def _add(self, found: _Open, boxes: Sequence[_Box], ceiling: float) -> None:
        """Look at boxes; keep those that may hold something better."""
        for box in boxes:
            most, mean = self._look(box)
            most = min(most, ceiling)
            found.looked += 1
            if most > self._enough():
                found.push(most, box, mean)
            else:
                found.settled = max(found.settled, most)

    def _enough(self) -> float:
        """The score beyond which it is worth looking; before anything is within the limits, whether anything can be."""
        if self._reached <= INFEASIBLE:
            return -_PROVEN
        return self._reached + TOLERANCE * max(abs(self._reached), 0.01)

    def _first(self, columns: _Columns) -> list[_Box]:
        """Everything that may be reached, next to no damage apart."""
        low, high = columns.ends()
        high = np.minimum(high, self._shape.limits) * (1 + _SLACK) + 1e-12
        if (low > high).any():
            return []
        harmless = self._shape.harmless
        whole = _Box(low, high, columns.precision)
        parts = [whole._replace(high=_with(high, DAMAGE, min(harmless, high[DAMAGE])))]
        if high[DAMAGE] > harmless:
            parts.append(whole._replace(low=_with(low, DAMAGE, max(harmless, low[DAMAGE]))))
        return [box for box in parts if (box.low <= box.high).all()]

    def _halves(self, box: _Box, mean: Array) -> list[_Box]:
        """The box cut where its linear function is furthest above the score."""
        errors = self._shape.errors(box, mean)
        column = int(errors.argmax())
        if errors[column] < _EXACT:
            return []
        low, high = box.low[column], box.high[column]
        share = np.log(max(mean[column], low) / low) / np.log(high / low)
        cut = low * (high / low) ** float(np.clip(share, 0.1, 0.9))
        return [
            box._replace(high=_with(box.high, column, cut)),
            box._replace(low=_with(box.low, column, cut)),
        ]

    def _look(self, box: _Box) -> tuple[float, Array]:
        """The bound of one box, and the mixture of totals that reaches it."""
        lost = self._reached <= INFEASIBLE
        line = _Line(0.0, np.zeros(N_COLUMNS)) if lost else self._shape.above(box)
        matrix, ends = self._shape.constraints(box)
        columns, most = self._columns[box.precision], np.inf
        mean = np.sqrt(box.low * box.high)
        for _ in range(_ROUNDS):
            value, prices, mean = columns.mixture(line, matrix, ends)
            found, config = columns.cheapest(prices @ matrix - line.slopes, box)
            most = min(most, line.constant + float(prices @ ends) - found)
            self._try(config)
            if most <= self._enough() or most - value < _CLOSE * max(abs(most), 0.01):
                break
        return most, mean

    def _try(self, config: IntArray) -> None:
        utility = float(self._question.utility(config[None])[0])
        if utility > self._reached:
            self._best, self._reached = config, utility


class _Columns:
    """Recipes in one precision, with their scaled totals: the columns of the linear programs."""

    def __init__(self, question: Prepared, precision: int, scale: Array) -> None:
        self.precision = precision
        self._question = question
        self._scale = scale
        self._oracle = Cheapest(question, precision)
        self._totals: Array = np.zeros((0, N_COLUMNS))
        self._known: set[bytes] = set()

    def ends(self) -> tuple[Array, Array]:
        """``[6]`` the least and an upper end of each total."""
        nowhere = _Box(np.zeros(N_COLUMNS), np.zeros(N_COLUMNS), self.precision)
        low = np.array([self.cheapest(e, nowhere)[0] for e in np.eye(N_COLUMNS)])
        high = np.array([-self.cheapest(-e, nowhere)[0] for e in np.eye(N_COLUMNS)])
        cached, ms_each, watts = self._oracle.parts.fetch
        beyond = ms_each * max(0.0, high[PARAMS] * self._scale[PARAMS] - cached)
        high[LATENCY] += beyond / self._scale[LATENCY]
        high[ENERGY] += beyond * watts / self._scale[ENERGY]
        low[list(_CAPACITY)] = np.maximum(low[list(_CAPACITY)], 1e-6)
        return low, high

    def cheapest(self, prices: Array, box: _Box) -> tuple[float, IntArray]:
        """The least that any recipe costs at prices ``[6]`` of scaled totals; it becomes a column.

        Fetching weights beyond the caches takes no less than the tangent at the middle of the box.
        """
        raw = prices / self._scale
        cached, ms_each, watts = self._oracle.parts.fetch
        fixed = 0.0
        if (
            ms_each
            and np.sqrt(box.low[PARAMS] * box.high[PARAMS]) * self._scale[PARAMS] > cached
        ):
            each = ms_each * max(0.0, float(raw[LATENCY] + watts * raw[ENERGY]))
            raw = _with(raw, PARAMS, raw[PARAMS] + each)
            fixed = -each * cached
        cost, config = self._oracle.find(raw)
        if config.tobytes() not in self._known:
            self._known.add(config.tobytes())
            totals = self._question.costs.totals(config[None]) / self._scale
            self._totals = np.concatenate([self._totals, totals])
        return cost + fixed, config

    def mixture(self, line: _Line, matrix: Array, ends: Array) -> tuple[float, Array, Array]:
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


class _Shape:
    """What the goals make of scaled totals: linear functions above the score, box by box.

    Attributes:
        scale: ``[6]`` the totals of the network as it came; of damage 1.
        limits: ``[6]`` budgets in scaled totals, infinite for none.
        harmless: damage below which hardly any point is lost.
    """

    def __init__(self, question: Prepared) -> None:
        surrogate, wants = question.question.surrogate, question.wants
        base = question.costs.totals(surrogate.space.untouched())[0]
        self.scale = _with(np.maximum(base, 1e-9), DAMAGE, 1.0)
        self._cap = surrogate.model.cap
        self._intercept, *slopes = surrogate.model.coefficients
        self._by = np.array([2.0 * slopes[0], -slopes[1], -slopes[2]])
        self._weight = float(wants.weights[0, 0])
        self._gain = wants.weights[0, 1:] / wants.best_log2[0]
        self._most = _log_raw(POINTS_PER_UNIT, self._cap)
        points = float(wants.limits[0, 0])
        self._limit = _log_raw(points, self._cap) if points < self._cap else np.inf
        self.harmless = float(
            np.exp((_log_raw(_NO_POINTS, self._cap) - self._intercept) / self._by[0])
        )
        self.limits = np.full(N_COLUMNS, np.inf)
        self.limits[list(COSTS)] = wants.limits[0, 1:] / self.scale[list(COSTS)]
        self.limits[DAMAGE] = np.exp((self._limit - self._intercept) / self._by[0])

    def above(self, box: _Box) -> _Line:
        """A line no lower than the score of anything in the box."""
        slopes, constant = np.zeros(N_COLUMNS), 0.0
        for column, gain in zip(COSTS, self._gain, strict=True):
            slope, start = _chord(box.low[column], box.high[column])
            slopes[column] -= gain * slope / np.log(2.0)
            constant -= gain * start / np.log(2.0)
        loss = self._loss(box)
        return _Line(constant - loss.constant, slopes - loss.slopes)

    def constraints(self, box: _Box) -> tuple[Array, Array]:
        """``[m, 6]`` and ``[m]``: what holds of everything in the box that keeps the limits."""
        eye = np.eye(N_COLUMNS)
        rows = [*eye, *(-eye[c] for c in _FROM_BELOW)]
        ends = [*box.high, *(-box.low[c] for c in _FROM_BELOW)]
        if np.isfinite(self._limit) and box.low[DAMAGE] >= self.harmless:
            line = self._log_raw_below(box)
            rows.append(line.slopes)
            ends.append(self._limit - line.constant + _SLACK)
        return np.array(rows), np.array(ends)

    def errors(self, box: _Box, mean: Array) -> Array:
        """``[6]`` how far the line is off at a point, by what would have to be cut."""
        found = np.zeros(N_COLUMNS)
        for column, gain in zip(COSTS, self._gain, strict=True):
            slope, start = _chord(box.low[column], box.high[column])
            at = np.clip(mean[column], box.low[column], box.high[column])
            found[column] = gain * (np.log(at) - slope * at - start) / np.log(2.0)
        if box.low[DAMAGE] < self.harmless or not self._weight:
            return found
        at = np.clip(mean, box.low, box.high)
        log_raw = self._log_raw_at(at)
        steep = min(np.exp(log_raw), POINTS_PER_UNIT) * self._weight / POINTS_PER_UNIT
        slope, start = _chord(box.low[DAMAGE], box.high[DAMAGE])
        by_damage = self._by[0] * (np.log(at[DAMAGE]) - slope * at[DAMAGE] - start)
        width = self._by[0] * np.log(box.high[DAMAGE] / box.low[DAMAGE])
        found[DAMAGE] = steep * (by_damage + width**2 / 8)
        for factor, column in zip(self._by[1:], _CAPACITY, strict=True):
            spread = np.log(min(box.high[column], 1.0) / min(box.low[column], 1.0))
            found[column] = steep * -factor * spread**2 / 8
        return found

    def _loss(self, box: _Box) -> _Line:
        """A line no higher than what the points lost cost the score."""
        if not self._weight or box.low[DAMAGE] < self.harmless:
            return _Line(0.0, np.zeros(N_COLUMNS))
        lowest = self._log_raw_at(_with(box.high, DAMAGE, box.low[DAMAGE]))
        highest = self._log_raw_at(_with(box.low, DAMAGE, box.high[DAMAGE]))
        if lowest >= self._most:
            return _Line(self._weight, np.zeros(N_COLUMNS))
        below = self._log_raw_below(box)
        value, slope, at = self._tangent(min(0.5 * (lowest + highest), self._most), highest)
        share = self._weight / POINTS_PER_UNIT
        return _Line(
            share * (value + slope * (below.constant - at)), share * slope * below.slopes
        )

    def _tangent(self, middle: float, highest: float) -> tuple[float, float, float]:
        """Points, their slope and where: a tangent that is at most five points up to ``highest``."""
        at = middle - np.linspace(0.0, 12.0, 97)
        raw = np.exp(at)
        points = -self._cap * np.expm1(-raw / self._cap)
        slopes = raw * np.exp(-raw / self._cap)
        fits = (highest <= self._most) | (points + slopes * (highest - at) <= POINTS_PER_UNIT)
        first = int(fits.argmax()) if fits.any() else -1
        if not fits.any():
            return 0.0, 0.0, middle
        return float(points[first]), float(slopes[first]), float(at[first])

    def _log_raw_below(self, box: _Box) -> _Line:
        """A line no higher than the logarithm of the raw points anywhere in the box."""
        slope, start = _chord(box.low[DAMAGE], box.high[DAMAGE])
        slopes = _with(np.zeros(N_COLUMNS), DAMAGE, self._by[0] * slope)
        constant = self._intercept + self._by[0] * start
        for factor, column in zip(self._by[1:], _CAPACITY, strict=True):
            at = np.sqrt(box.low[column] * min(box.high[column], 1.0))
            slopes[column] = factor / at
            constant += factor * (np.log(at) - 1.0)
        return _Line(constant, slopes)

    def _log_raw_at(self, totals: Array) -> float:
        """The logarithm of the raw points of the accuracy model, see ``selector.accuracy``."""
        left = np.minimum(totals[list(_CAPACITY)], 1.0)
        values = np.log(np.concatenate([[totals[DAMAGE]], left]))
        return float(self._intercept + self._by @ values)


def _chord(low: float, high: float) -> tuple[float, float]:
    """Slope and start of the chord of the logarithm between two points."""
    if high <= low * (1 + 1e-9):
        return 1.0 / low, np.log(low) - 1.0
    slope = np.log(high / low) / (high - low)
    return slope, np.log(low) - slope * low


def _log_raw(points: float, cap: float) -> float:
    """The logarithm of the raw points that make so many."""
    return float(np.log(-cap * np.log1p(-min(points, 0.999 * cap) / cap)))


def _with(values: Array, column: int, value: float) -> Array:
    found = values.copy()
    found[column] = value
    return found
