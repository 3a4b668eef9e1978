"""How long whole networks take here, from what their operations take one by one.

Even in the layout that its neighbours hand on, an operation that is timed alone finds its weights
in the caches and has its start-up subtracted; in a network it does neither. So a few whole networks
are timed, and ``a * (sum of operations) + s * w . features + b * (weights beyond the cache) + c`` is
fitted to them, for float and for 8-bit arithmetic. The features are those of the cost model: they
mend what whole types of operations are off by. With a cache that counts, they tell what operations
lose while it is cold, and ``s`` is the share by which the network's weights make it so: nothing up to
its size, all from twice its size on (see ``pricing.cold_share``). Without one, ``s`` is 1.

What is left belongs to layers: one layer, or one way to build it, is off by the same share wherever
it occurs. These shares are random effects, small and many, so that a network also tells of others
that are built alike in part (a Gaussian process over networks). How large they are, and how large
the cache, is what makes the times likeliest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from scipy.linalg import solve_triangular
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

_NOISES = (0.03, 0.06)
"""Of a timing, relative."""

_BASE_COUNTS = 10.0
"""As many others the original weighs: every ratio is taken to it."""

_CACHES = (0.0, 0.5e6, 1e6, 2e6, 4e6, 8e6, 16e6, 32e6)
"""Bytes of weights that may stay in the caches from call to call: what fits best is taken."""

_LEAST_BAND = 0.09  # between sessions: errors that those of one session cannot show
_MOST_BAND = 0.5
_BAND_SHARE = 0.9

_LEAST_FACTOR = 0.1
"""Of what a row takes alone: no layer becomes free."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network of that configuration, and the milliseconds that one call of it took here."""

    config: tuple[int, ...]
    host_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """How far the fit may move: standard deviations of what it finds, and sizes of cache to try.

    ``factor`` is of the sum; ``share`` of a network's time that one feature may add or take;
    ``effects`` are pairs to try, of the factors of a layer and of one way to build it;
    ``fetch_ms`` of a million bytes beyond the cache; ``floor_ms`` of what a network costs besides.
    No ``caches``: the size stays.
    """

    factor: float
    share: float
    effects: tuple[tuple[float, float], ...]
    fetch_ms: float
    floor_ms: float
    caches: tuple[float, ...] = ()


FRESH = Trust(
    factor=0.5,
    share=0.05,
    effects=((0.01, 0.01), (0.1, 0.05), (0.1, 0.1), (0.2, 0.1), (0.3, 0.1), (0.3, 0.2)),
    fetch_ms=0.02,
    floor_ms=0.01,
    caches=_CACHES,
)
"""Nothing was fitted yet."""

SETTLED = Trust(factor=0.1, share=0.01, effects=((0.02, 0.05),), fetch_ms=0.005, floor_ms=0.003)
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
    sums = Sums.of(tables, space, configs, np.array([row.host_ms for row in timed]))
    is_int8 = _computes_in_int8(space, configs)
    found, bands = tables, []
    for p, chosen in enumerate((~is_int8, is_int8)):
        if not chosen.any():
            continue
        caches = trust.caches or (float(tables.host_fetch[p, 0]),)
        rows = sums.rows(chosen)
        fits = [
            Ridge(tables, rows, p, trust, Scales(cache, noise, *effects))
            for cache, noise, effects in product(caches, _NOISES, trust.effects)
        ]
        best = max(fits, key=Ridge.log_likelihood)
        found = best.applied_to(found)
        bands.append(_band(np.abs(best.left_out()), tables.host_band))
    return replace(found, host_band=max(bands))


class Scales(NamedTuple):
    """What the likeliest of several fits is chosen by: bytes of cache, and standard deviations.

    Of timings, of layers' factors and of those of a way to build a layer, all relative.
    """

    cache_bytes: float
    noise: float
    layer: float
    way: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """What ``N`` networks of ``L`` rows add up to, and what they took.

    ``by_row`` are ms of each row alone ``[N, L]``, ``structures [N, L]`` the ways they are built;
    ``features [N, 9]``.
    """

    by_row: Array
    structures: IntArray
    features: Array
    weights: Array
    measured_ms: Array
    is_base: BoolArray

    @classmethod
    def of(
        cls,
        tables: StudyTables,
        space: ActionSpace,
        configs: IntArray,
        measured_ms: Array | None = None,
    ) -> Sums:
        """Of configurations ``[N, D]``; not measured, they count as if they took what rows take alone."""
        costs = _bare_costs(tables, space, tables.host_ms)
        rows = np.arange(costs.n_rows)
        state, block = costs.state(configs, rows), costs.block(configs, 0)
        values = costs.row_values(block[:, None], rows, state)
        by_row = values[..., LATENCY]
        by_feature = [
            _bare_costs(tables, space, each).totals(configs)[:, LATENCY]
            for each in np.moveaxis(tables.features, -1, 0)
        ]
        return cls(
            by_row=by_row,
            structures=state.structures,
            features=np.stack(by_feature, axis=1),
            weights=values[..., PARAMS].sum(axis=1),
            measured_ms=by_row.sum(axis=1) if measured_ms is None else measured_ms,
            is_base=np.asarray((configs[:, :-1] == 0).all(axis=1)),
        )

    def rows(self, chosen: BoolArray | IntArray) -> Sums:
        """Of some of the networks."""
        return Sums(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})


class Ridge:
    """Relative errors to the times of one arithmetic, with a pull to where the tables stand."""

    def __init__(
        self,
        tables: StudyTables,
        sums: Sums,
        arithmetic: int,
        trust: Trust,
        scales: Scales,
    ) -> None:
        self._arithmetic, self._scales = arithmetic, scales
        cache_bytes = scales.cache_bytes
        self._units = _units(sums.features, sums.measured_ms)
        stored = BYTES_A_WEIGHT[arithmetic] * sums.weights
        share = cold_share(stored, cache_bytes) if cache_bytes else np.ones(len(stored))
        columns = (
            sums.by_row.sum(axis=1) + share * (sums.features @ tables.host_cold[arithmetic]),
            share[:, None] * sums.features / self._units,
            1e-6 * np.maximum(stored - cache_bytes, 0.0),
            np.ones(len(stored)),
        )
        self._is_base = sums.is_base
        weight = np.where(sums.is_base, np.sqrt(_BASE_COUNTS), 1.0)
        scale = (weight / sums.measured_ms)[:, None]
        self._rows = scale * np.column_stack(columns)
        self._wanted = weight
        self._effects = _Effects.of(tables, sums, scales)
        self._effect_rows = scale * self._effects.columns
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

    def deviations(self) -> Array:
        """``[N, C]`` by what share of its time each network may be off, for each thing unknown."""
        return np.hstack([self._rows * self._spread, self._effect_rows])

    def left_out(self) -> list[float]:
        """Relative error of each network that is not the original, fitted without it."""
        found = []
        for i in np.flatnonzero(~self._is_base):
            terms, effects = self._solved(without=int(i))
            found.append(float(self._rows[i] @ terms + self._effect_rows[i] @ effects - 1.0))
        return found

    def log_likelihood(self) -> float:
        """Of the times, with the likeliest terms and over all effects, up to a constant.

        Effects that explain nothing cost likelihood, so that networks without any have none.
        """
        lower = self._lower(np.arange(len(self._rows)))
        terms, _ = self._solved()
        errors = solve_triangular(lower, self._rows @ terms - self._wanted, lower=True)
        pulls = (terms - self._prior) / self._spread
        volume = 2.0 * np.log(np.diag(lower)).sum()
        return -0.5 * float((errors**2).sum() + (pulls**2).sum() + volume)

    def applied_to(self, tables: StudyTables) -> StudyTables:
        """The tables with this arithmetic's times as fitted."""
        p, (found, effects) = self._arithmetic, self._solved()
        host_ms, offset_ms = tables.host_ms.copy(), tables.host_offset_ms.copy()
        fetch, cold = tables.host_fetch.copy(), tables.host_cold.copy()
        by_feature = found[1:-2] / self._units
        factors = found[0] + self._effects.by_structure(effects)
        host_ms[p] *= np.maximum(factors, _LEAST_FACTOR)[:, :, None, None]
        if self._scales.cache_bytes:
            cold[p] = np.maximum(found[0] * cold[p] + by_feature, 0.0)
        else:
            host_ms[p] = np.maximum(host_ms[p] + tables.features @ by_feature, 0.0)
        fetch[p] = self._scales.cache_bytes, 1e-6 * found[-2]
        offset_ms[p] = found[-1]
        return replace(
            tables,
            host_ms=host_ms,
            host_cold=cold,
            host_offset_ms=offset_ms,
            host_fetch=fetch,
        )

    def _solved(self, without: int = -1) -> tuple[Array, Array]:
        """Factor, ms of each feature's unit, ms of a million bytes fetched, ms a network; and the effects.

        Effects are integrated out: as noise that networks share they only change what errors weigh.
        """
        kept = np.flatnonzero(np.arange(len(self._rows)) != without)
        lower = self._lower(kept)
        rows, effect_rows, wanted = (
            solve_triangular(lower, values[kept], lower=True)
            for values in (self._rows, self._effect_rows, self._wanted)
        )
        terms = lsq_linear(
            np.concatenate([rows, np.diag(1.0 / self._spread)]),
            np.concatenate([wanted, self._prior / self._spread]),
            bounds=(self._least, np.inf),
        ).x
        return np.asarray(terms), np.asarray(effect_rows.T @ (wanted - rows @ terms))

    def _lower(self, kept: IntArray) -> Array:
        """Cholesky factor of what errors have in common by noise and by effects."""
        shared = self._effect_rows[kept] @ self._effect_rows[kept].T
        return np.asarray(
            np.linalg.cholesky(shared + self._scales.noise**2 * np.eye(len(kept)))
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Effects:
    """What each layer, and each way to build one, may add for each standard deviation: ``columns [N, E]`` in ms.

    ``rows`` and ``structures`` tell whose they are; a structure of -1 is the layer in every way.
    """

    columns: Array
    rows: IntArray
    structures: IntArray
    spread: Array
    shape: tuple[int, int]

    @classmethod
    def of(cls, tables: StudyTables, sums: Sums, scales: Scales) -> _Effects:
        whose = [
            (row, structure)
            for row, built in enumerate(sums.structures.T)
            for structure in (-1, *np.unique(built).tolist())
        ]
        rows, structures = np.array(whose, dtype=np.int64).T
        spread = np.where(structures < 0, scales.layer, scales.way)
        is_built = (structures < 0) | (sums.structures[:, rows] == structures)
        return cls(
            columns=spread * is_built * sums.by_row[:, rows],
            rows=rows,
            structures=structures,
            spread=spread,
            shape=tables.kl_structure.shape,
        )

    def by_structure(self, effects: Array) -> Array:
        """``[L, S]`` shares to add to the factors of all rows and structures."""
        shares = self.spread * effects
        found, every = np.zeros(self.shape), self.structures < 0
        found[self.rows[every]] += shares[every][:, None]
        found[self.rows[~every], self.structures[~every]] += shares[~every]
        return found


def _units(features: Array, measured_ms: Array) -> Array:
    """``[9]`` the most of each feature that a network has for each ms that it takes.

    So what a feature adds keeps within bounds in every network: with the median as the unit, a few
    networks rich in a rare operation were predicted 30 % wrong.
    """
    most = (features / measured_ms[:, None]).max(axis=0)
    return np.asarray(np.where(most > 0, most, 1.0))


def _computes_in_int8(space: ActionSpace, configs: IntArray) -> BoolArray:
    return np.asarray(space.precisions[-1][configs[:, -1]] == PRECISIONS.index(Precision.INT8))


def _bare_costs(tables: StudyTables, space: ActionSpace, cells: Array) -> CostTables:
    """Prices as if rows took ``cells [(2,) L, S, W, W]`` and networks nothing besides."""
    bare = replace(
        tables,
        host_ms=np.broadcast_to(cells, tables.host_ms.shape).copy(),
        host_offset_ms=np.zeros(2),
        host_fetch=np.zeros((2, 2)),
        host_cold=np.zeros_like(tables.host_cold),
    )
    return CostTables(bare, space, (load_device(HOST),))


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
