"""Which recipes to build for real next: answers to many kinds of goals, far from each other."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from compression.types import NETWORK, RecipeStep
from selector.action_space import PRUNING
from selector.local_search import climb
from selector.pareto import spread
from selector.reward import for_targets, quantities, utility
from selector.selection import Question
from selector.types import Budgets, Goals

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compression.cost import DeviceProfile
    from selector.action_space import ActionSpace
    from selector.selection import Prepared
    from selector.surrogate import Surrogate, Validated
    from selector.tables import Array, IntArray

LOSSES = (0.3, 0.7, 1.5, 3.0)
"""Points that may be lost: predictions are wrong by a factor before anything was built."""

WISHES = (
    Goals(accuracy=0.1, latency=0.3, energy=0.3, storage=0.3),
    Goals(accuracy=0.0, latency=1.0, energy=0.0, storage=0.0),
    Goals(accuracy=0.0, latency=0.0, energy=0.0, storage=1.0),
)
HOPELESS = 10.0
"""Predicted points from which on a recipe is built only where nothing better is left: it would teach little."""

EVEN_SHARES = (0.5, 0.75)
"""Of all channels, removed everywhere: what everybody tries first. Predictions from damage alone do them wrong."""

_STARTS = 6
_BELIEFS = 5  # shares no factor with the number of wishes or losses


def propose(
    surrogate: Surrogate,
    count: int,
    targets: Sequence[DeviceProfile],
    seed: int,
    built: Sequence[Validated] = (),
) -> IntArray:
    """``[<= count, D]`` distinct configurations near the front, the same for a seed and what was built.

    The first are even recipes, so that what is predicted of all others can be held against them; the rest
    each answer one wish within one loss on one target. With nothing built all believe the same
    predictions; then each believes in predictions drawn from what the built ones leave possible
    (Thompson sampling, 1933), so that where the predictions are unsure, answers differ. Of these, the
    ones farthest in loss, time and size from each other and from the built ones are kept.
    """
    asked = local_bests(surrogate, targets, seed, unsure=bool(built))
    found = [prepared.best(ends) for prepared, ends in asked]
    known = np.array([each.config for each in built], dtype=np.int64)
    known = known.reshape(-1, surrogate.space.n_decisions)
    fresh = _fresh(np.array(found), known)
    if not len(fresh):
        return fresh
    losses = surrogate.evaluate(fresh, targets[0]).drop_points
    fresh = fresh[_promising(losses, count)]
    first = known if len(known) else even_recipes(surrogate.space)[: count // 2]
    every = np.concatenate([first, fresh])
    points = _points(surrogate, every, targets[0])
    chosen = spread(points, len(known) + count, first=tuple(range(len(first))))
    return every[chosen[len(known) :]]


def even_recipes(space: ActionSpace) -> IntArray:
    """``[<= 2, D]`` the same share of channels off every layer that allows it, all in 8 bits."""
    layers = [d.layer for at, d in enumerate(space.decisions) if PRUNING in space.offered(at)]
    if not layers:
        return space.untouched(0)
    whole = RecipeStep(layer=NETWORK, technique="int8", params={"mode": "full"})
    recipes = ((*(_narrowed(layer, share) for layer in layers), whole) for share in EVEN_SHARES)
    distinct = dict.fromkeys(tuple(space.nearest(recipe).tolist()) for recipe in recipes)
    found = np.array([config for config in distinct if any(config)], dtype=np.int64)
    return found.reshape(-1, space.n_decisions)


def _narrowed(layer: str, share: float) -> RecipeStep:
    return RecipeStep(layer=layer, technique=PRUNING, params={"pruning_ratio": share})


def local_bests(
    surrogate: Surrogate, targets: Sequence[DeviceProfile], seed: int, *, unsure: bool
) -> Iterator[tuple[Prepared, IntArray]]:
    """Wishes within losses on targets, and for each the recipes ``[N, D]`` that no single change improves.

    When ``unsure``, wishes take turns in believing predictions that are drawn from the possible ones.
    """
    rng = np.random.default_rng(seed)
    starts = surrogate.space.sample(surrogate.space.mask, _STARTS, rng)
    starts = np.concatenate([surrogate.space.untouched(), starts])
    beliefs = [surrogate.believing(rng) for _ in range(_BELIEFS)] if unsure else [surrogate]
    asked = [
        Question(
            surrogate=beliefs[number % len(beliefs)],
            target=target,
            goals=goals,
            budgets=Budgets(max_accuracy_drop=loss),
        ).prepared()
        for number, (loss, goals, target) in enumerate(product(LOSSES, WISHES, targets))
    ]
    ends = np.zeros((len(asked), *starts.shape), dtype=np.int64)
    for first in range(len(beliefs)):
        some = asked[first :: len(beliefs)]
        ends[first :: len(beliefs)] = _climbed(some, targets, starts)
    yield from zip(asked, ends, strict=True)


def _climbed(
    asked: Sequence[Prepared], targets: Sequence[DeviceProfile], starts: IntArray
) -> IntArray:
    """``[Q, S, D]`` where climbs from all starts end for questions to one surrogate.

    All climb side by side, which takes little longer than one: while workers wait for these, nothing else is done.
    """
    surrogate = asked[0].question.surrogate
    target = np.array([list(targets).index(each.question.target) for each in asked])
    wants = for_targets(
        surrogate,
        targets,
        target,
        np.concatenate([each.wants.weights for each in asked]),
        np.concatenate([each.wants.limits for each in asked]),
    ).repeated(len(starts))
    configs = np.tile(starts, (len(asked), 1))

    def value(totals: Array) -> Array:
        return utility(quantities(surrogate, totals), wants)

    costs = surrogate.costs(tuple(targets))
    ends = climb(costs, configs, surrogate.space.mask, value, wants.target)
    return ends.reshape(len(asked), *starts.shape)


def _fresh(configs: IntArray, known: IntArray) -> IntArray:
    """Each configuration once, without those that are known or change nothing."""
    seen = {tuple(config) for config in known.tolist()}
    distinct = np.unique(configs, axis=0)
    keep = [bool(c.any()) and tuple(c.tolist()) not in seen for c in distinct]
    return distinct[keep]


def _promising(losses: Array, least: int) -> IntArray:
    """Places of the recipes that are not hopeless by what they are predicted to lose; at least the ``least`` best."""
    kept = max(least, int((losses < HOPELESS).sum()))
    return np.sort(np.argsort(losses, kind="stable")[:kept])


def _points(surrogate: Surrogate, configs: IntArray, target: DeviceProfile) -> np.ndarray:
    """``[N, 3]`` logs of what they lose, take and weigh: equal steps are equal factors."""
    metrics = surrogate.evaluate(configs, target)
    columns = (metrics.drop_points + 0.1, metrics.latency_ms, metrics.size_bytes)
    return np.log(np.maximum(np.stack(columns, axis=1), 1e-9))
