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
from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import DAMAGE, N_COLUMNS
from selector.recipe_mixtures import Mixtures
from selector.reward import INFEASIBLE
from selector.score_lines import LEAST_CAP, SLACK, Box, Line, ScoreLines, replaced

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.selection import Prepared
    from selector.tables import Array, IntArray

BOXES = 300
"""Boxes looked at before the bound reached so far is taken."""

TOLERANCE = 0.002
"""Share of the best score below which nothing better is looked for."""

_ROUNDS = 8  # of new prices for one box
_CLOSE = 1e-4  # share by which the prices of a box may still be improved
_EXACT = 1e-6  # of the score: a line that is no further off need not be mended
_PROVEN = 1e-6  # of a limit: what cannot be kept but by more than that cannot be kept


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Bound:
    """No recipe scores more than ``score``; minus infinity when it is proven that none keeps the limits.

    ``config`` is the best recipe met on the way, ``boxes`` how many boxes were looked at.
    """

    score: float
    config: IntArray
    boxes: int


def upper_bound(question: Prepared, known: IntArray, boxes: int = BOXES) -> Bound | None:
    """The most that any recipe the locks allow can score within the limits.

    ``known`` is a good recipe ``[D]``: what is not better need not be looked at. None where the accuracy
    model is one that this cannot bound, or where neither a recipe within the limits was met nor
    proven that there is none.
    """
    if question.question.surrogate.model.cap < LEAST_CAP:
        return None
    return _Search(question, known).run(boxes)


@dataclass(slots=True)
class _Open:
    """Boxes still to be cut, the highest bound first, and the highest of those that need not be."""

    boxes: list[tuple[float, int, Box, Array]] = field(default_factory=list)
    settled: float = -np.inf
    looked: int = 0

    def push(self, most: float, box: Box, mean: Array) -> None:
        heapq.heappush(self.boxes, (-most, self.looked, box, mean))

    @property
    def most(self) -> float:
        """The highest bound of all."""
        return max(self.settled, -self.boxes[0][0] if self.boxes else -np.inf)


class _Search:
    """Branch and bound over boxes of totals."""

    def __init__(self, question: Prepared, known: IntArray) -> None:
        self._question = question
        self._shape = ScoreLines(question)
        self._columns = {
            int(action): Mixtures(question, int(action), self._shape.scale)
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
        most = max(again.most, self._reached) + SLACK
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

    def _add(self, found: _Open, boxes: Sequence[Box], ceiling: float) -> None:
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

    def _first(self, columns: Mixtures) -> list[Box]:
        """Everything that may be reached, next to no damage apart."""
        low, high = columns.ends()
        high = np.minimum(high, self._shape.limits) * (1 + SLACK) + 1e-12
        if (low > high).any():
            return []
        harmless = self._shape.harmless
        whole = Box(low, high, columns.precision)
        parts = [whole._replace(high=replaced(high, DAMAGE, min(harmless, high[DAMAGE])))]
        if high[DAMAGE] > harmless:
            parts.append(whole._replace(low=replaced(low, DAMAGE, max(harmless, low[DAMAGE]))))
        return [box for box in parts if (box.low <= box.high).all()]

    def _halves(self, box: Box, mean: Array) -> list[Box]:
        """The box cut where its linear function is furthest above the score."""
        errors = self._shape.errors(box, mean)
        column = int(errors.argmax())
        if errors[column] < _EXACT:
            return []
        low, high = box.low[column], box.high[column]
        share = np.log(max(mean[column], low) / low) / np.log(high / low)
        cut = low * (high / low) ** float(np.clip(share, 0.1, 0.9))
        return [
            box._replace(high=replaced(box.high, column, cut)),
            box._replace(low=replaced(box.low, column, cut)),
        ]

    def _look(self, box: Box) -> tuple[float, Array]:
        """The bound of one box, and the mixture of totals that reaches it."""
        lost = self._reached <= INFEASIBLE
        line = Line(0.0, np.zeros(N_COLUMNS)) if lost else self._shape.above(box)
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
