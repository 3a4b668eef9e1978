"""A handful of recipes near which the best answer to most wishes lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.local_search import climb
from selector.reward import potential, quantities
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

_WISHES = 192
_MOST_TRIED = 256


def choose_anchors(
    surrogate: Surrogate, targets: Sequence[DeviceProfile], count: int = 12
) -> IntArray:
    """``[<= count, D]`` the untouched network, then recipes that together serve random wishes best.

    Recipes are found by climbing from the untouched network and from random ones; they are added
    one by one, each time the one that raises the mean of the best potentials most.
    """
    rng = np.random.default_rng(0)
    space, costs = surrogate.space, surrogate.costs(tuple(targets))
    wants = draw_wishes(surrogate, targets, _WISHES, rng)
    starts = space.sample(space.mask, _WISHES, rng)
    starts[::2] = 0

    def value(totals: Array) -> Array:
        return potential(quantities(surrogate, totals), wants)

    found = climb(costs, starts, space.mask, value, wants.target)
    tried = np.unique(found, axis=0)[:_MOST_TRIED]
    tried = np.concatenate([space.untouched(), tried])
    every = np.tile(tried, (len(wants), 1))
    totals = costs.totals(every, np.repeat(wants.target, len(tried)))
    worth = value(totals.reshape(len(wants), len(tried), -1))
    chosen, reached = [0], worth[:, 0]
    while len(chosen) < count:
        gains = np.maximum(worth, reached[:, None]).mean(axis=0) - reached.mean()
        best = int(gains.argmax())
        if gains[best] <= 0:
            break
        chosen.append(best)
        reached = np.maximum(reached, worth[:, best])
    return tried[chosen]
