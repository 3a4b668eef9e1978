"""What configurations cost on targets: table look-ups and sums, for many configurations at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.cost import energy_mj, latency_ms
from compression.types import LayerKind, Precision
from selector.tables import (
    BYTES_A_WEIGHT,
    PRECISIONS,
    WIDTH_STEPS,
    Array,
    BoolArray,
    IntArray,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.action_space import ActionSpace
    from selector.tables import StudyTables

LATENCY, ENERGY, SIZE, MACS, PARAMS, DAMAGE = range(6)
"""Columns of every array of totals: ms, mJ, bytes, MACs, parameters, sum of sqrt(KL in nats)."""

N_COLUMNS = 6
_STEPS = len(WIDTH_STEPS)


class CostTables:
    """The study's tables priced for one or several targets.

    Everything a configuration costs is a sum over rows, each looked up by structure, input width
    and output width, so that a change is priced by the few rows it touches.
    """

    def __init__(
        self, tables: StudyTables, space: ActionSpace, targets: Sequence[DeviceProfile]
    ) -> None:
        self.space = space
        self.targets = tuple(targets)
        n_rows, n_structures = tables.kl_structure.shape
        self._n_rows = n_rows
        self._row_stride = n_structures * _STEPS * _STEPS
        self._stride = n_rows * self._row_stride + 1
        priced = [[_priced(tables, t, p) for p in range(len(PRECISIONS))] for t in targets]
        self._cells: Array = np.array(priced).reshape(-1, N_COLUMNS)
        offsets = [[_offset(tables, t, p) for p in range(len(PRECISIONS))] for t in targets]
        self._offsets: Array = np.array(offsets).reshape(-1, N_COLUMNS)
        fetches = [[_fetch(tables, t, p) for p in range(len(PRECISIONS))] for t in targets]
        self._fetches: Array = np.array(fetches).reshape(-1, 3)
        self._in_share = tables.in_share
        self._fractional = bool(((tables.in_share > 0) & (tables.in_share < 1)).any())
        self._out_group = tables.out_group
        self._vanishing_rows = tables.head_rows.copy()
        if tables.head_row >= 0:
            self._vanishing_rows[tables.head_row] = False
        owners = [(d, x.row) for d, x in enumerate(space.decisions) if x.row >= 0]
        self._owner: IntArray = np.full(n_rows, -1)
        self._owner[[row for _, row in owners]] = [d for d, _ in owners]
        self._group_owner = _group_owners(tables, self._owner)
        self._affected = [self._rows_touched(d) for d in range(space.n_decisions)]

    def totals(self, configs: IntArray, target: IntArray | int = 0) -> Array:
        """``[B, 6]`` totals of configurations ``[B, D]``, on a target each (index in ``targets``)."""
        rows = np.arange(self._n_rows)
        at = self._block(configs, target, configs[:, -1])
        found = self._sum(
            at[:, None], rows, *self._state(configs, rows), self.space.pooled(configs)
        )
        return self._with_fetches(np.asarray(found + self._offsets[at]), at)

    def lookahead(
        self, configs: IntArray, decision: int, totals: Array, target: IntArray | int = 0
    ) -> Array:
        """``[B, A', 6]`` totals if one decision were each of its ``A'`` actions and the rest stayed.

        ``totals [B, 6]`` are those of ``configs``.
        """
        space = self.space
        if decision == space.n_decisions - 1:
            return self._lookahead_precision(configs, target)
        rows, in_share, writes, owns = self._affected[decision]
        at = self._block(configs, target, configs[:, -1])
        structures, inputs, outputs = self._state(configs, rows)
        gone = self.space.pooled(configs)
        before = self._sum(at[:, None], rows, structures, inputs, outputs, gone)
        count = space.counts[decision]
        widths = space.widths[decision, :count]
        shift = widths[None, :] - widths[configs[:, decision]][:, None]
        after = self._sum(
            at[:, None, None],
            rows,
            np.where(owns, space.structures[decision, None, :count, None], structures[:, None]),
            inputs[:, None] + shift[:, :, None] * in_share,
            outputs[:, None] + shift[:, :, None] * writes,
            space.pools[None, :count] if decision == space.head else gone[:, None],
        )
        rest = self._with_fetches(totals, at, sign=-1.0) - before
        return self._with_fetches(np.asarray(after + rest[:, None]), at[:, None])

    def row_totals(self, config: IntArray, target: int = 0) -> Array:
        """``[L, 6]`` what each row adds to the totals of one configuration ``[D]``."""
        rows = np.arange(self._n_rows)
        configs = config[None]
        at = self._block(configs, target, configs[:, -1])
        structures, inputs, outputs = self._state(configs, rows)
        gone = np.repeat(self.space.pooled(configs), self._n_rows)
        state = structures[0][:, None], inputs[0][:, None], outputs[0][:, None]
        return self._sum(at[:, None], rows[:, None], *state, gone)

    def _with_fetches(self, totals: Array, block: IntArray, sign: float = 1.0) -> Array:
        """Totals ``[..., 6]`` with the time of fetching what no cache holds; a sign takes it out."""
        cached, ms_each, watts = np.moveaxis(self._fetches[block], -1, 0)
        if not ms_each.any():
            return totals
        fetch_ms = sign * ms_each * np.maximum(totals[..., PARAMS] - cached, 0.0)
        found = totals.copy()
        found[..., LATENCY] += fetch_ms
        found[..., ENERGY] += fetch_ms * watts
        return found

    def _lookahead_precision(self, configs: IntArray, target: IntArray | int) -> Array:
        count = int(self.space.counts[-1])
        repeated = np.repeat(configs, count, axis=0)
        repeated[:, -1] = np.tile(np.arange(count), len(configs))
        targets = target if isinstance(target, int) else np.repeat(target, count)
        return self.totals(repeated, targets).reshape(len(configs), count, N_COLUMNS)

    def _block(self, configs: IntArray, target: IntArray | int, action: IntArray) -> IntArray:
        precision = self.space.precisions[-1][action]
        return np.asarray(np.asarray(target) * len(PRECISIONS) + precision + 0 * configs[:, 0])

    def _state(self, configs: IntArray, rows: IntArray) -> tuple[IntArray, Array, IntArray]:
        """Structure, input step and output step of some rows: each ``[B, R]``."""
        space = self.space
        owner = self._owner[rows]
        chosen = space.structures[owner, configs[:, owner]]
        structures = np.where(owner >= 0, chosen, 0)
        groups = self._group_owner
        steps = np.where(groups >= 0, space.widths[groups, configs[:, groups]], 0)
        inputs = steps @ self._in_share[rows].T
        return structures, inputs, steps[:, self._out_group[rows]]

    def _sum(
        self,
        block: IntArray,
        rows: IntArray,
        structures: IntArray,
        inputs: Array,
        outputs: Array | IntArray,
        gone: BoolArray,
    ) -> Array:
        """Look up rows (last axis of the indices) and add them: ``[..., 6]``."""
        start = block * self._stride
        cell = start + rows * self._row_stride + structures * (_STEPS * _STEPS)
        cell = cell + outputs.astype(np.int64, copy=False)
        empty = gone[..., None] & self._vanishing_rows[rows]
        low = (
            np.rint(inputs).astype(np.int64)
            if not self._fractional
            else np.floor(inputs + 1e-9)
        )
        index = cell + low.astype(np.int64, copy=False) * _STEPS
        last = start + self._stride - 1
        found = self._cells[np.where(empty, last, index)]
        if not self._fractional:
            return np.asarray(found.sum(axis=-2))
        share = np.clip(inputs - low, 0.0, 1.0)[..., None]
        upper = np.where(low < _STEPS - 1, index + _STEPS, index)
        beyond = self._cells[np.where(empty, last, upper)]
        return np.asarray((found + share * (beyond - found)).sum(axis=-2))

    def _rows_touched(self, decision: int) -> tuple[IntArray, Array, Array, BoolArray]:
        """Rows that a decision changes, the share each reads of it, whether it is its own."""
        own = int(self.space.rows[decision])
        if own < 0:
            everything = np.arange(self._n_rows)
            return everything, np.zeros(0), np.zeros(0), np.zeros(0, dtype=np.bool_)
        group = int(self._out_group[own])
        decides = self._group_owner[group] == decision
        reads = self._in_share[:, group] * decides
        writes = (self._out_group == group) & decides
        touched = (reads > 0) | writes
        touched[own] = True
        if decision == self.space.head:
            touched |= self._vanishing_rows
        rows = np.flatnonzero(touched)
        return rows, reads[rows], writes[rows].astype(np.float64), rows == own


def _group_owners(tables: StudyTables, owner: IntArray) -> IntArray:
    """``[G]`` the decision that sets each group's width, -1 for none."""
    leaders = tables.leader_row
    return np.asarray(np.where(leaders >= 0, owner[leaders], -1))


def _priced(tables: StudyTables, target: DeviceProfile, precision: int) -> Array:
    """``[L * S * W * W + 1, 6]`` the columns of every cell; the last one is a row that is gone."""
    kind = PRECISIONS[precision]
    milliseconds = _milliseconds(tables, target, kind)
    weighted = np.array([k is not LayerKind.OTHER for k in tables.kinds])[:, None, None, None]
    stored = tables.weight_bytes[0 if kind is Precision.FP32 else 1]
    nodes = tables.op_bytes[0] + (tables.op_bytes[precision] - tables.op_bytes[0]) * weighted
    columns = [
        milliseconds,
        energy_mj(milliseconds, tables.features, target, kind),
        stored + tables.n_ops * nodes,
        tables.macs,
        tables.params,
        _damage(tables),
    ]
    cells = np.stack(columns, axis=-1).reshape(-1, N_COLUMNS)
    return np.concatenate([cells, np.zeros((1, N_COLUMNS))])


def _milliseconds(tables: StudyTables, target: DeviceProfile, precision: Precision) -> Array:
    if not target.measured_here:
        return latency_ms(tables.features, target, precision)
    return np.asarray(tables.host_ms[1 if precision is Precision.INT8 else 0])


def _damage(tables: StudyTables) -> Array:
    """``[L, S, W, W]`` sqrt(KL) of the row's structure, and of its group's width at its leader."""
    structure = np.sqrt(np.maximum(tables.kl_structure, 0.0))[:, :, None, None]
    width = np.sqrt(np.maximum(tables.kl_width, 0.0))[tables.out_group]
    leads = tables.leader_row[tables.out_group] == np.arange(len(tables.layers))
    at_leader = (width * leads[:, None])[:, None, None, :]
    return np.asarray(np.broadcast_to(structure + at_leader, tables.macs.shape))


def _fetch(tables: StudyTables, target: DeviceProfile, precision: int) -> tuple[float, ...]:
    """Weights that the caches hold, ms to fetch each other one, and watts meanwhile."""
    if not target.measured_here:
        return 0.0, 0.0, 0.0
    arithmetic = int(PRECISIONS[precision] is Precision.INT8)
    cache_bytes, ms_a_byte = tables.host_fetch[arithmetic]
    each = BYTES_A_WEIGHT[arithmetic]
    return float(cache_bytes / each), float(ms_a_byte * each), target.power_w


def _offset(tables: StudyTables, target: DeviceProfile, precision: int) -> Array:
    """What a network costs besides its rows."""
    kind = PRECISIONS[precision]
    offset = np.zeros(N_COLUMNS)
    if target.measured_here:
        floor = tables.host_offset_ms[1 if kind is Precision.INT8 else 0]
        offset[LATENCY] = floor
        offset[ENERGY] = energy_mj(floor, np.zeros(9), target, kind)
    base_ops = float(tables.n_ops[:, 0, 0, 0].sum()) * float(tables.op_bytes[0])
    base_weights = float(tables.weight_bytes[0][:, 0, 0, 0].sum())
    offset[SIZE] = tables.base_file_bytes - base_weights - base_ops
    offset[DAMAGE] = float(np.sqrt(max(0.0, float(tables.kl_precision[precision]))))
    return offset
