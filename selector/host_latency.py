"""How long whole networks take here, from what their operations take alone.

Alone, an operation finds its weights in the caches and has its start-up subtracted; in a network it
does neither. So a few whole networks are timed, and ``a * (sum of operations) + b * (number of
operations) + c`` is fitted to them, for float and for 8-bit arithmetic. Summed times alone were 20
to 40 % off on networks of some ten microseconds.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import lsq_linear

from compression.cost import FEATURES, load_device
from compression.types import Precision
from selector.action_space import ActionSpace
from selector.pricing import LATENCY, CostTables
from selector.tables import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.tables import Array, BoolArray, IntArray, StudyTables

HOST = "this-host"
_OPERATIONS = FEATURES.index("operations")

_BASE_COUNTS = 10.0
"""As many others the original weighs: every ratio is taken to it."""

_LEAST_BAND = 0.05  # a timing itself is not better than that
_MOST_BAND = 0.5
_BAND_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network of that configuration, and the milliseconds that one call of it took here."""

    config: tuple[int, ...]
    host_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far the fit may move: standard deviations of the factor, and of the two times in ms."""

    factor: float
    operation_ms: float
    floor_ms: float


FRESH = Trust(factor=0.5, operation_ms=0.001, floor_ms=0.01)
"""Nothing was fitted yet."""

SETTLED = Trust(factor=0.1, operation_ms=0.0003, floor_ms=0.003)
"""Already fitted, and to be mended by a few more networks."""


def recalibrated(
    tables: StudyTables, timed: Sequence[Timed], trust: Trust = FRESH
) -> StudyTables:
    """The tables with host times that fit whole networks, and the band that holds 9 in 10.

    A ridge on relative errors towards the times as they stand. Networks whose weights alone are in
    8 bits run as float ones do. Without any network of an arithmetic, its times stay.
    """
    configs = np.array([row.config for row in timed], dtype=np.int64)
    if not len(configs):
        return tables
    measured = np.array([row.host_ms for row in timed])
    space = ActionSpace(tables)
    is_int8 = _computes_in_int8(space, configs)
    counts = np.broadcast_to(tables.features[..., _OPERATIONS], tables.host_ms.shape)
    sums, numbers = (_summed(tables, space, each, configs) for each in (tables.host_ms, counts))
    host_ms, offsets = tables.host_ms.copy(), tables.host_offset_ms.copy()
    errors = []
    for p, chosen in enumerate((~is_int8, is_int8)):
        if not chosen.any():
            continue
        base = (configs[chosen, :-1] == 0).all(axis=1)
        rows = np.stack([sums[chosen], numbers[chosen], np.ones(chosen.sum())], axis=1)
        fit = _Ridge(rows, measured[chosen], base, float(offsets[p]), trust)
        factor, operation_ms, offsets[p] = fit.solved()
        host_ms[p] = factor * host_ms[p] + operation_ms * counts[p]
        errors += fit.left_out()
    return replace(
        tables, host_ms=host_ms, host_offset_ms=offsets, host_band=_band(np.array(errors))
    )


class _Ridge:
    """Relative errors of ``rows @ weights`` to measured times, with a pull to where we stand."""

    def __init__(
        self, rows: Array, measured: Array, is_base: BoolArray, floor_ms: float, trust: Trust
    ) -> None:
        weight = np.where(is_base, np.sqrt(_BASE_COUNTS), 1.0)[:, None]
        self._rows = weight * rows / measured[:, None]
        self._wanted = weight[:, 0]
        self._prior = np.array([1.0, 0.0, max(floor_ms, 0.0)])
        self._spread = np.array([trust.factor, trust.operation_ms, trust.floor_ms])

    def solved(self, without: int | None = None) -> Array:
        """Factor, ms an operation, ms a network: none negative."""
        kept = np.arange(len(self._rows)) != (-1 if without is None else without)
        noise = 0.05  # of a timing, relative; the unit in which the priors' pull is weighed
        matrix = np.concatenate([self._rows[kept] / noise, np.diag(1.0 / self._spread)])
        wanted = np.concatenate([self._wanted[kept] / noise, self._prior / self._spread])
        return np.asarray(lsq_linear(matrix, wanted, bounds=(0.0, np.inf)).x)

    def left_out(self) -> list[float]:
        """Relative error of each network that is not the original, fitted without it."""
        return [
            float(self._rows[i] @ self.solved(without=int(i)) - 1.0)
            for i in np.flatnonzero(self._wanted == 1.0)
        ]


def _computes_in_int8(space: ActionSpace, configs: IntArray) -> BoolArray:
    return np.asarray(space.precisions[-1][configs[:, -1]] == PRECISIONS.index(Precision.INT8))


def _summed(tables: StudyTables, space: ActionSpace, cells: Array, configs: IntArray) -> Array:
    """``[N]`` sum of some quantity ``[2, L, S, W, W]`` over the operations of configurations."""
    bare = replace(tables, host_ms=np.array(cells), host_offset_ms=np.zeros(2))
    totals = CostTables(bare, space, (load_device(HOST),)).totals(configs)
    return np.asarray(totals[:, LATENCY])


def _band(errors: Array) -> float:
    if not len(errors):
        return _MOST_BAND
    return float(np.clip(np.quantile(np.abs(errors), _BAND_SHARE), _LEAST_BAND, _MOST_BAND))
