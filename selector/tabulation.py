"""From a network's layout to the study's tables: what to time, how to fill."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compression import technique
from compression.cost import FEATURES, op_features
from compression.suitability import unmeasured
from compression.types import LayerKind, LayerProfile, OpSpec, Precision
from compression.weight_storage import stored_bytes
from selector.layout import is_pair, pair_cell, probes
from selector.tables import (
    PRECISIONS,
    WIDTH_STEPS,
    Array,
    BoolArray,
    Structure,
    StudyTables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from selector.layout import Layout

WEIGHTED_OPS = frozenset({"conv", "dense"})

LOOKUP_PRECISIONS = (Precision.FP32, Precision.INT8)
"""The order of the first axis of ``host_ms``: the arithmetics that differ in time."""

UNCALIBRATED_BAND = 0.5
"""Share by which sums of operations timed alone may be off, before whole networks were timed."""

Cell = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What PROBE measured: KL by probe key, milliseconds by operation, and facts of the base.

    ``file_bytes`` are of the original in each of ``PRECISIONS``; ``floor_ms`` is what a call costs
    before any operation runs.
    """

    kl: Mapping[str, float]
    op_ms: Mapping[tuple[OpSpec, Precision], float]
    floor_ms: float
    file_bytes: tuple[int, ...]
    meta: Mapping[str, Any]


def operations(layout: Layout) -> dict[Cell, tuple[OpSpec, ...]]:
    """The operations of every cell ``(row, structure, input step, output step)`` that can be."""
    return {cell: _operations_at(layout, cell) for cell in _cells(layout)}


def timed(op: OpSpec) -> OpSpec:
    """The operation as it is timed: a dense runtime multiplies zeros too."""
    return op if op.density == 1.0 else replace(op, density=1.0)


def tabulate(layout: Layout, measured: Measurements) -> StudyTables:
    """Fill the study's tables from what was measured, host times as each operation took alone."""
    size = (
        len(layout.rows),
        max(map(len, layout.structures)),
        len(WIDTH_STEPS),
        len(WIDTH_STEPS),
    )
    costs: dict[str, Any] = _filled(layout, measured, size)
    base_ops = float(costs["n_ops"][:, 0, 0, 0].sum())
    tables = StudyTables(
        layers=tuple(row.name for row in layout.rows),
        kinds=tuple(row.kind for row in layout.rows),
        structures=layout.structures,
        thinnings=layout.thinnings,
        precision_steps=layout.precision_steps,
        removes=_removes(layout, size),
        fixes_width=_padded(layout.fixes_width, size[1]),
        widths=np.array(layout.widths, dtype=np.int64),
        in_share=_in_share(layout),
        out_group=np.array([row.out_group for row in layout.rows], dtype=np.int64),
        leader_row=np.array(layout.leader_rows, dtype=np.int64),
        host_band=UNCALIBRATED_BAND,
        host_offset_ms=np.full(len(LOOKUP_PRECISIONS), measured.floor_ms),
        base_file_bytes=measured.file_bytes[0],
        op_bytes=_op_bytes(
            costs["weight_bytes"][:, 0, :, 0, 0, 0].sum(axis=1), base_ops, measured
        ),
        mask_structure=_padded([[True] * len(row) for row in layout.structures], size[1]),
        mask_thinning=_padded(
            [[True] * len(row) for row in layout.thinnings], max(map(len, layout.thinnings))
        ),
        mask_width=np.array(layout.open_widths, dtype=bool),
        mask_precision=np.array(layout.precisions, dtype=bool),
        meta={**measured.meta, "unmeasured": _unmeasured(layout)},
        **_damage(layout, measured.kl),
        **costs,
    )
    return tables.with_pairs(_pairs(measured.kl))


def _unmeasured(layout: Layout) -> list[str]:
    """The kinds of layers that the figures of devices do not rest on."""
    return list(unmeasured((layer.op, layer.kernel) for layer in layout.profile.layers))


def with_damage(tables: StudyTables, layout: Layout, kl: Mapping[str, float]) -> StudyTables:
    """The same costs with what changes damage by probe key: filling the costs is what takes time."""
    return replace(tables, **_damage(layout, kl)).with_pairs(_pairs(kl))


def _cells(layout: Layout) -> Iterator[Cell]:
    steps = range(len(WIDTH_STEPS))
    for i, structures in enumerate(layout.structures):
        for s in range(len(structures)):
            yield from ((i, s, wi, wo) for wi in steps for wo in steps)


def _operations_at(layout: Layout, cell: Cell) -> tuple[OpSpec, ...]:
    i, s, wi, wo = cell
    row = layout.rows[i]
    in_channels = sum(_width(layout, g, wi) for g, _ in row.in_groups) or row.in_channels
    out_channels = _width(layout, row.out_group, wo) if row.out_group >= 0 else row.out_channels
    if row.kind is LayerKind.OTHER or row.is_depthwise:
        out_channels = in_channels
    narrowed = row.resized(in_channels=in_channels, out_channels=out_channels)
    return _built(narrowed, layout.structures[i][s], layout)


def _built(row: LayerProfile, structure: Structure, layout: Layout) -> tuple[OpSpec, ...]:
    """The operations of a row under treatments; one that refuses is skipped, as building does."""
    ops = technique.identity_cost(row)
    for name, params in structure:
        method = technique.get(name)
        if not method.refusal(row, layout.profile, params):
            row = method.treated(row, layout.profile)
            ops = method.cost(row, params)
    return ops


def _width(layout: Layout, group: int, step: int) -> int:
    """Channels of a group at a width step; a group that cannot be narrowed keeps its own."""
    facts = layout.profile.groups[group]
    return layout.widths[group][step] if facts.prunable else facts.channels


def _filled(layout: Layout, measured: Measurements, size: tuple[int, ...]) -> dict[str, Array]:
    """The cost arrays, a cell at a time."""
    arrays = {name: np.zeros(size) for name in ("macs", "params", "n_ops")}
    arrays["features"] = np.zeros((*size, len(FEATURES)))
    arrays["host_ms"] = np.zeros((len(LOOKUP_PRECISIONS), *size))
    n_thinnings = max(map(len, layout.thinnings))
    arrays["weight_bytes"] = np.zeros((len(PRECISIONS), n_thinnings, *size))
    known: dict[tuple[int, tuple[OpSpec, ...]], Array] = {}
    for cell, ops in operations(layout).items():
        arrays["macs"][cell] = sum(op.macs for op in ops)
        arrays["params"][cell] = sum(op.params for op in ops)
        arrays["n_ops"][cell] = sum(op.op in WEIGHTED_OPS for op in ops)
        arrays["features"][cell] = sum(op_features(op) for op in ops)
        key = cell[0], ops
        if key not in known:
            known[key] = _stored(
                ops, layout.rows[cell[0]], layout.thinnings[cell[0]], n_thinnings
            )
        arrays["weight_bytes"][(slice(None), slice(None), *cell)] = known[key]
        for p, precision in enumerate(LOOKUP_PRECISIONS):
            arrays["host_ms"][(p, *cell)] = sum(
                measured.op_ms[timed(op), precision] for op in ops
            )
    return arrays


def _stored(
    ops: tuple[OpSpec, ...],
    row: LayerProfile,
    thinnings: tuple[Structure, ...],
    n_thinnings: int,
) -> Array:
    """``[P, V]`` bytes that the weights of the operations that stand for a row take in the file."""
    found = np.zeros((len(PRECISIONS), n_thinnings))
    for v, thinning in enumerate(thinnings):
        thinned = [_thinned(op, row, thinning) for op in ops]
        for p, precision in enumerate(PRECISIONS):
            found[p, v] = sum(stored_bytes(op, precision) for op in thinned)
    return found


def _thinned(op: OpSpec, row: LayerProfile, thinning: Structure) -> OpSpec:
    for name, params in thinning:
        if op.op in WEIGHTED_OPS:
            op = technique.get(name).stored(op, row, params)
    return op


def _op_bytes(weight_bytes: Array, n_ops: float, measured: Measurements) -> Array:
    """``[P]`` bytes an operation takes in the file besides its weights, from real exports."""
    overhead = np.array(measured.file_bytes) - weight_bytes
    return np.asarray(np.maximum(overhead / max(1.0, n_ops), 0.0))


def _damage(layout: Layout, kl: Mapping[str, float]) -> dict[str, Any]:
    """The arrays of what single changes damage; a change that was not probed counts as ruinous."""
    n_rows, n_structures = len(layout.rows), max(map(len, layout.structures))
    arrays = {
        "kl_structure": np.zeros((n_rows, n_structures)),
        "kl_thinning": np.zeros((n_rows, max(map(len, layout.thinnings)))),
        "kl_width": np.zeros((len(layout.widths), len(WIDTH_STEPS))),
        "kl_precision": np.zeros(len(PRECISIONS)),
    }
    for probe in probes(layout):
        arrays[probe.array][probe.index] = finite(kl.get(probe.key, math.inf))
    return arrays


def _pairs(kl: Mapping[str, float]) -> dict[tuple[int, ...], float]:
    return {pair_cell(key): finite(found) for key, found in kl.items() if is_pair(key)}


def finite(kl: float) -> float:
    """The same, in nats; a change whose probe broke down is worse than anything that was measured."""
    return kl if math.isfinite(kl) else 1e3


def _in_share(layout: Layout) -> Array:
    shares = np.zeros((len(layout.rows), max(1, len(layout.profile.groups))))
    for i, row in enumerate(layout.rows):
        for group, channels in row.in_groups:
            shares[i, group] += channels
    totals = shares.sum(axis=1, keepdims=True)
    return shares / np.where(totals > 0, totals, 1.0)


def _removes(layout: Layout, size: tuple[int, ...]) -> BoolArray:
    removes = np.zeros((size[0], size[1], size[0]), dtype=bool)
    for i, row in enumerate(layout.removes):
        for s, gone in enumerate(row):
            removes[i, s, list(gone)] = True
    return removes


def _padded(rows: Sequence[Sequence[bool]], width: int) -> BoolArray:
    """``[rows, width]``: false behind the end of a row."""
    found = np.zeros((len(rows), width), dtype=bool)
    for i, row in enumerate(rows):
        found[i, : len(row)] = row
    return found
