"""What recipes that were built for real teach: better predictions, and proven answers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from compression.cost import load_device
from selector import reward
from selector.accuracy import FLOOR
from selector.host_latency import HOST, SETTLED, Timed, recalibrated
from selector.surrogate import Surrogate, Validated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.selection import Prepared, Question
    from selector.tables import Array, IntArray
    from selector.types import Budgets

ROOM_FOR = 0.8
MOST_ROOM = 1.5
"""Share of built recipes that room is left for, and the most room, as a factor."""

CAUTION = 0.5
"""Standard errors of a prediction by which the limit on points is drawn in for each recovery that missed it."""

POINTS_AT = reward.BUDGET_NAMES.index("max_accuracy_drop")
LATENCY_AT = reward.BUDGET_NAMES.index("max_latency_ms")
SIZE_AT = reward.BUDGET_NAMES.index("max_size_bytes")


def learnt(surrogate: Surrogate, built: Sequence[Validated]) -> Surrogate:
    """The predictions with accuracy and host times fitted to built recipes, and the pairs measured with them."""
    base_ms = host_base_ms(surrogate)
    timed = [Timed(config=(0,) * surrogate.space.n_decisions, host_ms=base_ms)]
    timed += [
        Timed(config=recipe.config, host_ms=base_ms / recipe.host_ratio)
        for recipe in built
        if recipe.host_ratio > 0
    ]
    pairs = {cell: kl for recipe in built for cell, kl in recipe.pairs}
    tables = surrogate.tables.with_pairs({**pairs, **surrogate.tables.known_pairs})
    tables = recalibrated(tables, timed, SETTLED)
    taught = Surrogate(tables).refit(built)
    taught.untuned = surrogate.untuned
    return taught


def host_base_ms(surrogate: Surrogate) -> float:
    """What the original takes here, in the clock of the study: as INSPECT measured it."""
    measured = surrogate.tables.meta.get("host_latency_ms")
    if measured:
        return float(measured["p50"])
    return float(surrogate.baseline(load_device(HOST)).latency_ms)


def outcomes(question: Prepared, built: Sequence[Validated]) -> Array:
    """``[N, 4]`` points, ms, mJ and bytes of built recipes: measured where measured.

    Time is measured for a target that is here; it is the study's time of the original divided by the
    measured ratio, so that a machine that slowed down since does not count against the recipe.
    """
    surrogate = question.question.surrogate
    values = reward.quantities(surrogate, question.costs.totals(_configs(built)))
    values[:, 0] = [each.drop_points for each in built]
    values[:, SIZE_AT] = [
        each.size_bytes or found for each, found in zip(built, values[:, SIZE_AT], strict=True)
    ]
    if question.question.target.measured_here:
        base_ms = host_base_ms(surrogate)
        values[:, LATENCY_AT] = [
            base_ms / each.host_ratio if each.host_ratio > 0 else found
            for each, found in zip(built, values[:, LATENCY_AT], strict=True)
        ]
    return values


def utilities(question: Prepared, built: Sequence[Validated]) -> Array:
    """``[N]`` how well built recipes answer the question, by ``outcomes``."""
    values = outcomes(question, built)
    return np.asarray(reward.utility(values[None], question.wants)[0])


def failed_recoveries(question: Prepared, built: Sequence[Validated]) -> set[tuple[int, ...]]:
    """Configurations that were fine-tuned in full and still miss a limit."""
    recovered = [each for each in built if each.recovered]
    if not recovered:
        return set()
    worth = utilities(question, recovered)
    return {
        each.config for each, u in zip(recovered, worth, strict=True) if u <= reward.INFEASIBLE
    }


def with_room(question: Question, built: Sequence[Validated], more: float = 1.0) -> Budgets:
    """The limits drawn in by what built recipes turned out above predictions.

    Whoever picks the best of many predictions picks one that flatters: without room the answer lands
    just beyond the limit. Room is what four in five built recipes would have needed, and at least
    what each fully recovered one did, for the next answer will be much like the last;
    ``more`` is a factor upon it, and upon what points need. What built recipes lost has taught the predictions
    already; but until a recovered one has kept all limits, each that lost too much makes the next answer more cautious.
    """
    if not built:
        return question.budgets
    excess = _excess(question, built)
    most = excess[[each.recovered for each in built]].max(axis=0, initial=1.0)
    needed = np.maximum(np.quantile(excess, ROOM_FOR, axis=0), most)
    room = more * np.clip(needed, 1.0, MOST_ROOM)
    room[POINTS_AT] = more * _caution(question, [row for row in built if row.recovered])
    return _drawn_in(question.budgets, room)


def _excess(question: Question, built: Sequence[Validated]) -> Array:
    """``[N, 4]`` what built recipes turned out, over what is predicted of them."""
    prepared = question.prepared()
    predicted = reward.quantities(question.surrogate, prepared.costs.totals(_configs(built)))
    return outcomes(prepared, built) / np.maximum(predicted, 1e-12)


def _caution(question: Question, recovered: Sequence[Validated]) -> float:
    """A factor for points: the more recoveries have lost too much, the surer the next one must be."""
    limit = question.budgets.max_accuracy_drop
    misses = sum(limit is not None and row.drop_points > limit for row in recovered)
    if not misses or max(utilities(question.prepared(), recovered)) > reward.INFEASIBLE:
        return 1.0
    return float(np.exp(CAUTION * misses * question.surrogate.model.standard_error))


def _drawn_in(budgets: Budgets, room: Array) -> Budgets:
    """The limits over ``room`` ``[4]``, but for energy, which nobody measures."""
    limits: dict[str, float | None] = {
        reward.BUDGET_NAMES[at]: limit / room[at]
        for at in (LATENCY_AT, SIZE_AT)
        if (limit := getattr(budgets, reward.BUDGET_NAMES[at])) is not None
    }
    if budgets.max_accuracy_drop is not None:
        drawn_in = (budgets.max_accuracy_drop + FLOOR) / room[POINTS_AT] - FLOOR
        limits["max_accuracy_drop"] = max(0.0, drawn_in)
    return replace(budgets, **limits)


def best_built(
    question: Prepared, built: Sequence[Validated]
) -> tuple[Validated, float] | None:
    """The built recipe that answers best and its utility, among those that the locks allow."""
    if not built:
        return None
    allowed = question.costs.space.is_legal(_configs(built), question.mask)
    worth = np.where(allowed, utilities(question, built), -np.inf)
    best = int(worth.argmax())
    return (built[best], float(worth[best])) if allowed[best] else None


def _configs(built: Sequence[Validated]) -> IntArray:
    return np.array([each.config for each in built], dtype=np.int64)
