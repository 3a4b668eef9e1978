"""Limits that no recipe meets together: which of them conflict, and what each would have to become."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector import reward
from selector.local_search import climb
from selector.reward import BUDGET_NAMES, INFEASIBLE
from selector.types import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from selector.selection import Prepared
    from selector.tables import Array, BoolArray, IntArray
    from selector.types import Selection

ACCURACY = BUDGET_NAMES.index("max_accuracy_drop")

UNSURE = "Predictions of accuracy are so rough here that a build may keep them all the same."

_STARTS = 2  # climbs for each combination of limits, from the recipes that are nearest to it
_SWEEPS = 3


class _Task(NamedTuple):
    """Limits to keep, as places in ``BUDGET_NAMES``, and the quantity to lower, -1 for none."""

    kept: tuple[int, ...]
    lowered: int


def resolved(question: Prepared, found: Selection, known: IntArray) -> Selection:
    """An answer that misses limits, with the conflict between them; or one that keeps them all after all.

    Args:
        question: what was asked.
        found: the answer; one that keeps all limits comes back as it is.
        known: ``[N, D]`` other recipes, as starts of the search for what can be kept together.
    """
    active = tuple(np.flatnonzero(np.isfinite(question.wants.limits[0])).tolist())
    if not found.violated:
        return found
    starts = np.concatenate([np.array([found.config]), question.allowed(known)])
    configs = np.concatenate([starts, _improved(question, starts, _tasks(active))])
    answer = question.answer(question.best(configs), found.answered_by)
    if not answer.violated:
        return answer
    surrogate = question.question.surrogate
    values = reward.quantities(surrogate, question.costs.totals(configs))
    conflict = _conflict(active, values, question.wants.limits[0])
    best_case = surrogate.model.kept_at_best(float(question.wants.limits[0, ACCURACY]))
    unsure = conflict.alone.get(BUDGET_NAMES[ACCURACY], math.inf) <= best_case < math.inf
    return replace(answer, conflict=replace(conflict, unsure=unsure))


def _conflict(active: tuple[int, ...], values: Array, limits: Array) -> Conflict:
    """What quantities ``[N, 4]`` of many recipes tell of limits that none of them keeps."""
    kept = values <= limits
    alone = {}
    for k in active:
        fits = kept[:, [other for other in active if other != k]].all(axis=1)
        if fits.any():
            alone[BUDGET_NAMES[k]] = float(values[fits, k].min())
    sets = tuple(tuple(BUDGET_NAMES[k] for k in each) for each in _smallest(active, kept))
    return Conflict(sets=sets, alone=alone)


def _tasks(active: tuple[int, ...]) -> list[_Task]:
    """Each limit loosened alone, and every smaller combination kept by itself."""
    alone = [_Task(tuple(other for other in active if other != k), k) for k in active]
    fewer = range(1, len(active) - 1)
    kept = itertools.chain.from_iterable(itertools.combinations(active, n) for n in fewer)
    return alone + [_Task(each, -1) for each in kept]


def _improved(question: Prepared, known: IntArray, tasks: Sequence[_Task]) -> IntArray:
    """Recipes that climbs for each task end at, from the best known for it."""
    totals = question.costs.totals(known)
    worth = np.stack([_worth(question, totals[None], [task])[0] for task in tasks])
    starts = np.argsort(-worth, axis=1, kind="stable")[:, :_STARTS]
    of = np.repeat(np.arange(len(tasks)), starts.shape[1])
    repeated = [tasks[t] for t in of.tolist()]

    def value(ahead: Array) -> Array:
        return _worth(question, ahead, repeated)

    return climb(question.costs, known[starts.ravel()], question.mask, value, 0, _SWEEPS)


def _worth(question: Prepared, totals: Array, tasks: Iterable[_Task]) -> Array:
    """``[B, A]`` how well totals ``[B, A, 7]`` do a task each: limits kept, then the quantity low."""
    values = reward.quantities(question.question.surrogate, totals)
    tasks = list(tasks)
    limits = np.full((len(tasks), len(BUDGET_NAMES)), np.inf)
    lowered = np.zeros_like(limits)
    for row, task in enumerate(tasks):
        limits[row, list(task.kept)] = question.wants.limits[0, list(task.kept)]
        lowered[row, task.lowered] = float(task.lowered >= 0)
    wants = replace(question.wants.repeated(len(tasks)), limits=limits)
    over = reward.violations(values, wants).sum(axis=-1)
    scale = np.concatenate([[1.0], question.wants.base[0]])
    low = -(values / scale * lowered[:, None]).sum(axis=-1)
    return np.asarray(np.where(over > 0, INFEASIBLE - over, low))


def _smallest(active: tuple[int, ...], kept: BoolArray) -> list[tuple[int, ...]]:
    """The combinations that no recipe keeps though it keeps every part of them."""
    found: list[tuple[int, ...]] = []
    for n in range(1, len(active) + 1):
        for each in itertools.combinations(active, n):
            if any(set(smaller) <= set(each) for smaller in found):
                continue
            if not kept[:, each].all(axis=1).any():
                found.append(each)
    return found


def sentences(conflict: Conflict) -> list[str]:
    """The conflict in words: which limits exclude each other, and what each would have to become alone."""
    sure = "" if conflict.proven or conflict.unsure else ", as far as the search found"
    found = [_exclusion(names) + f"{sure}." for names in conflict.sets]
    if conflict.unsure:
        found.append(UNSURE)
    ways = [_WORDS[name][1](_up(value)) for name, value in conflict.alone.items()]
    if not ways:
        return [*found, "To loosen a single limit is not enough."]
    return [*found, f"With all other limits kept it would take {', or '.join(ways)}."]


_WORDS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "max_accuracy_drop": ("accuracy", lambda v: f"{v:g} points lost"),
    "max_latency_ms": ("latency", lambda v: f"a latency of {v:g} ms"),
    "max_energy_mj": ("energy", lambda v: f"an energy of {v:g} mJ"),
    "max_size_bytes": ("file size", lambda v: f"a file of {v:,.0f} bytes"),
}


def _exclusion(names: Sequence[str]) -> str:
    spoken = [_WORDS[name][0] for name in names]
    if len(spoken) == 1:
        return f"By the predictions no recipe meets the limit on {spoken[0]}"
    listed = f"{', '.join(spoken[:-1])} and {spoken[-1]}"
    return f"By the predictions no recipe meets the limits on {listed} together"


def _up(value: float) -> float:
    """Three digits, rounded up: what is said must hold when somebody sets it."""
    if value <= 0:
        return 0.0
    unit = 10.0 ** (math.floor(math.log10(value)) - 2)
    return round(math.ceil(value / unit - 1e-9) * unit, 12)
