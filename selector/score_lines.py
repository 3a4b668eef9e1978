"""Linear functions that the score never exceeds inside a box of totals: what the bound is made of.

Logarithms of costs lie below their chords. The points lost are a function of damage and capacity (see
``selector.accuracy``); its logarithm lies above chords and tangents, and so does what is made of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector.cell_prices import DAMAGE, ENERGY, LATENCY, MACS, N_COLUMNS, PARAMS, SIZE
from selector.reward import POINTS_PER_UNIT

if TYPE_CHECKING:
    from selector.selection import Prepared
    from selector.tables import Array

COSTS = (LATENCY, ENERGY, SIZE)
"""Columns of the second to fourth goal and budget."""

CAPACITY = (MACS, PARAMS)
"""Columns of which more is better for accuracy."""

LEAST_CAP = 8.0
"""Points that guessing must lose at least, for the loss to be convex as far as it counts."""

SLACK = 1e-7
"""What the tolerance of the linear programs may hide."""

_FROM_BELOW = (SIZE, MACS, PARAMS, DAMAGE)  # not what fetching weights makes more than linear
_NO_POINTS = 0.002


class Line(NamedTuple):
    """A linear function of scaled totals: ``constant + slopes @ totals``."""

    constant: float
    slopes: Array


class Box(NamedTuple):
    """Scaled totals between two corners ``[7]``, in one precision."""

    low: Array
    high: Array
    precision: int


class ScoreLines:
    """What the goals make of scaled totals: linear functions above the score, box by box.

    Attributes:
        scale: ``[7]`` the totals of the network as it came; of damage 1.
        limits: ``[7]`` budgets in scaled totals, infinite for none.
        harmless: damage below which hardly any point is lost.
    """

    def __init__(self, question: Prepared) -> None:
        surrogate, wants = question.question.surrogate, question.wants
        base = question.costs.totals(surrogate.space.untouched())[0]
        self.scale = replaced(np.maximum(base, 1e-9), DAMAGE, 1.0)
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

    def above(self, box: Box) -> Line:
        """A line no lower than the score of anything in the box."""
        slopes, constant = np.zeros(N_COLUMNS), 0.0
        for column, gain in zip(COSTS, self._gain, strict=True):
            slope, start = _chord(box.low[column], box.high[column])
            slopes[column] -= gain * slope / np.log(2.0)
            constant -= gain * start / np.log(2.0)
        loss = self._loss(box)
        return Line(constant - loss.constant, slopes - loss.slopes)

    def constraints(self, box: Box) -> tuple[Array, Array]:
        """``[m, 7]`` and ``[m]``: what holds of everything in the box that keeps the limits."""
        eye = np.eye(N_COLUMNS)
        rows = [*eye, *(-eye[c] for c in _FROM_BELOW)]
        ends = [*box.high, *(-box.low[c] for c in _FROM_BELOW)]
        if np.isfinite(self._limit) and box.low[DAMAGE] >= self.harmless:
            line = self._log_raw_below(box)
            rows.append(line.slopes)
            ends.append(self._limit - line.constant + SLACK)
        return np.array(rows), np.array(ends)

    def errors(self, box: Box, mean: Array) -> Array:
        """``[7]`` how far the line is off at a point, by what would have to be cut."""
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
        for factor, column in zip(self._by[1:], CAPACITY, strict=True):
            spread = np.log(min(box.high[column], 1.0) / min(box.low[column], 1.0))
            found[column] = steep * -factor * spread**2 / 8
        return found

    def _loss(self, box: Box) -> Line:
        """A line no higher than what the points lost cost the score."""
        if not self._weight or box.low[DAMAGE] < self.harmless:
            return Line(0.0, np.zeros(N_COLUMNS))
        lowest = self._log_raw_at(replaced(box.high, DAMAGE, box.low[DAMAGE]))
        highest = self._log_raw_at(replaced(box.low, DAMAGE, box.high[DAMAGE]))
        if lowest >= self._most:
            return Line(self._weight, np.zeros(N_COLUMNS))
        below = self._log_raw_below(box)
        value, slope, at = self._tangent(min(0.5 * (lowest + highest), self._most), highest)
        share = self._weight / POINTS_PER_UNIT
        return Line(
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

    def _log_raw_below(self, box: Box) -> Line:
        """A line no higher than the logarithm of the raw points anywhere in the box."""
        slope, start = _chord(box.low[DAMAGE], box.high[DAMAGE])
        slopes = replaced(np.zeros(N_COLUMNS), DAMAGE, self._by[0] * slope)
        constant = self._intercept + self._by[0] * start
        for factor, column in zip(self._by[1:], CAPACITY, strict=True):
            at = np.sqrt(box.low[column] * min(box.high[column], 1.0))
            slopes[column] = factor / at
            constant += factor * (np.log(at) - 1.0)
        return Line(constant, slopes)

    def _log_raw_at(self, totals: Array) -> float:
        """The logarithm of the raw points of the accuracy model, see ``selector.accuracy``."""
        left = np.minimum(totals[list(CAPACITY)], 1.0)
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


def replaced(values: Array, column: int, value: float) -> Array:
    """The same values with another one in one place."""
    found = values.copy()
    found[column] = value
    return found
