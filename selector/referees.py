"""The referees: other methods put to the same question, so that no answer is taken on trust.

Each works within a count of its own, never by the clock: the genetic ones in recipes, coordinate ascent in
starts, branch and bound in boxes. They run where a recipe is about to be built, not at every move of a slider.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from selector.baselines import Baseline, CoordinateAscent, Genetic
from selector.bound import upper_bound
from selector.conflicts import resolved
from selector.nsga2 import NSGA2
from selector.reward import INFEASIBLE, gap_to_best, relative_gap
from selector.types import Budgets

if TYPE_CHECKING:
    from collections.abc import Iterable

    from selector.selection import Prepared, Question
    from selector.tables import IntArray
    from selector.types import Conflict, Selection

REFEREES: tuple[type[Baseline], ...] = (CoordinateAscent, Genetic, NSGA2)
BRANCH_AND_BOUND = "branch_and_bound"

LOOSEST = 0.25
"""A gap to the bound beyond which the bound says nothing of use and is left out."""

_NOTICED = 1e-9
_STRANGERS = 600  # random recipes that a search for what can be kept together may start from


@dataclass(frozen=True, slots=True, kw_only=True)
class Yardstick:
    """What an answer to a question is measured by.

    Attributes:
        best: utility of the best answer that anybody found.
        bound: the score that no recipe exceeds by the predictions; infinite where that was not worked out.
    """

    best: float
    bound: float = math.inf

    def with_known(self, utilities: Iterable[float]) -> Yardstick:
        """The same when such answers are known, too."""
        return replace(self, best=max([self.best, *utilities]))

    def measured(self, answer: Selection, utility: float | None = None) -> Selection:
        """The answer with its gaps; ``utility`` where it is known better than by what is predicted of the answer."""
        found = _worth(answer) if utility is None else utility
        gap, most = gap_to_best(found, self.best), gap_to(self.bound, found)
        if gap is None or most is None or most < gap:  # what was built may beat the predictions
            most = None
        conflict = answer.conflict if gap is None else None
        return replace(answer, gap_to_best_found=gap, gap_bound=most, conflict=conflict)


def refereed(
    question: Question, found: Selection, seed: int, *, may_replace: bool
) -> tuple[Selection, Yardstick]:
    """The answer judged by the referees, or the better one that a referee found, and what it was judged by.

    Args:
        question: what was asked.
        found: the answer to judge.
        seed: of the referees' chance.
        may_replace: whether a better answer takes its place, or only shows in its gap. An answer that stays
            has a conflict only where nobody keeps all limits.
    """
    prepared = question.prepared()
    answers = {found.answered_by: np.array(found.config, dtype=np.int64)}
    for referee in REFEREES:
        answers[referee.name] = referee(question.surrogate, seed).search(prepared)
    utilities = {name: _utility(prepared, config) for name, config in answers.items()}
    bound = upper_bound(prepared, answers[_first_best(utilities)])
    if bound is not None:
        answers[BRANCH_AND_BOUND] = bound.config
        utilities[BRANCH_AND_BOUND] = _utility(prepared, bound.config)
    winner = _first_best(utilities)
    best = found if winner == found.answered_by else prepared.answer(answers[winner], winner)
    if best.violated:
        best, bound = _nearest(question, best, np.stack(list(answers.values())), seed), None
    known = Yardstick(best=_worth(best), bound=bound.score if bound else math.inf)
    answer = best if may_replace else replace(found, conflict=best.conflict)
    return known.measured(answer), known


def _nearest(question: Question, best: Selection, known: IntArray, seed: int) -> Selection:
    """The recipe nearest to limits that nobody has kept so far, with the conflict between them."""
    prepared = question.prepared()
    drawn = prepared.costs.space.sample(prepared.mask, _STRANGERS, np.random.default_rng(seed))
    nearest = resolved(prepared, best, np.concatenate([known, drawn]))
    return replace(nearest, conflict=_proven(question, nearest))


def _proven(question: Question, nearest: Selection) -> Conflict | None:
    """The conflict with what branch and bound says of each of its sets, at the good end of predicted accuracies."""
    if nearest.conflict is None or nearest.conflict.unsure:
        return nearest.conflict
    start, budgets = np.array(nearest.config, dtype=np.int64), question.budgets
    if budgets.max_accuracy_drop is not None:
        loosest = question.surrogate.model.kept_at_best(budgets.max_accuracy_drop)
        budgets = replace(budgets, max_accuracy_drop=loosest)
    for names in nearest.conflict.sets:
        limits = {name: getattr(budgets, name) for name in names}
        bound = upper_bound(replace(question, budgets=Budgets(**limits)).prepared(), start)
        if bound is None or np.isfinite(bound.score):
            return nearest.conflict
    return replace(nearest.conflict, proven=True)


def gap_to(bound: float, utility: float) -> float | None:
    """The relative gap that an answer can have at the most; None where the bound is of no use."""
    if utility <= INFEASIBLE or not np.isfinite(bound):
        return None
    # Between the answer and the bound the gap is largest at one end, or where its scale begins.
    best = np.array([bound, np.clip(0.01, utility, max(utility, bound))])
    gap = max(0.0, float(relative_gap(np.array(utility), best).max()))
    return gap if gap <= LOOSEST else None


def _worth(answer: Selection) -> float:
    """The utility of an answer by what is predicted of it; all that miss limits count alike."""
    return INFEASIBLE if answer.violated else answer.score


def _first_best(utilities: dict[str, float]) -> str:
    """The method with the best utility; of equals the first asked."""
    best = max(utilities.values())
    return next(name for name, value in utilities.items() if value >= best - _NOTICED)


def _utility(question: Prepared, config: IntArray) -> float:
    return float(question.utility(config[None])[0])
