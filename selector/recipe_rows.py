"""A configuration layer by layer, as tiles and tables show it."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.types import LayerKind, Params, Precision
from selector.pricing import LATENCY, MACS, PARAMS
from selector.tables import GLOBAL_POOLING, PRECISIONS

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

KEEP = "keep"


def tiles(surrogate: Surrogate, config: IntArray) -> list[dict[str, Any]]:
    """What happens to each layer: technique (stacked ones joined by ``+``), level, 8 bits or not."""
    space, tables = surrogate.space, surrogate.tables
    treated = {
        decision.layer: space.techniques(number, int(config[number]))
        for number, decision in enumerate(space.decisions)
    }
    pooled = bool(space.pooled(config[None])[0])
    int8 = PRECISIONS[space.precisions[-1][config[-1]]] is not Precision.FP32
    return [
        _tile(
            layer,
            {GLOBAL_POOLING: {}} if pooled and vanishes else treated.get(layer, {}),
            int8=int8 and kind is not LayerKind.OTHER,
        )
        for layer, kind, vanishes in zip(
            tables.layers, tables.kinds, tables.head_rows, strict=True
        )
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


def level_text(technique: str, params: Params) -> str:
    """The level in a few letters: what is removed, or the share that is kept."""
    if technique == "filter_pruning":
        return f"−{100 * float(params['pruning_ratio']):.0f} %"
    ratios = [value for value in params.values() if isinstance(value, int | float)]
    return str(Fraction(ratios[0]).limit_denominator(64)) if ratios else ""


def _tile(layer: str, found: dict[str, Params], *, int8: bool) -> dict[str, Any]:
    levels = [level_text(name, params) for name, params in found.items()]
    return {
        "layer": layer,
        "technique": "+".join(found) or KEEP,
        "params": {name: dict(params) for name, params in found.items()},
        "level": " · ".join(filter(None, levels)),
        "int8": int8,
    }


def _numbers(before: Array, after: Array) -> dict[str, float]:
    columns = {"ms": LATENCY, "params": PARAMS, "macs": MACS}
    found = {}
    for name, column in columns.items():
        found[f"{name}_before"] = float(before[column])
        found[f"{name}_after"] = float(np.maximum(after[column], 0.0))
    return found
