"""Good answers kept for later: recipes that some wish or other is best served by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.local_search import climb
from selector.reward import quantities, utility
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.reward import Preferences
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

_JUDGES = 1000
_WORK = 2400  # decisions climbed a round: large networks get fewer wishes, not a longer wait


def grow_pool(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    pool: IntArray,
    rounds: int = 16,
    most: int = 600,
    seed: int = 0,
) -> IntArray:
    """``[<= most, D]`` the pool and what serves new random wishes better than all of it.

    For each wish a climb starts from the best of the pool and from a random recipe; what one wish
    finds, another may start from. Those that serve most wishes are kept, the first one always.
    """
    rng = np.random.default_rng(seed)
    space, costs = surrogate.space, surrogate.costs(tuple(targets))
    count = min(300, max(30, _WORK // space.n_decisions))
    for _ in range(rounds):
        wants = draw_wishes(surrogate, targets, count, rng)
        known = _worth(surrogate, targets, pool, wants)
        both = wants.take(np.tile(np.arange(count), 2))
        starts = np.concatenate(
            [pool[known.argmax(axis=1)], space.sample(space.mask, count, rng)]
        )

        def value(totals: Array, both: Preferences = both) -> Array:
            return utility(quantities(surrogate, totals), both)

        ends = climb(costs, starts, space.mask, value, both.target)
        worth = value(costs.totals(ends, both.target)[:, None])[:, 0]
        better = ends[worth > np.tile(known.max(axis=1), 2) + 1e-9]
        pool = distinct(np.concatenate([pool, better]))
    return pool if len(pool) <= most else _most_useful(surrogate, targets, pool, most, rng)


def distinct(configs: IntArray) -> IntArray:
    """Each configuration once, in the order of its first appearance."""
    _, first = np.unique(configs, axis=0, return_index=True)
    return configs[np.sort(first)]


def _most_useful(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    pool: IntArray,
    count: int,
    rng: np.random.Generator,
) -> IntArray:
    """The first configuration, then those that are best for most of many wishes."""
    wants = draw_wishes(surrogate, targets, _JUDGES, rng)
    best = _worth(surrogate, targets, pool, wants).argmax(axis=1)
    wins = np.bincount(best, minlength=len(pool))
    wins[0] = _JUDGES + 1
    return pool[np.argsort(-wins, kind="stable")[:count]]


def _worth(
    surrogate: Surrogate, targets: Sequence[DeviceProfile], pool: IntArray, wants: Preferences
) -> Array:
    """``[B, N]`` the utility of each of the pool for each asker."""
    costs = surrogate.costs(tuple(targets))
    found = np.empty((len(wants), len(pool)))
    for target in range(len(targets)):
        values = quantities(surrogate, costs.totals(pool, target))
        rows = np.flatnonzero(wants.target == target)
        repeated = np.broadcast_to(values, (len(rows), *values.shape))
        found[rows] = utility(repeated, wants.take(rows))
    return found
