"""Every single change to a recipe, priced at once: what a polish of few recipes needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import N_COLUMNS
from selector.pricing import Priced, RowState

if TYPE_CHECKING:
    from selector.local_search import Value
    from selector.pricing import CostTables
    from selector.tables import Array, BoolArray, IntArray

_LEAST_GAIN = 1e-12
_LEAST_TOGETHER = 8


class SingleChanges:
    """All ``N`` pairs of a decision and one of its actions.

    ``CostTables.lookahead`` prices one decision for many recipes; this prices all decisions of a few
    in about as many array operations.

    Attributes:
        decisions: ``[N]`` which decision each changes; ``actions`` ``[N]`` to what.
    """

    def __init__(self, costs: CostTables) -> None:
        self.costs, space = costs, costs.space
        pairs = [(d, a) for d, count in enumerate(space.counts) for a in range(count)]
        self.decisions, self.actions = np.array(pairs, dtype=np.int64).T
        local = self.decisions < space.n_decisions - 1
        touched = [costs.touched(d) for d in range(space.n_decisions - 1)]
        sizes = [len(touched[d].rows) for d in self.decisions[local]]
        self._starts: IntArray = np.cumsum([0, *sizes[:-1]])
        self._pair: IntArray = np.repeat(np.arange(len(sizes)), sizes)
        each = [touched[d] for d in self.decisions[local]]
        self._rows, self._reads, self._writes, own = (
            np.concatenate([rows[part] for rows in each]) for part in range(4)
        )
        self._decision = self.decisions[self._pair]
        action = self.actions[self._pair]
        kinds = np.array([(x.builds, x.thins) for x in space.decisions])[self._decision].T
        self._builds, self._thins = kinds & own
        self._structures = space.structures[self._decision, action]
        self._thinnings = space.thinnings[self._decision, action]
        self._widths = space.widths[self._decision, action].astype(np.float64)
        self._set_removers(action, own)

    def _set_removers(self, action: IntArray, own: BoolArray) -> None:
        """Where decisions that can take rows out are at stake, and what each of their actions does there."""
        removals = self.costs.space.removals.by_decision
        self._removing: IntArray = np.flatnonzero(np.isin(self._decision, list(removals)))
        at = self._removing
        number = {d: n for n, d in enumerate(removals)}
        self._remover = np.array([number[d] for d in self._decision[at].tolist()], dtype=int)
        # One more of nothing, so that there is a table where nothing can be taken out.
        shape = self.costs.space.mask.shape[1], self.costs.n_rows
        tables = [*removals.values(), np.zeros(shape, dtype=np.bool_)]
        self._tables, self._others = np.stack(tables), ~own[at]
        self._removes = self._tables[self._remover, action[at], self._rows[at]] & self._others

    def ahead(self, configs: IntArray, totals: Array, target: IntArray | int = 0) -> Array:
        """``[B, N, 7]`` totals after each change, from configurations ``[B, D]`` and their totals."""
        costs, rows = self.costs, np.arange(self.costs.n_rows)
        block = costs.block(configs, target)
        state = costs.state(configs, rows)
        before = costs.row_values(block[:, None], rows, state)
        after = costs.row_values(block[:, None], self._rows, self._changed(configs, state))
        sums = np.add.reduceat(after - before[:, self._rows], self._starts, axis=1)
        bare = costs.with_fetches(totals, block, sign=-1.0)
        local = costs.with_fetches(bare[:, None] + sums, block[:, None])
        return np.concatenate([local, costs.in_each_precision(state, target)], axis=1)

    def legal(self, configs: IntArray, mask: BoolArray) -> BoolArray:
        """``[B, N]`` which changes may be made."""
        offered = mask[self.decisions, self.actions]
        gone = self.costs.space.removals.settled(configs)[:, self.decisions]
        return np.asarray(offered & ~(gone & (self.actions > 0)))

    def _changed(self, configs: IntArray, state: RowState) -> RowState:
        rows = self._rows
        widths = self.costs.space.widths[np.arange(configs.shape[1]), configs]
        shift = self._widths - widths[:, self._decision]
        return RowState(
            structures=np.where(self._builds, self._structures, state.structures[:, rows]),
            thinnings=np.where(self._thins, self._thinnings, state.thinnings[:, rows]),
            inputs=state.inputs[:, rows] + shift * self._reads,
            outputs=state.outputs[:, rows] + shift * self._writes,
            gone=self._gone(configs, state),
        )

    def _gone(self, configs: IntArray, state: RowState) -> BoolArray:
        """Rows taken out by others or by the change itself; one that it puts back is there again."""
        at, gone = self._removing, state.gone[:, self._rows]
        if len(at):
            rows, chosen = self._rows[at], configs[:, self._decision[at]]
            own = self._tables[self._remover, chosen, rows] & self._others
            gone[:, at] = self.costs.space.removals.times_gone(configs)[:, rows] > own
            gone[:, at] |= self._removes
        return gone


def polish(
    changes: SingleChanges,
    start: Priced,
    mask: BoolArray,
    value: Value,
    turns: int = 8,
    fewest: int | None = None,
) -> Priced:
    """Each configuration ``[B, D]`` improved until no single change helps, or for so many ``turns``.

    A turn tries the best change, the best two at once, four, eight (and so on in deep networks), and takes what is
    best of these: far fewer array operations than ``climb`` where recipes are good already. With ``fewest``
    each turn leaves the worse half alone until so many are left (successive halving): few of those that
    lag behind would come first. All on the first target.
    """
    configs, totals, costs = start.configs.copy(), start.totals.copy(), changes.costs
    here = value(totals[:, None])[:, 0]
    active = np.arange(len(configs))
    for _ in range(turns):
        tried = _best_together(changes, configs[active], totals[active], mask, value)
        reached = costs.totals(tried.reshape(-1, configs.shape[1]))
        reached = reached.reshape(*tried.shape[:2], N_COLUMNS)
        values = value(reached)
        best, rows = values.argmax(axis=1), np.arange(len(active))
        better = values[rows, best] > here[active] + _LEAST_GAIN
        active, best, rows = active[better], best[better], rows[better]
        if not len(active):
            break
        configs[active], totals[active] = tried[rows, best], reached[rows, best]
        here[active] = values[rows, best]
        if fewest is not None:
            most = max(fewest, len(active) // 2)
            active = active[np.argsort(-here[active], kind="stable")[:most]]
    return Priced(configs, totals)


def _best_together(
    changes: SingleChanges, configs: IntArray, totals: Array, mask: BoolArray, value: Value
) -> IntArray:
    """``[B, n, D]`` configurations with the best change of the best one, two, four ... decisions."""
    space, count = changes.costs.space, len(configs)
    every = np.full((count, *mask.shape), -np.inf)
    values = np.where(
        changes.legal(configs, mask), value(changes.ahead(configs, totals)), -np.inf
    )
    every[:, changes.decisions, changes.actions] = values
    actions = every.argmax(axis=2)
    reached = every.max(axis=2)
    now = np.take_along_axis(every, configs[..., None], axis=2)[..., 0]
    rank = np.argsort(np.argsort(-(reached - now), axis=1, kind="stable"), axis=1)
    most = max(_LEAST_TOGETHER, space.n_decisions // 4)
    together = 2 ** np.arange(int(np.log2(most)) + 1)
    chosen = rank[:, None] < together[None, :, None]
    helps = (reached > now + _LEAST_GAIN)[:, None]
    return space.canonical(np.where(chosen & helps, actions[:, None], configs[:, None]))
