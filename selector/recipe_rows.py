"""A configuration layer by layer, as tiles and tables show it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.technique_names import title_of
from compression.types import LayerKind, Params, Precision
from selector.cell_prices import LATENCY, MACS, PARAMS
from selector.tables import KEPT, PRECISIONS, Treatment

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray, Structure


_STORED = {
    Precision.FP32: "fp32",
    Precision.FP16_WEIGHTS: title_of("half_precision"),
    Precision.INT8_WEIGHTS: f"{title_of('int8')} (weights alone)",
    Precision.CODEBOOK: title_of("weight_clustering"),
    Precision.INT8: title_of("int8"),
}


def tiles(surrogate: Surrogate, config: IntArray) -> list[dict[str, Any]]:
    """What happens to each layer: technique (stacked ones joined by ``+``), level, how it is stored."""
    space, tables = surrogate.space, surrogate.tables
    treated: dict[str, dict[str, Params]] = {}
    for number, decision in enumerate(space.decisions):
        found = space.techniques(number, int(config[number]))
        treated.setdefault(decision.layer, {}).update(found)
    for number, removes in space.removals.by_decision.items():
        remover = space.techniques(number, int(config[number]))
        for row in np.flatnonzero(removes[config[number]]):
            if row != space.rows[number]:
                treated[tables.layers[row]] = {next(reversed(remover)): {}}
    precision = PRECISIONS[space.precisions[-1][config[-1]]]
    return [
        _tile(
            layer,
            treated.get(layer, {}),
            precision=precision if kind is not LayerKind.OTHER else Precision.FP32,
        )
        for layer, kind in zip(tables.layers, tables.kinds, strict=True)
    ]


def rows(surrogate: Surrogate, config: IntArray, target: DeviceProfile) -> list[dict[str, Any]]:
    """The tiles with time, parameters and MACs before and after."""
    costs = surrogate.costs((target,))
    before = costs.row_totals(surrogate.space.untouched()[0])
    after = costs.row_totals(config)
    return [
        {**tile, **_numbers(old, new)}
        for tile, old, new in zip(tiles(surrogate, config), before, after, strict=True)
    ]


def level_text(treatments: Structure) -> str:
    """The levels in a few letters: what is removed, or the share that is kept."""
    return " · ".join(filter(None, (_level(name, params) for name, params in treatments)))


def _level(technique: str, params: Params) -> str:
    if technique == "filter_pruning":
        return f"−{100 * float(params['pruning_ratio']):.0f} %"
    ratios = [value for value in params.values() if isinstance(value, int | float)]
    return str(Fraction(ratios[0]).limit_denominator(64)) if ratios else ""


def _tile(layer: str, found: dict[str, Params], *, precision: Precision) -> dict[str, Any]:
    return {
        "layer": layer,
        "technique": "+".join(found) or KEPT,
        "params": {name: dict(params) for name, params in found.items()},
        "level": level_text(tuple(Treatment(*item) for item in found.items())),
        "stored": _STORED[precision],
    }


def _numbers(before: Array, after: Array) -> dict[str, float]:
    columns = {"ms": LATENCY, "params": PARAMS, "macs": MACS}
    found = {}
    for name, column in columns.items():
        found[f"{name}_before"] = float(before[column])
        found[f"{name}_after"] = float(np.maximum(after[column], 0.0))
    return found
