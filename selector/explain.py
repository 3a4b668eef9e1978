"""Why a recipe treats a layer the way it does, and what undoing that would cost: counterfactuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from compression.types import NETWORK
from selector import reward
from selector.reward import BUDGET_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import Recipe
    from selector.selection import Prepared, Question
    from selector.tables import Array, IntArray
    from selector.types import Selection

_GAINS = ("latency", "energy", "file")
_NOTICED = 0.005  # half a per cent of the baseline
_NO_POINTS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One decision explained.

    ``undo_*`` are what changes if this layer alone went back to what it was (positive: more points
    lost, more time, ...); ``undo_breaks`` the budgets that would then be missed.
    """

    layer: str
    why: str
    undo_drop_points: float = 0.0
    undo_latency_ms: float = 0.0
    undo_energy_mj: float = 0.0
    undo_size_bytes: float = 0.0
    undo_score: float = 0.0
    undo_breaks: tuple[str, ...] = ()


def explain(question: Question, config: IntArray) -> tuple[Reason, ...]:
    """A reason for every decision of a configuration ``[D]``, treated or not, in order."""
    prepared = question.prepared()
    space = prepared.costs.space
    now = _values(prepared, config[None])
    undone = np.repeat(config[None], space.n_decisions, axis=0)
    np.fill_diagonal(undone, 0)
    then = _values(prepared, undone)
    return tuple(
        _treated(prepared, d, now[0], then[d])
        if config[d]
        else Reason(
            layer=space.decisions[d].layer, why=_left_alone(prepared, config, d, now[0])
        )
        for d in range(space.n_decisions)
    )


def with_reasons(question: Question, selection: Selection) -> Selection:
    """The same selection with the reason written into each step of its recipe."""
    reasons = explain(question, np.array(selection.config, dtype=np.int64))
    by_layer: Mapping[str, str] = {reason.layer: reason.why for reason in reasons}
    steps: Recipe = tuple(
        replace(step, why=by_layer.get(step.layer, "")) for step in selection.recipe
    )
    return replace(selection, recipe=steps)


def _values(prepared: Prepared, configs: IntArray) -> Array:
    """``[N, 4]`` points, ms, mJ and bytes."""
    return reward.quantities(prepared.question.surrogate, prepared.costs.totals(configs))


def _treated(prepared: Prepared, decision: int, now: Array, then: Array) -> Reason:
    change = then - now
    wants = prepared.wants
    scores = reward.score(np.stack([now, then])[None], wants)[0]
    broken = reward.violations(then[None, None], wants)[0, 0] > 0
    kept = reward.violations(now[None, None], wants)[0, 0] == 0
    breaks = tuple(np.array(BUDGET_NAMES)[broken & kept].tolist())
    why = _clause(change[1:] / wants.base[0], change[0])
    if breaks:
        names = " and ".join(_spoken(name) for name in breaks)
        why += f"; without it the limit on {names} is missed"
    return Reason(
        layer=prepared.costs.space.decisions[decision].layer,
        why=why,
        undo_drop_points=float(change[0]),
        undo_latency_ms=float(change[1]),
        undo_energy_mj=float(change[2]),
        undo_size_bytes=float(change[3]),
        undo_score=float(scores[1] - scores[0]),
        undo_breaks=breaks,
    )


def _left_alone(prepared: Prepared, config: IntArray, decision: int, now: Array) -> str:
    """The nearest miss: the change of this layer that would have come closest to paying."""
    space = prepared.costs.space
    layer = space.decisions[decision].layer
    if space.vanishing[decision] and bool(space.pooled(config[None])[0]):
        return "gone: global pooling replaced it"
    allowed = space.legal(config[None], decision, prepared.mask)[0]
    others = np.flatnonzero(allowed)
    others = others[others > 0]
    if not len(others):
        return "left as it is: locked"
    changed = np.repeat(config[None], len(others), axis=0)
    changed[:, decision] = others
    changed = space.canonical(changed)
    best = int(prepared.utility(changed).argmax())
    change = _values(prepared, changed[best : best + 1])[0] - now
    name = " + ".join(map(_spoken_technique, space.techniques(decision, int(others[best]))))
    what = "the whole network" if layer == NETWORK else "this layer"
    clause = _clause(-change[1:] / prepared.wants.base[0], -change[0], verb="would save")
    return f"left as it is: the best change of {what}, {name}, {clause}"


def _clause(saved: Array, points: float, verb: str = "saves") -> str:
    """What a change saves, as shares ``[3]`` of the baseline, and what it costs.

    ``points`` is what undoing it would add to the loss: negative where the change loses accuracy.
    """
    order = np.argsort(-saved, kind="stable")
    found = [f"{saved[i]:.0%} of the {_GAINS[i]}" for i in order[:2] if saved[i] >= _NOTICED]
    gains = f"{verb} {' and '.join(found) or 'next to nothing'}"
    worse = [
        f"{-saved[i]:.0%} more {_GAINS[i]}" for i in order[::-1][:1] if saved[i] <= -_NOTICED
    ]
    price = f"for {-points:.2f} points" if points < -_NO_POINTS else "at no predicted loss"
    return " ".join([gains, *(f"but takes {text}" for text in worse), price])


def _spoken_technique(name: str) -> str:
    return {"svd": "SVD"}.get(name, name.replace("_", " "))


def _spoken(budget: str) -> str:
    return {
        "max_accuracy_drop": "accuracy",
        "max_latency_ms": "latency",
        "max_energy_mj": "energy",
        "max_size_bytes": "file size",
    }[budget]
