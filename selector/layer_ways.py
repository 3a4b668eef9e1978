"""What might be done to each layer of a recipe instead, everything else as it is: all ways priced at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector import reward
from selector.variants import Changes, Variants, spread

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.types import Params
    from selector.action_space import ActionSpace
    from selector.selection import Prepared
    from selector.tables import Array, BoolArray, IntArray

_UNDONE = -1
_SAME = 1e-9  # of a quantity: sums over rows in another order differ by less


class Ways(NamedTuple):
    """Single layers treated otherwise, each ``[N]``; first every layer undone, in order.

    ``decisions`` says what is decided otherwise (-1 for nothing), ``actions`` how, ``bare`` whether all else about
    the layer is undone.
    """

    layers: IntArray
    decisions: IntArray
    actions: IntArray
    bare: BoolArray


@dataclass(frozen=True, slots=False, kw_only=True, eq=False)
class PricedWays:
    """The ways to treat each layer of a configuration ``[D]`` otherwise, and what each would change.

    Attributes:
        layers: names, in order, ``*`` last.
        now: ``[4]`` points lost, ms, mJ and bytes; ``change [N, 4]`` what each way adds to them.
        score: ``[N]`` what it adds to the score.
        utility: ``[N]`` in which order ways answer the question.
        breaks: ``[N, 4]`` limits that are kept now and missed then.
    """

    space: ActionSpace
    config: IntArray
    layers: tuple[str, ...]
    ways: Ways
    base: Array
    now: Array
    change: Array
    score: Array
    utility: Array
    breaks: BoolArray

    def is_treated(self, layer: int) -> bool:
        """Whether anything is done to a layer."""
        return bool(self.config[self.decisions[layer]].any())

    @cached_property
    def is_gone(self) -> BoolArray:
        """``[D]`` whether another layer's treatment leaves nothing to decide."""
        return np.asarray(self.space.removals.settled(self.config[None])[0])

    @cached_property
    def decisions(self) -> list[IntArray]:
        """Of each layer."""
        layer_of = _layer_of(self.space)
        return np.split(np.arange(len(layer_of)), np.flatnonzero(np.diff(layer_of)) + 1)

    def nearest(self, layer: int) -> int | None:
        """Of a layer that is left alone the change that comes closest to paying."""
        mine = self._of_layer[layer]
        mine = mine[~self.ways.bare[mine] & (self.ways.actions[mine] > 0)]
        return int(mine[self.utility[mine].argmax()]) if len(mine) else None

    def best(self, layer: int) -> Iterator[int]:
        """The ways to treat a layer, the best first; those that gain nothing after those that gain something."""
        gain = self.change < -_SAME * np.maximum(self.now, 1.0)
        mine = self._of_layer[layer]
        nothing = ~gain[mine].any(axis=1)
        yield from mine[np.lexsort((-self.utility[mine], nothing))].tolist()

    def treatments(self, way: int | None, layer: int) -> dict[str, Params]:
        """What a layer itself gets, as locks say it; of the recipe as it is without a way."""
        chosen = {d: int(self.config[d]) for d in self.decisions[layer].tolist()}
        if way is not None:
            decision, action = int(self.ways.decisions[way]), int(self.ways.actions[way])
            settles = self.space.removals.silencing.get(decision)
            for d in chosen:
                if self.ways.bare[way] or (settles is not None and settles[action, d]):
                    chosen[d] = 0
            chosen[decision] = action
        found: dict[str, Params] = {}
        for d, action in chosen.items():
            found |= self.space.techniques(d, action)
        return found

    @cached_property
    def _of_layer(self) -> list[IntArray]:
        """Rows of the ways of each layer, without the one that undoes it."""
        order = np.argsort(self.ways.layers, kind="stable")
        order = order[self.ways.decisions[order] != _UNDONE]
        counts = np.bincount(self.ways.layers[order], minlength=len(self.layers))
        return np.split(order, np.cumsum(counts)[:-1])


def priced_ways(asked: Prepared, config: IntArray) -> PricedWays:
    """All ways to treat single layers of a configuration ``[D]`` otherwise that the locks allow."""
    space, wants, surrogate = asked.costs.space, asked.wants, asked.question.surrogate
    layer_of = _layer_of(space)
    ways = _ways(space, config, asked.mask, layer_of)
    totals = Variants(asked.costs, config).totals(
        _changes(config, ways, layer_of), len(ways.layers)
    )
    now = reward.quantities(surrogate, asked.costs.totals(config[None]))
    values = np.concatenate([now, reward.quantities(surrogate, totals)])[None]
    scores, over = reward.score(values, wants)[0], reward.violations(values, wants)[0] > 0
    names = [space.decisions[d].layer for d in np.unique(layer_of, return_index=True)[1]]
    return PricedWays(
        space=space,
        config=config,
        layers=tuple(names),
        ways=ways,
        base=wants.base[0],
        now=now[0],
        change=values[0, 1:] - now,
        score=scores[1:] - scores[0],
        utility=reward.utility(values, wants)[0, 1:],
        breaks=over[1:] & ~over[0],
    )


def _layer_of(space: ActionSpace) -> IntArray:
    """``[D]`` the number of the layer that each decision is about; decisions of one layer lie side by side."""
    names = [decision.layer for decision in space.decisions]
    new = [here != before for before, here in zip([None, *names], names, strict=False)]
    return np.cumsum(new) - 1


def _ways(space: ActionSpace, config: IntArray, mask: BoolArray, layer_of: IntArray) -> Ways:
    settled = space.removals.settled(config[None])[0]
    legal = mask.copy()
    legal[settled, 1:] = False
    decisions, actions = np.nonzero(legal)
    layers, said = layer_of[decisions], config != 0
    others_said = np.bincount(layer_of, said)[layers] - said[decisions] > 0
    is_free = np.bincount(layer_of, ~mask[:, 0])[layers] == 0
    parts = [
        (np.unique(layer_of), _UNDONE, 0, True),
        *(
            (layers[some], decisions[some], actions[some], bare)
            for some, bare in (
                (actions != config[decisions], False),
                (is_free & others_said & (actions > 0), True),
            )
        ),
    ]
    return Ways(
        *(
            np.concatenate([np.broadcast_to(part[at], part[0].shape) for part in parts])
            for at in range(len(Ways._fields))
        )
    )


def _changes(config: IntArray, ways: Ways, layer_of: IntArray) -> Changes:
    """What each way changes in the configuration: what is said of its layer is unsaid, or one thing said."""
    said = np.flatnonzero(config)
    counts = np.bincount(layer_of[said], minlength=int(layer_of[-1]) + 1)
    starts = np.cumsum(counts) - counts
    bare = np.flatnonzero(ways.bare)
    which, at = spread(starts[ways.layers[bare]], counts[ways.layers[bare]])
    undone = Changes(bare[which], said[at], np.zeros_like(at))
    other = undone.decisions != ways.decisions[undone.variants]
    told = np.flatnonzero(ways.decisions != _UNDONE)
    one = Changes(told, ways.decisions[told], ways.actions[told])
    return Changes(*(np.concatenate([a[other], b]) for a, b in zip(undone, one, strict=True)))
