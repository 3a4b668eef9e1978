"""Why a recipe treats a layer the way it does, and what undoing that would cost: counterfactuals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.types import NETWORK
from selector import reward
from selector.recipe_rows import level_text
from selector.reward import BUDGET_NAMES
from selector.tables import Treatment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from compression.types import Recipe
    from selector.selection import Prepared, Question
    from selector.tables import Array, IntArray
    from selector.types import Selection

_GAINS = ("latency", "energy", "file")
_NOTICED = 0.005  # half a per cent of the baseline
_NO_POINTS = 0.005


_MOST_ALTERNATIVES = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What a recipe would gain or lose by another choice for one layer, by the predictions.

    Positive: more points lost, more time, ..., a higher score. ``breaks`` are the budgets that would then be
    missed.
    """

    drop_points: float = 0.0
    latency_ms: float = 0.0
    energy_mj: float = 0.0
    size_bytes: float = 0.0
    score: float = 0.0
    breaks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """Techniques (joined by ``+``) and levels that a layer might have got instead, and what that changes."""

    technique: str
    level: str
    change: Change


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """What was decided about one layer, explained.

    ``undo`` is what changes if this layer alone went back to what it was, None where it was left alone;
    ``alternatives`` are the two best other ways to treat it, the better one first.
    """

    layer: str
    why: str
    undo: Change | None = None
    alternatives: tuple[Alternative, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain values, without the name of the layer."""
        found = asdict(self)
        del found["layer"]
        return found


def explain(question: Question, config: IntArray) -> tuple[Reason, ...]:
    """A reason for every layer that has a choice in a configuration ``[D]``, in order; ``*`` last."""
    prepared = question.prepared()
    deciders = _by_layer(prepared)
    undone = np.repeat(config[None], len(deciders), axis=0)
    for row, decisions in zip(undone, deciders.values(), strict=True):
        row[decisions] = 0
    now, then = _values(prepared, config[None]), _values(prepared, undone)
    others = _alternatives(prepared, config, now[0], deciders)
    return tuple(
        replace(
            _treated(prepared, layer, now[0], values)
            if config[decisions].any()
            else Reason(layer=layer, why=_left_alone(prepared, config, decisions, now[0])),
            alternatives=others.get(layer, ()),
        )
        for (layer, decisions), values in zip(deciders.items(), then, strict=True)
    )


def _alternatives(
    prepared: Prepared, config: IntArray, now: Array, deciders: Mapping[str, list[int]]
) -> dict[str, tuple[Alternative, ...]]:
    """For each layer that is there the best other ways to treat it, each technique once.

    Those that gain nothing come after those that gain something, whatever they lose.
    """
    ways = [
        (layer, way)
        for layer, decisions in deciders.items()
        for way in _other_ways(prepared, config, decisions)
    ]
    if not ways:
        return {}
    configs = prepared.costs.space.canonical(np.array([way for _, way in ways]))
    totals = prepared.costs.totals(configs)
    values = reward.quantities(prepared.question.surrogate, totals)
    gains_nothing = (values >= now).all(axis=1)
    order = np.lexsort((-prepared.totals_utility(totals), gains_nothing))
    found: dict[str, tuple[Alternative, ...]] = {}
    seen = {
        (layer, _named(prepared, config, decisions)[0]) for layer, decisions in deciders.items()
    }
    for at in order.tolist():
        layer = ways[at][0]
        technique, level = _named(prepared, configs[at], deciders[layer])
        known = found.get(layer, ())
        if len(known) == _MOST_ALTERNATIVES or not technique or (layer, technique) in seen:
            continue
        seen.add((layer, technique))
        change = _change(prepared, now, values[at])
        other = Alternative(technique=technique, level=level, change=change)
        found[layer] = (*known, other)
    return found


def _other_ways(
    prepared: Prepared, config: IntArray, decisions: Sequence[int]
) -> Iterator[IntArray]:
    """Configurations in which one decision about a layer is another, the rest as it is or undone."""
    space = prepared.costs.space
    bare = config.copy()
    bare[decisions] = 0
    free = bool(prepared.mask[decisions, 0].all())
    for d in decisions:
        for index in np.flatnonzero(space.legal(config[None], d, prepared.mask)[0]).tolist():
            for start in (
                (config, bare) if free and not np.array_equal(bare, config) else (config,)
            ):
                changed = start.copy()
                changed[d] = index
                yield changed


def _named(prepared: Prepared, config: IntArray, decisions: Sequence[int]) -> tuple[str, str]:
    """The techniques of a layer, joined, and their levels."""
    space = prepared.costs.space
    found = {n: p for d in decisions for n, p in space.techniques(d, int(config[d])).items()}
    return "+".join(found), level_text(tuple(Treatment(*item) for item in found.items()))


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


def _change(prepared: Prepared, now: Array, then: Array) -> Change:
    """What becomes of quantities ``[4]``, and which limits are then missed."""
    wants, change = prepared.wants, then - now
    scores = reward.score(np.stack([now, then])[None], wants)[0]
    broken = reward.violations(then[None, None], wants)[0, 0] > 0
    kept = reward.violations(now[None, None], wants)[0, 0] == 0
    return Change(
        drop_points=float(change[0]),
        latency_ms=float(change[1]),
        energy_mj=float(change[2]),
        size_bytes=float(change[3]),
        score=float(scores[1] - scores[0]),
        breaks=tuple(np.array(BUDGET_NAMES)[broken & kept].tolist()),
    )


def _treated(prepared: Prepared, layer: str, now: Array, then: Array) -> Reason:
    undo, change = _change(prepared, now, then), then - now
    why = _clause(change[1:] / prepared.wants.base[0], change[0])
    if undo.breaks:
        names = " and ".join(_spoken(name) for name in undo.breaks)
        why += f"; without it the limit on {names} is missed"
    return Reason(layer=layer, why=why, undo=undo)


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
