"""One recipe on many devices, and the best known recipe for each: from one search, by prices alone."""

from __future__ import annotations

import math
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from compression.calibration import RESIDUAL_SD
from compression.cost import SURE
from selector import reward
from selector.cell_prices import ENERGY, LATENCY, MACS, SIZE
from selector.pricing import CostTables

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from compression.cost import Band, DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray
    from selector.types import Budgets, Goals

_SAME_SIZE = 0.03  # files differ so much by names and attributes
_LEAST_GAIN = 0.01  # log2 of the best ratio, where nothing can be gained
_MOST_JUDGED = 50  # of the best of each device, whether one fits it


class Priced(NamedTuple):
    """A recipe on a device: its configuration, what it costs there, and its score (0: uncompressed)."""

    config: tuple[int, ...]
    drop_points: float
    latency_ms: float
    energy_mj: float
    size_bytes: float
    score: float


class OnDevice(NamedTuple):
    """A device with the original, the recipe asked about, and the best of the known recipes that fit it.

    ``tie`` says that the recipe and the best cannot be told apart by the model; ``latency`` and ``energy`` are the bands of
    the recipe's prediction there.
    """

    device: DeviceProfile
    original: Priced
    recipe: Priced
    best: Priced
    tie: bool
    latency: Band
    energy: Band


class Wish(NamedTuple):
    """What is wanted, on whatever device."""

    goals: Goals
    budgets: Budgets


def fits_anywhere(_device: DeviceProfile, _priced: Priced) -> bool:
    """Where nothing is known of the memory that recipes take."""
    return True


def on_devices(
    surrogate: Surrogate,
    pool: IntArray,
    config: IntArray,
    wish: Wish,
    devices: Sequence[DeviceProfile],
    fits: Callable[[DeviceProfile, Priced], bool] = fits_anywhere,
) -> Iterator[OnDevice]:
    """The recipe ``config [D]`` and the best of ``pool [N, D]`` that fits, on each device.

    Nothing is searched anew: the pool holds what training found good for unlike devices, and every
    recipe is priced exactly. The scale of scores is what the pool attains on the device. Where none of the
    best ``_MOST_JUDGED`` fits, the best is named all the same.
    """
    known = np.concatenate([surrogate.space.untouched(), config[None], pool])
    state = None
    for device in devices:
        costs = CostTables(surrogate.tables, surrogate.space, (device,))
        state = state or costs.state(known, np.arange(costs.n_rows))
        totals = costs.totals(known, state=state)
        values = reward.quantities(surrogate, totals[None])
        wants = _wants(totals, wish)
        utility = reward.utility(values, wants)[0]
        scores = reward.score(values, wants)[0]
        # Of equals the one asked about.
        order = np.lexsort((np.arange(len(known)) != 1, -utility))[:_MOST_JUDGED]
        ranked = (_priced(known[i], values[0, i], scores[i]) for i in order)
        first = next(ranked)
        found = next(
            (priced for priced in chain([first], ranked) if fits(device, priced)), first
        )
        original, asked = (_priced(known[i], values[0, i], scores[i]) for i in (0, 1))
        bands = [
            surrogate.band(device, quantity, float(totals[1, MACS]))
            for quantity in ("latency", "energy")
        ]
        tie = indistinct(surrogate, asked, found)
        yield OnDevice(device, original, asked, found, tie, *bands)


def indistinct(surrogate: Surrogate, one: Priced, other: Priced) -> bool:
    """Whether two recipes on one device differ by less than what is left unexplained of one network.

    What is not known of the device is the same for both and cancels, its power too. Bytes are counted, not predicted:
    a smaller file is no tie.
    """
    if one.config == other.config:
        return True
    low, high = surrogate.model.ends(np.array([one.drop_points]))
    as_accurate = float(low[0]) <= other.drop_points <= float(high[0])
    as_fast, as_frugal = (
        abs(math.log(a / b)) < SURE * RESIDUAL_SD
        for a, b in ((one.latency_ms, other.latency_ms), (one.energy_mj, other.energy_mj))
    )
    as_small = abs(math.log(one.size_bytes / other.size_bytes)) < _SAME_SIZE
    return as_accurate and as_fast and as_frugal and as_small


def _wants(totals: Array, wish: Wish) -> reward.Preferences:
    """One asker, on the scale of the device whose totals ``[N, 7]`` these are."""
    shares = wish.goals.normalised()
    limits = [getattr(wish.budgets, name) for name in reward.BUDGET_NAMES]
    costs = totals[:, [LATENCY, ENERGY, SIZE]]
    gains = np.log2(costs[0] / np.maximum(costs.min(axis=0), 1e-12))
    return reward.Preferences(
        weights=np.array([[shares.accuracy, shares.latency, shares.energy, shares.storage]]),
        limits=np.array([[math.inf if limit is None else limit for limit in limits]]),
        base=costs[:1],
        best_log2=np.maximum(gains, _LEAST_GAIN)[None],
        target=np.zeros(1, dtype=np.int64),
    )


def _priced(config: IntArray, values: Array, score: float) -> Priced:
    points, latency, energy, size = values.tolist()
    return Priced(tuple(config.tolist()), points, latency, energy, size, score)
