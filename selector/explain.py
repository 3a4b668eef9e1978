"""Why a recipe treats a layer the way it does, and what undoing that would cost: counterfactuals."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.technique_names import title_of
from compression.types import NETWORK
from selector.layer_ways import priced_ways
from selector.recipe_rows import level_text
from selector.reward import BUDGET_NAMES
from selector.tables import Treatment

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compression.types import Params, Recipe
    from selector.layer_ways import PricedWays
    from selector.selection import Question
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
    """Techniques (joined by ``+``) and levels that a layer might have got instead, and what that changes.

    ``params`` are the levels by technique: as ``treatments`` of a lock they take this alternative.
    """

    technique: str
    level: str
    params: Mapping[str, Params]
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
    ways = priced_ways(question.prepared(), config)
    return tuple(_reason(ways, layer) for layer in range(len(ways.layers)))


def _reason(ways: PricedWays, layer: int) -> Reason:
    name, alternatives = ways.layers[layer], tuple(_alternatives(ways, layer))
    if not ways.is_treated(layer):
        return Reason(layer=name, why=_left_alone(ways, layer), alternatives=alternatives)
    undo, change = _change(ways, layer), ways.change[layer]
    why = _clause(change[1:] / ways.base, change[0])
    if undo.breaks:
        names = " and ".join(_spoken(budget) for budget in undo.breaks)
        why += f"; without it the limit on {names} is missed"
    return Reason(layer=name, why=why, undo=undo, alternatives=alternatives)


def _alternatives(ways: PricedWays, layer: int) -> Iterator[Alternative]:
    """The best other ways to treat a layer that is there, each technique once."""
    seen = {"", "+".join(ways.treatments(None, layer))}
    enough = len(seen) + _MOST_ALTERNATIVES
    for way in ways.best(layer):
        found = ways.treatments(way, layer)
        technique = "+".join(found)
        if technique not in seen:
            level = level_text(tuple(Treatment(*item) for item in found.items()))
            change = _change(ways, way)
            yield Alternative(technique=technique, level=level, params=found, change=change)
            seen.add(technique)
        if len(seen) == enough:
            return


def with_reasons(question: Question, selection: Selection) -> Selection:
    """The same selection with the reason written into each step of its recipe."""
    reasons = explain(question, np.array(selection.config, dtype=np.int64))
    by_layer: Mapping[str, str] = {reason.layer: reason.why for reason in reasons}
    steps: Recipe = tuple(
        replace(step, why=by_layer.get(step.layer, "")) for step in selection.recipe
    )
    return replace(selection, recipe=steps)


def _change(ways: PricedWays, way: int) -> Change:
    """What a way changes, and which limits are then missed."""
    drop_points, latency_ms, energy_mj, size_bytes = ways.change[way].tolist()
    breaks = zip(BUDGET_NAMES, ways.breaks[way].tolist(), strict=True)
    return Change(
        drop_points=drop_points,
        latency_ms=latency_ms,
        energy_mj=energy_mj,
        size_bytes=size_bytes,
        score=float(ways.score[way]),
        breaks=tuple(name for name, broken in breaks if broken),
    )


def _left_alone(ways: PricedWays, layer: int) -> str:
    """The nearest miss: the change of this layer that would have come closest to paying."""
    if ways.is_gone[ways.decisions[layer][0]]:
        return "gone: what was chosen for a layer before it took it out"
    best = ways.nearest(layer)
    if best is None:
        return "left as it is: locked"
    decision, action = int(ways.ways.decisions[best]), int(ways.ways.actions[best])
    name = " + ".join(map(title_of, ways.space.techniques(decision, action)))
    what = "the whole network" if ways.layers[layer] == NETWORK else "this layer"
    change = ways.change[best]
    clause = _clause(-change[1:] / ways.base, -change[0], verb="would save")
    return f"left as it is: the best change of {what}, {name}, {clause}"


def _clause(saved: Array, points: float, verb: str = "saves") -> str:
    """What a change saves, as shares ``[3]`` of the baseline, and what it costs.

    ``points`` is what undoing it would add to the loss: negative where the change loses accuracy.
    """
    saved = saved.tolist()
    order = sorted(range(len(saved)), key=lambda i: -saved[i])
    found = [f"{saved[i]:.0%} of the {_GAINS[i]}" for i in order[:2] if saved[i] >= _NOTICED]
    gains = f"{verb} {' and '.join(found) or 'next to nothing'}"
    worse = [
        f"{-saved[i]:.0%} more {_GAINS[i]}" for i in order[::-1][:1] if saved[i] <= -_NOTICED
    ]
    price = f"for {-points:.2f} points" if points < -_NO_POINTS else "at no predicted loss"
    return " ".join([gains, *(f"but takes {text}" for text in worse), price])


def _spoken(budget: str) -> str:
    return {
        "max_accuracy_drop": "accuracy",
        "max_latency_ms": "latency",
        "max_energy_mj": "energy",
        "max_size_bytes": "file size",
    }[budget]
