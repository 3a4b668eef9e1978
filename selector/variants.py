"""Recipes that differ from one in a few decisions, priced by the rows that these change.

A deep network offers thousands of such recipes, and each of them leaves nearly all of its rows alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector.cell_prices import N_COLUMNS
from selector.pricing import RowState

if TYPE_CHECKING:
    from selector.pricing import CostTables
    from selector.tables import Array, BoolArray, IntArray


class Changes(NamedTuple):
    """What variants of a configuration do differently, in any order: ``[P]`` each.

    Those of one variant are about one layer, and each is legal in the configuration as it is.
    """

    variants: IntArray
    decisions: IntArray
    actions: IntArray


class Variants:
    """Variants of one configuration ``[D]`` on one target."""

    def __init__(self, costs: CostTables, config: IntArray) -> None:
        self._costs, self._space, self._config = costs, costs.space, config
        every = np.arange(costs.n_rows)
        self._block = costs.block(config[None], 0)
        self._state = RowState(*(part[0] for part in costs.state(config[None], every)))
        self._rows = costs.row_values(self._block, every, self._state)
        self._totals = costs.totals(config[None])
        touched = [costs.touched(d) for d in range(len(config) - 1)]
        self._sizes = np.array([len(each.rows) for each in touched])
        self._starts = np.cumsum(self._sizes) - self._sizes
        self._touched = [np.concatenate(part) for part in zip(*touched, strict=True)]

    def totals(self, changes: Changes, count: int) -> Array:
        """``[count, 7]`` totals of that many variants, with nothing said about layers that are then gone."""
        if not len(changes.variants):
            return np.repeat(self._totals, count, axis=0)
        changes = self._canonical(changes)
        last = len(self._config) - 1
        whole = np.unique(changes.variants[changes.decisions == last])
        local = ~np.isin(changes.variants, whole)
        found = np.repeat(self._totals, count, axis=0)
        if local.any():
            found = self._local(Changes(*(part[local] for part in changes)), count)
        if len(whole):
            configs = np.repeat(self._config[None], len(whole), axis=0)
            rest = Changes(*(part[~local] for part in changes))
            at = np.searchsorted(whole, rest.variants)
            configs[at, rest.decisions] = rest.actions
            found[whole] = self._costs.totals(configs)
        return found

    def _canonical(self, changes: Changes) -> Changes:
        """Each decision of a variant once, those that a change settles set to nothing."""
        settled = [self._settled(changes, d) for d in self._space.removals.silencing]
        both = [np.concatenate(parts) for parts in zip(*settled, changes, strict=True)]
        keys = both[0] * len(self._config) + both[1]
        _, first = np.unique(keys, return_index=True)
        return Changes(*(part[first] for part in both))

    def _settled(self, changes: Changes, decider: int) -> Changes:
        """What the changes of one decision leave nothing to say about, where something is said."""
        mine = np.flatnonzero(changes.decisions == decider)
        silences = self._space.removals.silencing[decider][changes.actions[mine]]
        which, decisions = np.nonzero(silences & (self._config != 0))
        return Changes(changes.variants[mine[which]], decisions, np.zeros_like(decisions))

    def _local(self, changes: Changes, count: int) -> Array:
        """The same for variants that keep the precision."""
        which, at = spread(self._starts[changes.decisions], self._sizes[changes.decisions])
        rows, reads, writes, own = (part[at] for part in self._touched)
        keys = changes.variants[which] * self._costs.n_rows + rows
        unique, entry = np.unique(keys, return_inverse=True)
        variants, rows = np.divmod(unique, self._costs.n_rows)
        widths = self._space.widths
        shift = widths[changes.decisions, changes.actions]
        shift = (shift - widths[changes.decisions, self._config[changes.decisions]])[which]
        before = RowState(*(part[rows] for part in self._state))
        after = before._replace(
            structures=self._set(before.structures, changes, "builds", entry, which, own),
            thinnings=self._set(before.thinnings, changes, "thins", entry, which, own),
            inputs=before.inputs + np.bincount(entry, shift * reads, len(rows)),
            outputs=before.outputs + np.bincount(entry, shift * writes, len(rows)),
            gone=self._gone(changes, variants, rows),
        )
        values = self._costs.row_values(self._block, rows, after) - self._rows[rows]
        sums = [np.bincount(variants, values[:, c], count) for c in range(N_COLUMNS)]
        bare = self._costs.with_fetches(self._totals, self._block, sign=-1.0)
        return self._costs.with_fetches(bare + np.stack(sums, axis=1), self._block)

    def _set(
        self,
        values: IntArray,
        changes: Changes,
        about: str,
        entry: IntArray,
        which: IntArray,
        own: BoolArray,
    ) -> IntArray:
        """What stands for the rows (or how they are thinned), where the changes are about that."""
        axis = self._space.structures if about == "builds" else self._space.thinnings
        kinds = np.array([getattr(x, about) for x in self._space.decisions])
        mine = own & kinds[changes.decisions][which]
        found = values.copy()
        found[entry[mine]] = axis[changes.decisions, changes.actions][which[mine]]
        return found

    def _gone(self, changes: Changes, variants: IntArray, rows: IntArray) -> BoolArray:
        count = len(self._config)
        keys = changes.variants * count + changes.decisions  # sorted by ``_canonical``

        def chosen(deciders: IntArray) -> IntArray:
            wanted = variants * count + deciders
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            return np.where(keys[at] == wanted, changes.actions[at], self._config[deciders])

        return self._space.removals.gone_rows(rows, chosen)


def spread(starts: IntArray, sizes: IntArray) -> tuple[IntArray, IntArray]:
    """Ranges laid one behind the other: which of them each place belongs to, and the place."""
    which = np.repeat(np.arange(len(sizes)), sizes)
    within = np.arange(len(which)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return which, starts[which] + within
