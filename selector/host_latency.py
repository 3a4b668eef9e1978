"""How long whole networks take here, from what their operations take one by one.

Even in the layout that its neighbours hand on, an operation that is timed alone finds its weights
in the caches and has its start-up subtracted; in a network it does neither. So a few whole networks
are timed, and ``a * (sum of operations) + s * w . features + b * (weights beyond the cache) + c`` is
fitted to them, for float and for 8-bit arithmetic. The features are those of the cost model: they
mend what whole types of operations are off by. With a cache that counts, they tell what operations
lose while it is cold, and ``s`` is the share by which the network's weights make it so: nothing up to
its size, all from twice its size on (see ``pricing.cold_share``). Without one, ``s`` is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from scipy.optimize import lsq_linear

from compression.cost import load_device
from compression.types import Precision
from selector.action_space import ActionSpace
from selector.cell_prices import LATENCY, PARAMS, cold_share
from selector.pricing import CostTables
from selector.tables import BYTES_A_WEIGHT, PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.tables import Array, BoolArray, IntArray, StudyTables

HOST = "this-host"

_NOISE = 0.03
"""Of a timing, relative: the unit in which the priors' pull is weighed."""

_BASE_COUNTS = 10.0
"""As many others the original weighs: every ratio is taken to it."""

_CACHES = (0.0, 0.5e6, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6)
"""Bytes of weights that may stay in the caches from call to call: what fits best is taken."""

_LEAST_BAND = 0.09  # between sessions: errors that those of one session cannot show
_MOST_BAND = 0.5
_BAND_SHARE = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network of that configuration, and the milliseconds that one call of it took here."""

    config: tuple[int, ...]
    host_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far the fit may move: standard deviations of what it finds, and sizes of cache to try.

    ``factor`` is of the sum; ``share`` of a network's time that one feature may add or take;
    ``fetch_ms`` of a million bytes beyond the cache; ``floor_ms`` of what a network costs besides.
    No ``caches``: the size stays.
    """

    factor: float
    share: float
    fetch_ms: float
    floor_ms: float
    caches: tuple[float, ...] = ()


FRESH = Trust(factor=0.5, share=0.05, fetch_ms=0.02, floor_ms=0.01, caches=_CACHES)
"""Nothing was fitted yet."""

SETTLED = Trust(factor=0.1, share=0.01, fetch_ms=0.005, floor_ms=0.003)
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
    space = ActionSpace(tables)
    sums = _Sums.of(tables, space, configs, np.array([row.host_ms for row in timed]))
    is_int8 = _computes_in_int8(space, configs)
    found, bands = tables, []
    for p, chosen in enumerate((~is_int8, is_int8)):
        if not chosen.any():
            continue
        caches = trust.caches or (float(tables.host_fetch[p, 0]),)
        fits = [_Ridge(tables, sums.rows(chosen), p, cache, trust) for cache in caches]
        best = min(fits, key=_Ridge.cost)
        found = best.applied_to(found)
        bands.append(_band(np.abs(best.left_out()), tables.host_band))
    return replace(found, host_band=max(bands))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sums:
    """What ``N`` networks add up to: ms ``[N]``, features ``[N, 9]``, weights; and what they took."""

    alone_ms: Array
    features: Array
    weights: Array
    measured_ms: Array
    is_base: BoolArray

    @classmethod
    def of(
        cls, tables: StudyTables, space: ActionSpace, configs: IntArray, measured_ms: Array
    ) -> _Sums:
        by_feature = np.moveaxis(tables.features, -1, 0)
        totals = _totals(tables, space, tables.host_ms, configs)
        return cls(
            alone_ms=totals[:, LATENCY],
            features=np.stack(
                [_totals(tables, space, each, configs)[:, LATENCY] for each in by_feature],
                axis=1,
            ),
            weights=totals[:, PARAMS],
            measured_ms=measured_ms,
            is_base=np.asarray((configs[:, :-1] == 0).all(axis=1)),
        )

    def rows(self, chosen: BoolArray) -> _Sums:
        return _Sums(
            alone_ms=self.alone_ms[chosen],
            features=self.features[chosen],
            weights=self.weights[chosen],
            measured_ms=self.measured_ms[chosen],
            is_base=self.is_base[chosen],
        )


class _Ridge:
    """Relative errors to the times of one arithmetic, with a pull to where the tables stand."""

    def __init__(
        self,
        tables: StudyTables,
        sums: _Sums,
        arithmetic: int,
        cache_bytes: float,
        trust: Trust,
    ) -> None:
        self._arithmetic, self._cache_bytes = arithmetic, cache_bytes
        self._units = _units(sums.features, sums.measured_ms)
        stored = BYTES_A_WEIGHT[arithmetic] * sums.weights
        share = cold_share(stored, cache_bytes) if cache_bytes else np.ones(len(stored))
        columns = (
            sums.alone_ms + share * (sums.features @ tables.host_cold[arithmetic]),
            share[:, None] * sums.features / self._units,
            1e-6 * np.maximum(stored - cache_bytes, 0.0),
            np.ones(len(stored)),
        )
        self._is_base = sums.is_base
        weight = np.where(sums.is_base, np.sqrt(_BASE_COUNTS), 1.0)
        self._rows = (weight / sums.measured_ms)[:, None] * np.column_stack(columns)
        self._wanted = weight
        none = np.zeros(len(self._units))
        fetch_ms = 1e6 * float(tables.host_fetch[arithmetic, 1])
        floor_ms = max(float(tables.host_offset_ms[arithmetic]), 0.0)
        self._prior = np.array([1.0, *none, fetch_ms, floor_ms])
        self._spread = np.array(
            [trust.factor, *(none + trust.share), trust.fetch_ms, trust.floor_ms]
        )
        # Cold caches take time, they never save any.
        least = -tables.host_cold[arithmetic] * self._units if cache_bytes else none - np.inf
        self._least = np.array([0.0, *least, 0.0, 0.0])

    def solved(self, without: int | None = None) -> Array:
        """Factor, ms of each feature's unit, ms of a million bytes fetched, ms a network."""
        kept = np.arange(len(self._rows)) != (-1 if without is None else without)
        matrix = np.concatenate([self._rows[kept] / _NOISE, np.diag(1.0 / self._spread)])
        wanted = np.concatenate([self._wanted[kept] / _NOISE, self._prior / self._spread])
        return np.asarray(lsq_linear(matrix, wanted, bounds=(self._least, np.inf)).x)

    def cost(self) -> float:
        """What is left of errors and of distances to the prior, squared."""
        found = self.solved()
        errors = (self._rows @ found - self._wanted) / _NOISE
        return float((errors**2).sum() + (((found - self._prior) / self._spread) ** 2).sum())

    def left_out(self) -> list[float]:
        """Relative error of each network that is not the original, fitted without it."""
        return [
            float(self._rows[i] @ self.solved(without=int(i)) - 1.0)
            for i in np.flatnonzero(~self._is_base)
        ]

    def applied_to(self, tables: StudyTables) -> StudyTables:
        """The tables with this arithmetic's times as fitted."""
        p, found = self._arithmetic, self.solved()
        host_ms, offset_ms = tables.host_ms.copy(), tables.host_offset_ms.copy()
        fetch, cold = tables.host_fetch.copy(), tables.host_cold.copy()
        by_feature = found[1:-2] / self._units
        host_ms[p] *= found[0]
        if self._cache_bytes:
            cold[p] = np.maximum(found[0] * cold[p] + by_feature, 0.0)
        else:
            host_ms[p] = np.maximum(host_ms[p] + tables.features @ by_feature, 0.0)
        fetch[p] = self._cache_bytes, 1e-6 * found[-2]
        offset_ms[p] = found[-1]
        return replace(
            tables,
            host_ms=host_ms,
            host_cold=cold,
            host_offset_ms=offset_ms,
            host_fetch=fetch,
        )


def _units(features: Array, measured_ms: Array) -> Array:
    """``[9]`` the most of each feature that a network has for each ms that it takes.

    So what a feature adds keeps within bounds in every network: with the median as the unit, a few
    networks rich in a rare operation were predicted 30 % wrong.
    """
    most = (features / measured_ms[:, None]).max(axis=0)
    return np.asarray(np.where(most > 0, most, 1.0))


def _computes_in_int8(space: ActionSpace, configs: IntArray) -> BoolArray:
    return np.asarray(space.precisions[-1][configs[:, -1]] == PRECISIONS.index(Precision.INT8))


def _totals(tables: StudyTables, space: ActionSpace, cells: Array, configs: IntArray) -> Array:
    """``[N, 7]`` totals of configurations as if their rows took ``cells [(2,) L, S, W, W]``."""
    bare = replace(
        tables,
        host_ms=np.broadcast_to(cells, tables.host_ms.shape).copy(),
        host_offset_ms=np.zeros(2),
        host_fetch=np.zeros((2, 2)),
        host_cold=np.zeros_like(tables.host_cold),
    )
    return CostTables(bare, space, (load_device(HOST),)).totals(configs)


def _band(errors: Array, before: float) -> float:
    """The error that 9 in 10 of *further* networks stay below (split conformal prediction).

    Too few errors to tell leave the band as it was, unless two of them lie outside.
    """
    rank = math.ceil(_BAND_SHARE * (len(errors) + 1))
    ordered = np.sort(errors)
    if rank <= len(errors):
        return float(np.clip(ordered[rank - 1], _LEAST_BAND, _MOST_BAND))
    second = float(ordered[-2]) if len(errors) > 1 else 0.0
    return min(max(before, second), _MOST_BAND)
