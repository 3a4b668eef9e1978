"""Why a recipe treats a layer the way it does, and what undoing that would cost: counterfactuals."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from compression.types import NETWORK
from selector import reward
from selector.reward import BUDGET_NAMES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.types import Recipe
    from selector.selection import Prepared, Question
    from selector.tables import Array, IntArray
    from selector.types import Selection

_GAINS = ("latency", "energy", "file")
_NOTICED = 0.005  # half a per cent of the baseline
_NO_POINTS = 0.005


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What was decided about one layer, explained.

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
    """A reason for every layer that has a choice in a configuration ``[D]``, in order; ``*`` last."""
    prepared = question.prepared()
    deciders = _by_layer(prepared)
    undone = np.repeat(config[None], len(deciders), axis=0)
    for row, decisions in zip(undone, deciders.values(), strict=True):
        row[decisions] = 0
    now, then = _values(prepared, config[None]), _values(prepared, undone)
    return tuple(
        _treated(prepared, layer, now[0], values)
        if config[decisions].any()
        else Reason(layer=layer, why=_left_alone(prepared, config, decisions, now[0]))
        for (layer, decisions), values in zip(deciders.items(), then, strict=True)
    )


def _by_layer(prepared: Prepared) -> dict[str, list[int]]:
    """The decisions about each layer."""
    found: dict[str, list[int]] = {}
    for d, decision in enumerate(prepared.costs.space.decisions):
        found.setdefault(decision.layer, []).append(d)
    return found


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


def _treated(prepared: Prepared, layer: str, now: Array, then: Array) -> Reason:
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
        layer=layer,
        why=why,
        undo_drop_points=float(change[0]),
        undo_latency_ms=float(change[1]),
        undo_energy_mj=float(change[2]),
        undo_size_bytes=float(change[3]),
        undo_score=float(scores[1] - scores[0]),
        undo_breaks=breaks,
    )


def _left_alone(
    prepared: Prepared, config: IntArray, decisions: Sequence[int], now: Array
) -> str:
    """The nearest miss: the change of this layer that would have come closest to paying."""
    space = prepared.costs.space
    if bool(space.removals.is_gone(config[None], decisions[0])[0]):
        return "gone: what was chosen for a layer before it took it out"
    others = [
        (d, int(index))
        for d in decisions
        for index in np.flatnonzero(space.legal(config[None], d, prepared.mask)[0])
        if index
    ]
    if not others:
        return "left as it is: locked"
    changed = np.repeat(config[None], len(others), axis=0)
    for row, (d, index) in zip(changed, others, strict=True):
        row[d] = index
    changed = space.canonical(changed)
    best = int(prepared.utility(changed).argmax())
    change = _values(prepared, changed[best : best + 1])[0] - now
    name = " + ".join(map(_spoken_technique, space.techniques(*others[best])))
    layer = space.decisions[decisions[0]].layer
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
