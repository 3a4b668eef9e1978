"""From a network's layer table to the study's tables: what to probe, what to time, how to fill."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compression import technique
from compression.cost import FEATURES, op_features
from compression.technique import Scope
from compression.types import (
    NETWORK,
    LayerKind,
    LayerProfile,
    NetworkProfile,
    OpSpec,
    Params,
    Precision,
    RecipeStep,
    kept_width,
)
from selector.tables import (
    KEEP,
    PRECISIONS,
    WIDTH_STEPS,
    Array,
    BoolArray,
    Structure,
    StudyTables,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PRUNING, POOLING, QUANTISING = "filter_pruning", "global_average_pooling", "int8"
INT8_MODES = {Precision.INT8_WEIGHTS: "weights", Precision.INT8: "full"}
WEIGHTED_OPS = frozenset({"conv", "dense"})

LOOKUP_PRECISIONS = (Precision.FP32, Precision.INT8)
"""The order of the first axis of ``host_ms`` and ``weight_bytes``."""

UNCALIBRATED_BAND = 0.5
"""Share by which sums of operations timed alone may be off, before whole networks were timed."""

Cell = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The decisions a network offers, before anything was measured.

    ``refusals`` holds, for every layer and technique, ``True`` or the reason why not.
    """

    profile: NetworkProfile
    rows: tuple[LayerProfile, ...]
    structures: tuple[tuple[Structure, ...], ...]
    widths: tuple[tuple[int, ...], ...]
    open_widths: tuple[tuple[bool, ...], ...]
    leader_rows: tuple[int, ...]
    head_row: int
    head_rows: tuple[bool, ...]
    precisions: tuple[bool, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One change to one layer whose damage is measured; ``index`` is its cell in a KL array."""

    array: str
    index: tuple[int, ...]
    step: RecipeStep

    @property
    def key(self) -> str:
        """A text that names the cell."""
        return f"{self.array}:{','.join(map(str, self.index))}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """What PROBE measured: KL by probe key, milliseconds by operation, and facts of the base.

    ``file_bytes`` are of the original in each of ``PRECISIONS``; ``floor_ms`` is what a call costs
    before any operation runs.
    """

    kl: Mapping[str, float]
    op_ms: Mapping[tuple[OpSpec, Precision], float]
    floor_ms: float
    file_bytes: tuple[int, int, int]
    meta: Mapping[str, Any]


def lay_out(profile: NetworkProfile, techniques: tuple[str, ...]) -> Layout:
    """The rows, structures and widths of a network under those techniques."""
    rows = tuple(row for row in profile.layers if technique.identity_cost(row))
    structures = tuple((KEEP, *_structures(row, profile, techniques)) for row in rows)
    head_row = next(
        (i for i, row in enumerate(structures) if any(s.technique == POOLING for s in row)), -1
    )
    dense = [row.kind is LayerKind.DENSE for row in rows]
    names = [row.name for row in rows]
    widths = tuple(
        tuple(kept_width(g.channels, ratio) for ratio in WIDTH_STEPS) for g in profile.groups
    )
    return Layout(
        profile=profile,
        rows=rows,
        structures=structures,
        widths=widths,
        open_widths=tuple(_open_widths(i, profile, techniques) for i in range(len(widths))),
        leader_rows=tuple(
            names.index(g.leader) if g.prunable and g.leader in names else -1
            for g in profile.groups
        ),
        head_row=head_row,
        head_rows=tuple(head_row >= 0 and i > head_row and dense[i] for i in range(len(rows))),
        precisions=tuple(p is Precision.FP32 or QUANTISING in techniques for p in PRECISIONS),
    )


def applicability(
    profile: NetworkProfile, techniques: tuple[str, ...]
) -> dict[str, dict[str, bool | str]]:
    """For each layer that holds weights and each technique: true, or the reason why not."""
    answers: dict[str, dict[str, bool | str]] = {}
    for row in profile.layers:
        answers[row.name] = {}
        for name in techniques:
            method = technique.get(name)
            if method.scope is Scope.NETWORK:
                answers[row.name][name] = (
                    row.kind is not LayerKind.OTHER or row.untouched or "holds no weights"
                )
                continue
            verdict = method.applies_to(row, profile)
            answers[row.name][name] = verdict.yes or verdict.reason
    return answers


def probes(layout: Layout) -> list[Probe]:
    """Every single change the selector may make, in a fixed order."""
    return [*_structure_probes(layout), *_width_probes(layout), *_precision_probes(layout)]


def operations(layout: Layout) -> dict[Cell, tuple[OpSpec, ...]]:
    """The operations of every cell ``(row, structure, input step, output step)`` that can be."""
    return {cell: _operations_at(layout, cell) for cell in _cells(layout)}


def tabulate(layout: Layout, measured: Measurements) -> StudyTables:
    """Fill the study's tables from what was measured, host times as each operation took alone."""
    size = (
        len(layout.rows),
        max(map(len, layout.structures)),
        len(WIDTH_STEPS),
        len(WIDTH_STEPS),
    )
    costs = _filled(layout, measured, size)
    base_ops = float(costs["n_ops"][:, 0, 0, 0].sum())
    return StudyTables(
        layers=tuple(row.name for row in layout.rows),
        kinds=tuple(row.kind for row in layout.rows),
        structures=layout.structures,
        widths=np.array(layout.widths, dtype=np.int64),
        in_share=_in_share(layout),
        out_group=np.array([row.out_group for row in layout.rows], dtype=np.int64),
        leader_row=np.array(layout.leader_rows, dtype=np.int64),
        host_band=UNCALIBRATED_BAND,
        host_offset_ms=np.full(len(LOOKUP_PRECISIONS), measured.floor_ms),
        base_file_bytes=measured.file_bytes[0],
        op_bytes=_op_bytes(
            costs["weight_bytes"][:, :, 0, 0, 0].sum(axis=1), base_ops, measured
        ),
        mask_structure=_structure_mask(layout, size),
        mask_width=np.array(layout.open_widths, dtype=bool),
        mask_precision=np.array(layout.precisions, dtype=bool),
        head_row=layout.head_row,
        head_rows=np.array(layout.head_rows, dtype=bool),
        meta=dict(measured.meta),
        **_sensitivities(layout, measured, size),
        **costs,
    )


def _structures(
    row: LayerProfile, profile: NetworkProfile, techniques: tuple[str, ...]
) -> Iterator[Structure]:
    for name in techniques:
        method = technique.get(name)
        if method.scope not in (Scope.STRUCTURE, Scope.HEAD):
            continue
        for params in method.levels():
            if not method.refusal(row, profile, params):
                yield Structure(name, params)


def _open_widths(
    group: int, profile: NetworkProfile, techniques: tuple[str, ...]
) -> tuple[bool, ...]:
    """Which width steps may be chosen: those that the technique allows and that differ."""
    facts = profile.groups[group]
    if PRUNING not in techniques or not facts.prunable:
        return (True, *(False for _ in WIDTH_STEPS[1:]))
    method, leader = technique.get(PRUNING), profile.layer(facts.leader)
    widths = [kept_width(facts.channels, ratio) for ratio in WIDTH_STEPS]
    return (
        True,
        *(
            widths[i] < widths[i - 1]
            and not method.refusal(leader, profile, {"pruning_ratio": ratio})
            for i, ratio in enumerate(WIDTH_STEPS)
            if i
        ),
    )


def _structure_probes(layout: Layout) -> Iterator[Probe]:
    for i, row in enumerate(layout.rows):
        for s, (name, params) in enumerate(layout.structures[i]):
            if s:
                step = RecipeStep(layer=row.name, technique=name, params=params)
                yield Probe(array="kl_structure", index=(i, s), step=step)


def _width_probes(layout: Layout) -> Iterator[Probe]:
    for g, group in enumerate(layout.profile.groups):
        for w, ratio in enumerate(WIDTH_STEPS):
            if w and layout.open_widths[g][w]:
                params: Params = {"pruning_ratio": ratio}
                step = RecipeStep(layer=group.leader, technique=PRUNING, params=params)
                yield Probe(array="kl_width", index=(g, w), step=step)


def _precision_probes(layout: Layout) -> Iterator[Probe]:
    for p, precision in enumerate(PRECISIONS):
        if p and layout.precisions[p]:
            params: Params = {"mode": INT8_MODES[precision]}
            step = RecipeStep(layer=NETWORK, technique=QUANTISING, params=params)
            yield Probe(array="kl_precision", index=(p,), step=step)


def _cells(layout: Layout) -> Iterator[Cell]:
    steps = range(len(WIDTH_STEPS))
    for i, structures in enumerate(layout.structures):
        for s in range(len(structures)):
            yield from ((i, s, wi, wo) for wi in steps for wo in steps)


def _operations_at(layout: Layout, cell: Cell) -> tuple[OpSpec, ...]:
    i, s, wi, wo = cell
    row, (name, params) = layout.rows[i], layout.structures[i][s]
    in_channels = sum(_width(layout, g, wi) for g, _ in row.in_groups) or row.in_channels
    out_channels = _width(layout, row.out_group, wo) if row.out_group >= 0 else row.out_channels
    if row.kind is LayerKind.OTHER or row.is_depthwise:
        out_channels = in_channels
    narrowed = row.resized(in_channels=in_channels, out_channels=out_channels)
    if name == KEEP.technique:
        return technique.identity_cost(narrowed)
    method = technique.get(name)
    if method.scope is not Scope.HEAD and method.refusal(narrowed, layout.profile, params):
        return technique.identity_cost(narrowed)  # too narrow for it: the step would be skipped
    return method.cost(method.treated(narrowed, layout.profile), params)


def _width(layout: Layout, group: int, step: int) -> int:
    """Channels of a group at a width step; a group that cannot be narrowed keeps its own."""
    facts = layout.profile.groups[group]
    return layout.widths[group][step] if facts.prunable else facts.channels


def _filled(layout: Layout, measured: Measurements, size: tuple[int, ...]) -> dict[str, Array]:
    """The cost arrays, a cell at a time."""
    arrays = {name: np.zeros(size) for name in ("macs", "params", "n_ops")}
    arrays["features"] = np.zeros((*size, len(FEATURES)))
    arrays["host_ms"] = np.zeros((len(LOOKUP_PRECISIONS), *size))
    arrays["weight_bytes"] = np.zeros((len(LOOKUP_PRECISIONS), *size))
    for cell, ops in operations(layout).items():
        arrays["macs"][cell] = sum(op.macs for op in ops)
        arrays["params"][cell] = sum(op.params for op in ops)
        arrays["n_ops"][cell] = sum(op.op in WEIGHTED_OPS for op in ops)
        arrays["features"][cell] = sum(op_features(op) for op in ops)
        arrays["weight_bytes"][(0, *cell)] = 4 * sum(op.params for op in ops)
        arrays["weight_bytes"][(1, *cell)] = sum(_int8_bytes(op) for op in ops)
        for p, precision in enumerate(LOOKUP_PRECISIONS):
            arrays["host_ms"][(p, *cell)] = sum(measured.op_ms[op, precision] for op in ops)
    return arrays


def _int8_bytes(op: OpSpec) -> int:
    """Weights in one byte, a scale and a bias of four bytes an output channel."""
    if op.op not in WEIGHTED_OPS:
        return 4 * op.params
    channels = op.out_shape[0] if op.op == "conv" else op.out_shape[-1]
    return op.params + 4 * channels + 3 * min(op.params, channels)


def _op_bytes(weight_bytes: Array, n_ops: float, measured: Measurements) -> Array:
    """Bytes an operation takes in the file besides its weights, by precision, from real exports."""
    stored = np.array([weight_bytes[0], weight_bytes[1], weight_bytes[1]])
    overhead = np.array(measured.file_bytes) - stored
    return np.asarray(np.maximum(overhead / max(1.0, n_ops), 0.0))


def _sensitivities(
    layout: Layout, measured: Measurements, size: tuple[int, ...]
) -> dict[str, Array]:
    arrays = {
        "kl_structure": np.zeros(size[:2]),
        "kl_width": np.zeros((len(layout.widths), len(WIDTH_STEPS))),
        "kl_precision": np.zeros(len(PRECISIONS)),
    }
    for probe in probes(layout):
        value = measured.kl.get(probe.key, math.inf)
        # A change whose probe broke down is worse than anything that was measured.
        arrays[probe.array][probe.index] = value if math.isfinite(value) else 1e3
    return arrays


def _in_share(layout: Layout) -> Array:
    shares = np.zeros((len(layout.rows), max(1, len(layout.profile.groups))))
    for i, row in enumerate(layout.rows):
        for group, channels in row.in_groups:
            shares[i, group] += channels
    totals = shares.sum(axis=1, keepdims=True)
    return shares / np.where(totals > 0, totals, 1.0)


def _structure_mask(layout: Layout, size: tuple[int, ...]) -> BoolArray:
    mask = np.zeros(size[:2], dtype=bool)
    for i, structures in enumerate(layout.structures):
        mask[i, : len(structures)] = True
    return mask
