"""What configurations cost on targets: table look-ups and sums, for many configurations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector.cell_prices import (
    COLD,
    DAMAGE,
    ENERGY,
    LATENCY,
    N_COLUMNS,
    PARAMS,
    SIZE,
    by_cell,
    cold_share,
    fetch_price,
    network_offset,
    saved_bytes,
    write_cell_prices,
)
from selector.damage import row_damage
from selector.tables import PRECISIONS, WIDTH_STEPS, Array, BoolArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.action_space import ActionSpace
    from selector.tables import StudyTables

_STEPS = len(WIDTH_STEPS)


class RowState(NamedTuple):
    """What some rows are like in some configurations: each ``[..., R]``.

    ``inputs`` and ``outputs`` are width steps, the former fractional where several groups are read.
    """

    structures: IntArray
    thinnings: IntArray
    inputs: Array
    outputs: Array | IntArray
    gone: BoolArray


class Priced(NamedTuple):
    """Configurations ``[B, D]`` with their totals ``[B, 7]``, so that nobody has to price them again."""

    configs: IntArray
    totals: Array

    def take(self, rows: IntArray) -> Priced:
        """Some of them."""
        return Priced(self.configs[rows], self.totals[rows])


class Parts(NamedTuple):
    """What the totals of every recipe on one target in one precision are made of.

    Attributes:
        cells: ``[L, S, W, W, 7]`` by row, structure, input and output width step.
        saved_bytes: ``[L, V, S, W, W]`` what each way to thin a row takes off its bytes.
        thinning_damage: ``[L, V, S, W, W]`` what it adds to the damage.
        offset: ``[7]`` besides the rows.
        fetch: parameters that the caches hold, ms for each beyond them, watts meanwhile.
        may_be_cold: whether operations take longer in networks with more parameters than that.
    """

    cells: Array
    saved_bytes: Array
    thinning_damage: Array
    offset: Array
    fetch: tuple[float, float, float]
    may_be_cold: bool


class Touched(NamedTuple):
    """Rows that a decision changes, the share each reads and writes of its group, whether it is its own."""

    rows: IntArray
    reads: Array
    writes: Array
    own: BoolArray


class CostTables:
    """The study's tables priced for one or several targets.

    Everything a configuration costs is a sum over rows, each looked up by structure, input width
    and output width, so that a change is priced by the few rows it touches. What thinned weights
    save is bytes of the file alone, looked up in the same way.
    """

    def __init__(
        self, tables: StudyTables, space: ActionSpace, targets: Sequence[DeviceProfile]
    ) -> None:
        self.space = space
        self.targets = tuple(targets)
        n_rows, n_structures = tables.kl_structure.shape
        self.n_rows = n_rows
        self._row_stride = n_structures * _STEPS * _STEPS
        self._stride = n_rows * self._row_stride + 1
        priced: Array = np.empty((len(targets), len(PRECISIONS), self._stride, N_COLUMNS))
        for t, target in enumerate(targets):
            for p in range(len(PRECISIONS)):
                write_cell_prices(priced[t, p], tables, target, p)
        self._cells = priced.reshape(-1, N_COLUMNS)
        offsets = [
            [network_offset(tables, t, p) for p in range(len(PRECISIONS))] for t in targets
        ]
        self._offsets: Array = np.array(offsets).reshape(-1, N_COLUMNS)
        self._saved = saved_bytes(tables)
        damage = row_damage(tables)
        self._thinning_damage = np.ascontiguousarray(by_cell(damage - damage[:, :1]))
        self._n_thinnings = tables.kl_thinning.shape[1]
        self._thins = self._n_thinnings > 1
        fetches = [[fetch_price(tables, t, p) for p in range(len(PRECISIONS))] for t in targets]
        self._fetches: Array = np.array(fetches).reshape(-1, 3).T.copy()
        self._fetches_any = bool(self._fetches[1].any() or self._cells[:, COLD].any())
        self._in_share = tables.in_share
        self._fractional = bool(((tables.in_share > 0) & (tables.in_share < 1)).any())
        self._out_group = tables.out_group
        nobody = np.zeros((1, space.mask.shape[1]), dtype=np.int64)
        axes = (space.widths, space.structures, space.thinnings)
        self._widths, self._structures, self._thinnings = (
            np.concatenate([axis, nobody]) for axis in axes
        )
        decisions = space.decisions
        self._builder = self._deciders([x.builds for x in decisions])
        self._thinner = self._deciders([x.thins for x in decisions])
        narrower = self._deciders([x.narrows for x in decisions])
        self._group_owner = _group_owners(tables, narrower)
        self._touched: dict[int, Touched] = {}

    def totals(
        self, configs: IntArray, target: IntArray | int = 0, state: RowState | None = None
    ) -> Array:
        """``[B, 7]`` totals of configurations ``[B, D]``, on a target each (index in ``targets``).

        ``state`` is that of all rows in them, which is the same for all targets, where it is known.
        """
        rows = np.arange(self.n_rows)
        at = self.block(configs, target)
        found = self.row_values(at[:, None], rows, state or self.state(configs, rows)).sum(
            axis=-2
        )
        return self.with_fetches(np.asarray(found + self._offsets[at]), at)

    def priced(self, configs: IntArray) -> Priced:
        """Configurations ``[B, D]`` with their totals on the first target."""
        return Priced(configs, self.totals(configs))

    def lookahead(
        self, configs: IntArray, decision: int, totals: Array, target: IntArray | int = 0
    ) -> Array:
        """``[B, A', 7]`` totals if one decision were each of its ``A'`` actions and the rest stayed.

        ``totals [B, 7]`` are those of ``configs``.
        """
        if decision == self.space.n_decisions - 1:
            every = self.state(configs, np.arange(self.n_rows))
            return self.in_each_precision(every, target)
        rows = self.touched(decision).rows
        at = self.block(configs, target)
        changed = self._changed(configs, decision, self.state(configs, rows))
        after = self.row_values(at[:, None, None], rows, changed).sum(axis=-2)
        before = after[np.arange(len(configs)), configs[:, decision]]
        rest = self.with_fetches(totals, at, sign=-1.0) - before
        return self.with_fetches(np.asarray(after + rest[:, None]), at[:, None])

    def row_totals(self, config: IntArray, target: int = 0) -> Array:
        """``[L, 7]`` what each row adds to the totals of one configuration ``[D]``."""
        rows = np.arange(self.n_rows)
        configs = config[None]
        at = self.block(configs, target)
        values = self.row_values(at[:, None], rows, self.state(configs, rows))
        cached, _, watts = self._fetches[:, at]
        cold_ms = cold_share(values[..., PARAMS].sum(axis=-1), cached) * values[..., COLD]
        values[..., LATENCY] += cold_ms
        values[..., ENERGY] += cold_ms * watts
        return np.asarray(values[0])

    def parts(self, target: int, action: int) -> Parts:
        """The summands of ``totals`` with the precision that an action of the last decision means."""
        precision = int(self.space.precisions[-1][action])
        block = target * len(PRECISIONS) + precision
        cells = self._cells[block * self._stride :][: self._stride - 1]
        shape = self._thinning_damage.shape[:2]
        cells = cells.reshape(shape[0], -1, _STEPS, _STEPS, N_COLUMNS)
        thinned = (*shape, *cells.shape[1:-1])
        cached, ms_each, watts = self._fetches[:, block].tolist()
        return Parts(
            cells=cells,
            saved_bytes=self._saved[precision].reshape(thinned),
            thinning_damage=self._thinning_damage,
            offset=self._offsets[block],
            fetch=(cached, ms_each, watts),
            may_be_cold=bool(cells[..., COLD].any()),
        )

    def with_fetches(self, totals: Array, block: IntArray, sign: float = 1.0) -> Array:
        """Totals ``[..., 7]`` with the time that missing caches take; a sign takes it out.

        Weights beyond the caches are fetched, and operations find neither weights nor values warm.
        """
        if not self._fetches_any:
            return totals
        cached, ms_each, watts = self._fetches[:, block]
        weights = totals[..., PARAMS]
        cold_ms = cold_share(weights, cached) * totals[..., COLD]
        fetch_ms = sign * (ms_each * np.maximum(weights - cached, 0.0) + cold_ms)
        found = totals.copy()
        found[..., LATENCY] += fetch_ms
        found[..., ENERGY] += fetch_ms * watts
        return found

    def marginal_prices(self, prices: Array, totals: Array, block: IntArray) -> Array:
        """Prices ``[..., 7]`` of what rows add, from prices of totals ``[..., 7]`` like these.

        What one more weight does to the caches is part of them.
        """
        if not self._fetches_any:
            return prices
        cached, ms_each, watts = self._fetches[:, block]
        weights = totals[..., PARAMS]
        share = cold_share(weights, cached)
        steepness = totals[..., COLD] / np.maximum(cached, 1.0) * ((share > 0) & (share < 1))
        a_ms = prices[..., LATENCY] + watts * prices[..., ENERGY]
        found = prices.copy()
        found[..., COLD] += a_ms * share
        found[..., PARAMS] += a_ms * (ms_each * (weights > cached) + steepness)
        return found

    def in_each_precision(self, state: RowState, target: IntArray | int = 0) -> Array:
        """``[B, P, 7]`` totals of recipes whose rows are in a state ``[B, L]``, in each precision."""
        offered = self.space.precisions[-1][: self.space.counts[-1]]
        first = np.reshape(np.asarray(target), (-1, 1)) * len(PRECISIONS)
        at = np.broadcast_to(first + offered, (len(state.gone), len(offered)))
        each = RowState(
            structures=state.structures[:, None],
            thinnings=state.thinnings[:, None],
            inputs=state.inputs[:, None],
            outputs=state.outputs[:, None],
            gone=state.gone[:, None],
        )
        found = self.row_values(at[..., None], np.arange(self.n_rows), each).sum(axis=-2)
        return self.with_fetches(np.asarray(found + self._offsets[at]), at)

    def block(self, configs: IntArray, target: IntArray | int) -> IntArray:
        """``[B]`` which part of the tables prices configurations: by target and precision."""
        precision = self.space.precisions[-1][configs[:, -1]]
        return np.asarray(np.asarray(target) * len(PRECISIONS) + precision)

    def touched(self, decision: int) -> Touched:
        """The rows whose price a decision can change; all of them for the precision."""
        if decision not in self._touched:
            self._touched[decision] = self._rows_touched(decision)
        return self._touched[decision]

    def state(self, configs: IntArray, rows: IntArray) -> RowState:
        """Some rows as configurations ``[B, D]`` have them: each ``[B, R]``."""
        space = self.space
        steps = _chosen(self._widths, self._group_owner, configs)
        return RowState(
            structures=_chosen(self._structures, self._builder[rows], configs),
            thinnings=_chosen(self._thinnings, self._thinner[rows], configs),
            inputs=steps @ self._in_share[rows].T,
            outputs=steps[:, self._out_group[rows]],
            gone=space.removals.gone(configs)[:, rows],
        )

    def _changed(self, configs: IntArray, decision: int, state: RowState) -> RowState:
        """The same rows, each ``[B, A', R]``, when one decision is each of its actions."""
        space = self.space
        rows, in_share, writes, own = self.touched(decision)
        count = space.counts[decision]
        widths = space.widths[decision, :count]
        shift = (widths[None, :] - widths[configs[:, decision]][:, None])[:, :, None]
        builds = own & space.decisions[decision].builds
        thins = own & space.decisions[decision].thins
        gone = state.gone[:, None]
        removes = space.removals.by_decision.get(decision)
        if removes is not None:
            without = configs.copy()
            without[:, decision] = 0
            others = removes[:count, rows] & ~own
            gone = space.removals.gone(without)[:, None, rows] | others
        return RowState(
            structures=np.where(
                builds,
                space.structures[decision, None, :count, None],
                state.structures[:, None],
            ),
            thinnings=np.where(
                thins, space.thinnings[decision, None, :count, None], state.thinnings[:, None]
            ),
            inputs=state.inputs[:, None] + shift * in_share,
            outputs=state.outputs[:, None] + shift * writes,
            gone=gone,
        )

    def row_values(self, block: IntArray, rows: IntArray, state: RowState) -> Array:
        """``[..., R, 7]`` what rows (last axis of the state) cost."""
        cell = state.structures * (_STEPS * _STEPS) + state.outputs.astype(np.int64, copy=False)
        low = np.rint(state.inputs) if not self._fractional else np.floor(state.inputs + 1e-9)
        low = low.astype(np.int64, copy=False)
        found = self._found(block, rows, cell + low * _STEPS, state)
        if self._fractional:
            share = np.clip(state.inputs - low, 0.0, 1.0)[..., None]
            upper = cell + np.minimum(low + 1, _STEPS - 1) * _STEPS
            found = found + share * (self._found(block, rows, upper, state) - found)
        return found

    def _found(self, block: IntArray, rows: IntArray, cell: IntArray, state: RowState) -> Array:
        """``[..., R, 7]`` the columns of rows at cells ``[..., R]`` of their own; zeros if gone."""
        start = block * self._stride
        at = np.where(
            state.gone, start + self._stride - 1, start + rows * self._row_stride + cell
        )
        found: Array = self._cells.take(at, axis=0)
        if not self._thins:
            return found
        present = ~state.gone
        of_row = rows * self._n_thinnings + state.thinnings
        form = block % len(PRECISIONS) * (self.n_rows * self._n_thinnings) + of_row
        saved = self._saved.take(form * self._row_stride + cell)
        found[..., SIZE] -= saved * present
        damage = self._thinning_damage.take(of_row * self._row_stride + cell)
        found[..., DAMAGE] += damage * present
        return found

    def _deciders(self, chosen: Sequence[bool]) -> IntArray:
        """``[L]`` which of the chosen decisions is about each row; -1 for none."""
        found: IntArray = np.full(self.n_rows, -1)
        for d, decision in enumerate(self.space.decisions):
            if decision.row >= 0 and chosen[d]:
                found[decision.row] = d
        return found

    def _rows_touched(self, decision: int) -> Touched:
        own = int(self.space.rows[decision])
        if own < 0:
            everything = np.arange(self.n_rows)
            return Touched(everything, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_))
        group = int(self._out_group[own])
        decides = self._group_owner[group] == decision
        reads = self._in_share[:, group] * decides
        writes = (self._out_group == group) & decides
        touched = (reads > 0) | writes
        touched[own] = True
        removes = self.space.removals.by_decision.get(decision)
        if removes is not None:
            touched |= removes.any(axis=0)
        rows = np.flatnonzero(touched)
        return Touched(rows, reads[rows], writes[rows].astype(np.float64), rows == own)


def _chosen(axis: IntArray, deciders: IntArray, configs: IntArray) -> IntArray:
    """``[B, R]`` what decisions ``[R]`` (-1: nobody) chose on an axis ``[D + 1, A]``, zeros the last."""
    return np.asarray(axis[deciders, configs[:, deciders]])


def _group_owners(tables: StudyTables, owner: IntArray) -> IntArray:
    """``[G]`` the decision that sets each group's width, -1 for none."""
    leaders = tables.leader_row
    return np.asarray(np.where(leaders >= 0, owner[leaders], -1))
