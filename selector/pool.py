"""Good answers kept for later: recipes that some wish or other is best served by."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.local_search import climb
from selector.reward import quantities, utility
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from compression.cost import DeviceProfile
    from selector.reward import Preferences
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

    Judge = Callable[[Array, Preferences], Array]

_JUDGES = 1000
_AT_ONCE = 100
_WORK = 6000  # decisions climbed a round: large networks get fewer wishes, not a longer wait


class Pool:
    """Configurations ``[N, D]`` with what they give on each target, computed once.

    Attributes:
        configs: distinct, in the order in which they came.
    """

    def __init__(
        self, surrogate: Surrogate, targets: Sequence[DeviceProfile], configs: IntArray
    ) -> None:
        self._surrogate, self._costs = surrogate, surrogate.costs(tuple(targets))
        self.configs: IntArray = configs[:0]
        self._values: Array = np.zeros((len(targets), 0, 4))
        self.add(configs)

    def add(self, configs: IntArray) -> None:
        """Take in what is not there yet."""
        both = distinct(np.concatenate([self.configs, configs]))
        fresh = both[len(self.configs) :]
        values = [
            quantities(self._surrogate, self._costs.totals(fresh, target))
            for target in range(len(self._values))
        ]
        self._values = np.concatenate([self._values, np.array(values)], axis=1)
        self.configs = both

    def keep(self, rows: IntArray) -> None:
        """Forget all but these, in that order."""
        self.configs, self._values = self.configs[rows], self._values[:, rows]

    def worth(
        self, wants: Preferences, judge: Judge = utility, rows: IntArray | None = None
    ) -> Array:
        """``[B, N]`` the utility (or potential) of each (or of some) for each asker."""
        values = self._values if rows is None else self._values[:, rows]
        parts = [wants.take(slice(at, at + _AT_ONCE)) for at in range(0, len(wants), _AT_ONCE)]
        return np.concatenate([judge(values[part.target], part) for part in parts])


def grow_pool(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    pool: IntArray,
    rounds: int = 16,
    most: int = 600,
    seed: int = 0,
    report: Callable[[int], bool] | None = None,
) -> IntArray:
    """``[<= most, D]`` the pool and what serves new random wishes better than all of it.

    For each wish a climb starts from the best of the pool and from a random recipe; what one wish
    finds, another may start from. Those that serve most wishes are kept, the first one always.
    ``report`` is told the rounds done after each; when it returns false, there are no more.
    """
    rng = np.random.default_rng(seed)
    space, costs = surrogate.space, surrogate.costs(tuple(targets))
    known = Pool(surrogate, targets, pool)
    count = min(300, max(30, _WORK // space.n_decisions))
    for done in range(1, rounds + 1):
        wants = draw_wishes(surrogate, targets, count, rng)
        worth = known.worth(wants)
        both = wants.take(np.tile(np.arange(count), 2))
        starts = known.configs[worth.argmax(axis=1)]
        starts = np.concatenate([starts, space.sample(space.mask, count, rng)])

        def value(totals: Array, both: Preferences = both) -> Array:
            return utility(quantities(surrogate, totals), both)

        ends = climb(costs, starts, space.mask, value, both.target)
        reached = value(costs.totals(ends, both.target)[:, None])[:, 0]
        known.add(ends[reached > np.tile(worth.max(axis=1), 2) + 1e-9])
        if report and not report(done):
            break
    if len(known.configs) > most:
        _keep_most_useful(known, draw_wishes(surrogate, targets, _JUDGES, rng), most)
    return known.configs


def distinct(configs: IntArray) -> IntArray:
    """Each configuration once, in the order of its first appearance."""
    _, first = np.unique(configs, axis=0, return_index=True)
    return configs[np.sort(first)]


def _keep_most_useful(pool: Pool, wants: Preferences, count: int) -> None:
    """The first configuration, then those that are best for most of many wishes."""
    wins = np.bincount(pool.worth(wants).argmax(axis=1), minlength=len(pool.configs))
    wins[0] = len(wants) + 1
    pool.keep(np.argsort(-wins, kind="stable")[:count])
