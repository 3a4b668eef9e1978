"""Tables of networks that were never measured: right in shape and size, sensitivities drawn by seed."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from compression.cost import op_features
from compression.types import LayerKind, OpSpec, Params, kept_width
from selector.tables import (
    KEEP,
    PRECISIONS,
    WIDTH_STEPS,
    Array,
    BoolArray,
    IntArray,
    Structure,
    StudyTables,
    Treatment,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

CONV, DENSE, OTHER = LayerKind.CONV, LayerKind.DENSE, LayerKind.OTHER
POOLING, REMOVAL = "global_average_pooling", "block_removal"
POOLED: Structure = (Treatment(POOLING, {}),)
SVD: tuple[Structure, ...] = tuple(
    (Treatment("svd", {"rank_ratio": ratio}),) for ratio in (0.5, 0.25, 0.125)
)
CONV_STRUCTURES: tuple[Structure, ...] = (
    *SVD,
    (Treatment("depthwise_separable", {}),),
    *((Treatment("fire", {"squeeze_ratio": ratio}),) for ratio in (0.25, 0.125)),
)
REMOVED: Structure = (Treatment(REMOVAL, {}),)
THINNED: tuple[Structure, ...] = tuple(
    (Treatment("magnitude_pruning", {"sparsity": sparsity}),) for sparsity in (0.5, 0.9)
)
STRENGTH = {
    "keep": 0.0,
    "depthwise_separable": 0.5,
    "fire": 0.6,
    "global_average_pooling": 0.9,
    "block_removal": 0.7,
}
BYTES = {"fp32": 4.0, "fp16_weights": 2.0, "int8_weights": 1.0, "codebook": 0.5, "int8": 1.0}
PRECISION_STEPS: tuple[Structure, ...] = (
    KEEP,
    (Treatment("half_precision", {}),),
    (Treatment("int8", {"mode": "weights"}),),
    (Treatment("weight_clustering", {}),),
    (Treatment("int8", {"mode": "full"}),),
)


@dataclass(frozen=True)
class Row:
    """A layer: groups read as ``(group, channels)``, group written, sides of its square maps."""

    name: str
    kind: LayerKind
    reads: tuple[tuple[int, int], ...]
    writes: int
    in_side: int = 1
    out_side: int = 1
    kernel: int = 3
    multiplier: int = 1
    structures: tuple[Structure, ...] = (KEEP,)


@dataclass(frozen=True)
class Plan:
    """A network: rows, widths of the groups, the row that decides each (-1: nobody)."""

    rows: tuple[Row, ...]
    channels: tuple[int, ...]
    leaders: tuple[int, ...]
    n_classes: int = 10
    removals: Mapping[tuple[int, str], tuple[int, ...]] = field(default_factory=dict)
    thinned: bool = False


def lenet_tables(
    seed: int = 0, widths: tuple[int, int, int, int] = (6, 16, 120, 84)
) -> StudyTables:
    """The classic LeNet-5 (61,706 parameters) with two convolutions and three dense layers."""
    one, two, three, four = widths
    rows = (
        Row("conv1", CONV, ((0, 1),), 1, 28, 28, kernel=5),
        Row("pool1", OTHER, ((1, one),), 1, 28, 14),
        Row("conv2", CONV, ((1, one),), 2, 14, 10, 5, structures=(KEEP, *CONV_STRUCTURES)),
        Row("pool2", OTHER, ((2, two),), 2, 10, 5),
        Row("fc1", DENSE, ((2, two),), 3, multiplier=25, structures=(KEEP, *SVD, POOLED)),
        Row("fc2", DENSE, ((3, three),), 4, structures=(KEEP, *SVD)),
        Row("fc3", DENSE, ((4, four),), 5, structures=(KEEP, *SVD)),
    )
    leaders = (-1, 0, 2, 4, 5, -1)
    channels = (1, one, two, three, four, 10)
    plan = Plan(rows, channels, leaders, removals={(4, POOLING): (5, 6)}, thinned=True)
    return build(plan, seed)


def residual_tables(seed: int = 0, blocks: int = 2) -> StudyTables:
    """Two stages of residual blocks with shared groups, then a head of two dense layers."""
    rows = [Row("stem", CONV, ((0, 3),), 1, 16, 16)]
    channels, leaders = [3, 16], [-1, 0]
    side, trunk = 16, 1
    removals: dict[tuple[int, str], tuple[int, ...]] = {}
    for stage, width in enumerate((16, 32), start=1):
        for block in range(1, blocks + 1):
            narrower = stage == 2 and block == 1
            name, out_side = f"stage{stage}_{block}", side // 2 if narrower else side
            source, target = trunk, trunk
            inner = len(channels)
            channels.append(width)
            leaders.append(len(rows))
            if narrower:
                target = inner + 1
                channels.append(width)
                leaders.append(len(rows) + 1)
            ways = (KEEP, *CONV_STRUCTURES)
            first = len(rows)
            if not narrower:
                removals[first, REMOVAL] = (first, first + 1, first + 2)
            rows.append(
                Row(
                    f"{name}_a",
                    CONV,
                    ((source, channels[source]),),
                    inner,
                    side,
                    out_side,
                    structures=ways if narrower else (*ways, REMOVED),
                )
            )
            rows.append(
                Row(
                    f"{name}_b",
                    CONV,
                    ((inner, width),),
                    target,
                    out_side,
                    out_side,
                    structures=ways,
                )
            )
            if narrower:
                rows.append(
                    Row(
                        f"{name}_skip",
                        CONV,
                        ((source, channels[source]),),
                        target,
                        side,
                        out_side,
                        1,
                    )
                )
            rows.append(
                Row(f"{name}_add", OTHER, ((target, width),), target, out_side, out_side)
            )
            side, trunk = out_side, target
    head = len(rows)
    structures = (KEEP, *SVD, POOLED)
    hidden = len(channels)
    channels += [64, 10]
    leaders += [head, -1]
    rows.append(
        Row("fc1", DENSE, ((trunk, 32),), hidden, multiplier=side**2, structures=structures)
    )
    rows.append(Row("fc2", DENSE, ((hidden, 64),), hidden + 1, structures=(KEEP, *SVD)))
    removals[head, POOLING] = (head + 1,)
    plan = Plan(tuple(rows), tuple(channels), tuple(leaders), removals=removals)
    return build(plan, seed)


def toy_tables(seed: int = 0) -> StudyTables:
    """Two branches joined by a concat (fractional input steps) and a head: a few thousand recipes."""
    rows = (
        Row("left", CONV, ((0, 3),), 1, 8, 8, structures=(KEEP, SVD[1])),
        Row("right", CONV, ((0, 3),), 2, 8, 8),
        Row("join", CONV, ((1, 16), (2, 8)), 3, 8, 8, 1, structures=(KEEP, SVD[0])),
        Row("fc1", DENSE, ((3, 16),), 4, multiplier=64, structures=(KEEP, SVD[2], POOLED)),
        Row("fc2", DENSE, ((4, 8),), 5),
    )
    channels, leaders = (3, 16, 8, 16, 8, 4), (-1, 0, 1, 2, -1, -1)
    return build(Plan(rows, channels, leaders, 4, {(3, POOLING): (4,)}), seed)


def toy_residual_tables(seed: int = 0) -> StudyTables:
    """Two residual blocks on one trunk, which may go, and a head: some thousands of recipes."""
    ways = (KEEP, SVD[1])
    rows = [Row("stem", CONV, ((0, 3),), 1, 8, 8)]
    for block, inner in ((1, 2), (2, 3)):
        first = Row(f"{block}_a", CONV, ((1, 16),), inner, 8, 8, structures=(KEEP, REMOVED))
        last = Row(f"{block}_b", CONV, ((inner, 16),), 1, 8, 8, structures=ways)
        rows += [first, last, Row(f"{block}_add", OTHER, ((1, 16),), 1, 8, 8)]
    rows.append(Row("fc", DENSE, ((1, 16),), 4, multiplier=64, structures=ways))
    removals = {(at, REMOVAL): (at, at + 1, at + 2) for at in (1, 4)}
    plan = Plan(tuple(rows), (3, 16, 16, 16, 4), (-1, 0, 1, 4, -1), 4, removals)
    return build(plan, seed)


def build(plan: Plan, seed: int) -> StudyTables:
    """The tables of a plan."""
    rng = np.random.default_rng(seed)
    n_rows, n_groups = len(plan.rows), len(plan.channels)
    n_structures = max(len(row.structures) for row in plan.rows)
    n_thinnings = 1 + len(THINNED) * plan.thinned
    widths = np.array(
        [
            [kept_width(c, r) if r and leader >= 0 else c for r in WIDTH_STEPS]
            for c, leader in zip(plan.channels, plan.leaders, strict=True)
        ]
    )
    costs = _costs(plan, widths, n_structures, n_thinnings)
    in_share = np.zeros((n_rows, n_groups))
    for i, row in enumerate(plan.rows):
        for group, channels in row.reads:
            in_share[i, group] += channels / sum(c for _, c in row.reads)
    kl_structure, mask_structure = _structure_sensitivity(plan, n_structures, rng)
    prunable = np.array(plan.leaders) >= 0
    ratios = np.array(WIDTH_STEPS)
    kl_width = rng.uniform(0.1, 1.2, (n_groups, 1)) * ratios**2.5 * prunable[:, None]
    mask_width = prunable[:, None] | (ratios == 0.0)[None, :]
    params = costs["params"]
    thinnings = tuple(
        (KEEP, *THINNED) if plan.thinned and row.kind is not OTHER else (KEEP,)
        for row in plan.rows
    )
    mask_thinning = np.array([np.arange(n_thinnings) < len(row) for row in thinnings])
    kl_thinning = np.array([0.0, 0.01, 0.2])[:n_thinnings] * rng.uniform(0.5, 2, (n_rows, 1))
    removes = _removes(plan, n_structures)
    fixes_width = np.zeros((n_rows, n_structures), dtype=np.bool_)
    for at, name in plan.removals:
        fixes_width[at, _index_of(plan.rows[at], name)] = True
    return StudyTables(
        layers=tuple(row.name for row in plan.rows),
        kinds=tuple(row.kind for row in plan.rows),
        structures=tuple(row.structures for row in plan.rows),
        thinnings=thinnings,
        precision_steps=PRECISION_STEPS,
        removes=removes,
        fixes_width=fixes_width,
        widths=widths,
        in_share=in_share,
        out_group=np.array([row.writes for row in plan.rows]),
        leader_row=np.array(plan.leaders),
        host_band=0.1,
        host_offset_ms=np.array([0.020, 0.030]),
        base_file_bytes=int(4 * params[:, 0, 0, 0].sum()) + 1800,
        op_bytes=np.array([110.0, 130.0, 260.0, 400.0, 720.0]),
        kl_structure=kl_structure,
        kl_width=kl_width,
        kl_thinning=kl_thinning,
        kl_precision=np.array([0.0, 1e-6, 0.0002, 0.01, 0.003]),
        mask_thinning=mask_thinning,
        mask_structure=mask_structure,
        mask_width=mask_width,
        mask_precision=np.ones(len(PRECISIONS), dtype=np.bool_),
        meta={"accuracy": 0.99, "n_classes": plan.n_classes, "n_search": 1000},
        pair_cells=np.zeros((0, 4), dtype=np.int64),
        **costs,
    )


def _removes(plan: Plan, n_structures: int) -> BoolArray:
    found = np.zeros((len(plan.rows), n_structures, len(plan.rows)), dtype=np.bool_)
    for (row, name), gone in plan.removals.items():
        found[row, _index_of(plan.rows[row], name), list(gone)] = True
    return found


def _index_of(row: Row, technique: str) -> int:
    return next(s for s, way in enumerate(row.structures) if _last(way).technique == technique)


def _structure_sensitivity(
    plan: Plan, n_structures: int, rng: np.random.Generator
) -> tuple[Array, BoolArray]:
    kl = np.zeros((len(plan.rows), n_structures))
    mask = np.zeros((len(plan.rows), n_structures), dtype=np.bool_)
    for i, row in enumerate(plan.rows):
        scale = rng.uniform(0.05, 0.6)
        mask[i, : len(row.structures)] = True
        for s, structure in enumerate(row.structures):
            name, params = _last(structure)
            rank = float(params.get("rank_ratio", 1.0))
            strength = STRENGTH.get(name, (1 - rank) ** 3)
            kl[i, s] = scale * strength * (1 - 0.3 * float(params.get("squeeze_ratio", 0.0)))
    return kl, mask


def _last(structure: Structure) -> Treatment:
    return structure[-1] if structure else Treatment("keep", {})


def _costs(
    plan: Plan, widths: IntArray, n_structures: int, n_thinnings: int
) -> dict[str, Array]:
    n_widths = len(WIDTH_STEPS)
    shape = (len(plan.rows), n_structures, n_widths, n_widths)
    table = {
        "features": np.zeros((*shape, 9)),
        "host_ms": np.zeros((2, *shape)),
        "macs": np.zeros(shape),
        "params": np.zeros(shape),
        "n_ops": np.zeros(shape),
        "weight_bytes": np.zeros((len(PRECISIONS), n_thinnings, *shape)),
    }
    for i, row in enumerate(plan.rows):
        for s, structure in enumerate(row.structures):
            for wi in range(n_widths):
                share = sum(int(widths[group, wi]) for group, _ in row.reads)
                for wo in range(n_widths):
                    out = plan.n_classes if structure == POOLED else None
                    ops = _ops(row, structure, share, out or int(widths[row.writes, wo]))
                    _fill(table, (i, s, wi, wo), ops)
    return table


def _fill(table: dict[str, Array], at: tuple[int, ...], ops: tuple[OpSpec, ...]) -> None:
    fast = [0.002 + op.macs / 40e6 + math.prod(op.out_shape) / 20e6 for op in ops]
    table["features"][at] = sum(op_features(op) for op in ops)
    table["host_ms"][(0, *at)] = sum(fast)
    table["host_ms"][(1, *at)] = sum(0.006 + 0.35 * ms for ms in fast)
    table["macs"][at] = sum(op.macs for op in ops)
    table["params"][at] = sum(op.params for op in ops)
    table["n_ops"][at] = len(ops)
    for p, precision in enumerate(PRECISIONS):
        for v in range(table["weight_bytes"].shape[1]):
            density = (1.0, 0.6, 0.15)[v]
            each = BYTES[precision.value] * density
            scales = 4 if p else 0
            table["weight_bytes"][(p, v, *at)] = sum(
                each * op.params + scales * op.out_shape[0] for op in ops if op.params
            )


def _ops(row: Row, structure: Structure, c_in: int, c_out: int) -> tuple[OpSpec, ...]:
    if row.kind is OTHER:
        shapes = (c_in, row.in_side, row.in_side), (c_out, row.out_side, row.out_side)
        return (OpSpec(op="max_pool", in_shape=shapes[0], out_shape=shapes[1], kernel=(2, 2)),)
    if row.kind is DENSE:
        return _dense_ops(structure, c_in, row.multiplier, c_out)
    return _conv_ops(row, structure, c_in, c_out)


def _dense_ops(
    structure: Structure, c_in: int, multiplier: int, c_out: int
) -> tuple[OpSpec, ...]:
    name, params = _last(structure)
    if structure == POOLED:
        side = math.isqrt(multiplier)
        pool = OpSpec(op="average_pool", in_shape=(c_in, side, side), out_shape=(c_in, 1, 1))
        return (pool, _dense(c_in, c_out))
    if name == "svd":
        rank = _rank(params, min(c_in * multiplier, c_out))
        return (_dense(c_in * multiplier, rank), _dense(rank, c_out))
    return (_dense(c_in * multiplier, c_out),)


def _conv_ops(row: Row, structure: Structure, c_in: int, c_out: int) -> tuple[OpSpec, ...]:
    k, side = row.kernel, row.out_side
    name, params = _last(structure)
    if structure == REMOVED:
        return ()
    if name == "svd":
        rank = _rank(params, min(c_in, c_out) * k)
        return (_conv(c_in, rank, (k, 1), side), _conv(rank, c_out, (1, k), side))
    if name == "depthwise_separable":
        return (_conv(c_in, c_in, (k, k), side, c_in), _conv(c_in, c_out, (1, 1), side))
    if name == "fire":
        squeezed = max(2, round(float(params["squeeze_ratio"]) * c_out))
        half = c_out // 2
        return (
            _conv(c_in, squeezed, (1, 1), side),
            _conv(squeezed, half, (1, 1), side),
            _conv(squeezed, c_out - half, (k, k), side),
        )
    return (_conv(c_in, c_out, (k, k), side),)


def _rank(params: Params, full: int) -> int:
    return max(1, round(float(params["rank_ratio"]) * full))


def _dense(n_in: int, n_out: int) -> OpSpec:
    return OpSpec(
        op="dense",
        in_shape=(n_in,),
        out_shape=(n_out,),
        macs=n_in * n_out,
        params=n_in * n_out + n_out,
    )


def _conv(c_in: int, c_out: int, kernel: tuple[int, int], side: int, groups: int = 1) -> OpSpec:
    weights = c_in // groups * c_out * math.prod(kernel)
    return OpSpec(
        op="conv",
        in_shape=(c_in, side, side),
        out_shape=(c_out, side, side),
        kernel=kernel,
        stride=(1, 1),
        padding=(0, 0),
        groups=groups,
        macs=weights * side * side,
        params=weights + c_out,
    )
