"""What one row costs on a target, cell by cell, and the columns that totals are counted in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.cost import energy_mj, latency_ms
from compression.types import LayerKind, Precision
from selector.damage import row_damage
from selector.tables import BYTES_A_WEIGHT, PRECISIONS, WIDTH_STEPS, Array

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.tables import StudyTables

LATENCY, ENERGY, SIZE, MACS, PARAMS, DAMAGE, COLD = range(7)
"""Columns of every array of totals: ms, mJ, bytes, MACs, parameters, sum of sqrt(KL in nats), ms more with
cold caches (of which ``LATENCY`` of whole networks holds the share that their weights make cold)."""

N_COLUMNS = 7

_STEPS = len(WIDTH_STEPS)


def cold_share(weights: Array, cached: Array | float) -> Array:
    """How much of the caches' help is lost (0..1), by weights and how many the caches hold.

    Caches that let go of what was used longest ago help nothing in a cycle twice as large as they are.
    """
    return np.asarray(np.clip(weights / np.maximum(cached, 1.0) - 1.0, 0.0, 1.0))


def write_cell_prices(
    cells: Array, tables: StudyTables, target: DeviceProfile, precision: int
) -> None:
    """Fill ``cells [L * S * W * W + 1, 7]``, the columns of every cell; the last one is a row that is gone."""
    kind = PRECISIONS[precision]
    milliseconds = _milliseconds(tables, target, kind)
    weighted = np.array([k is not LayerKind.OTHER for k in tables.kinds])[:, None, None, None]
    stored = tables.weight_bytes[precision, 0]
    nodes = tables.op_bytes[0] + (tables.op_bytes[precision] - tables.op_bytes[0]) * weighted
    columns = (
        milliseconds,
        energy_mj(milliseconds, tables.features, target, kind),
        stored + tables.n_ops * nodes,
        tables.macs,
        tables.params,
        by_cell(row_damage(tables)[:, 0]),
        _cold_milliseconds(tables, target, kind),
    )
    for at, column in enumerate(columns):
        cells[:-1, at] = column.ravel()
    cells[-1] = 0.0


def _milliseconds(tables: StudyTables, target: DeviceProfile, precision: Precision) -> Array:
    if not target.measured_here:
        return latency_ms(tables.features, target, precision)
    return np.asarray(tables.host_ms[1 if precision is Precision.INT8 else 0])


def _cold_milliseconds(
    tables: StudyTables, target: DeviceProfile, precision: Precision
) -> Array:
    if not target.measured_here:
        return np.zeros(tables.host_ms.shape[1:])
    return np.asarray(tables.features @ tables.host_cold[int(precision is Precision.INT8)])


def network_offset(tables: StudyTables, target: DeviceProfile, precision: int) -> Array:
    """What a network costs besides its rows."""
    kind = PRECISIONS[precision]
    offset = np.zeros(N_COLUMNS)
    if target.measured_here:
        floor = tables.host_offset_ms[1 if kind is Precision.INT8 else 0]
        offset[LATENCY] = floor
        offset[ENERGY] = energy_mj(floor, np.zeros(9), target, kind)
    base_ops = float(tables.n_ops[:, 0, 0, 0].sum()) * float(tables.op_bytes[0])
    base_weights = float(tables.weight_bytes[0, 0, :, 0, 0, 0].sum())
    offset[SIZE] = tables.base_file_bytes - base_weights - base_ops
    offset[DAMAGE] = float(np.sqrt(max(0.0, float(tables.kl_precision[precision]))))
    return offset


def fetch_price(
    tables: StudyTables, target: DeviceProfile, precision: int
) -> tuple[float, ...]:
    """Weights that the caches hold, ms to fetch each other one, and watts meanwhile."""
    if not target.measured_here:
        return 0.0, 0.0, 0.0
    arithmetic = int(PRECISIONS[precision] is Precision.INT8)
    cache_bytes, ms_a_byte = tables.host_fetch[arithmetic]
    each = BYTES_A_WEIGHT[arithmetic]
    return float(cache_bytes / each), float(ms_a_byte * each), target.power_w


def saved_bytes(tables: StudyTables) -> Array:
    """``[P, L, V, S * W * W]`` bytes that each thinning saves of each cell."""
    saved = (tables.weight_bytes[:, :1] - tables.weight_bytes).swapaxes(1, 2)
    return np.ascontiguousarray(saved)


def by_cell(damage: Array) -> Array:
    """``[L, ..., S, W, W]`` of every cell, from ``[L, ..., S, W]``: inputs narrowed by others do no damage."""
    return np.repeat(damage[..., None, :], _STEPS, axis=-2)
