"""How well the latency model predicts what it has not seen, from the public tables.

``python -m benchmarks.devices.holdout`` prints every protocol; a few minutes. Errors are of whole networks, in per
cent of the measured time. What stays hidden takes no part in anything that is fitted. The shape factors
of ``compression/cost.py`` were chosen, in round numbers, on the protocol that hides a network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.devices.networks import table_features
from benchmarks.devices.population import (
    Population,
    data_sheet,
    fit_population,
    of_same_core,
)
from benchmarks.devices.tables import (
    configurations,
    latency_table,
    layer_tables,
    require_tables,
)
from compression.calibration import Belief, fitted, reconciled

if TYPE_CHECKING:
    from compression.cost import Array

BoolArray = NDArray[np.bool_]

FOLDS = 5
CALIBRATED_ON = "mobilenet_v2"
SURE = 1.645  # standard deviations within which 9 in 10 of a normal distribution lie


class Measured(NamedTuple):
    """The table: features ``[N, 9]``, log milliseconds and what is known ``[D, N]``, data sheets ``[D, 4]``."""

    features: Array
    log_ms: Array
    known: Array
    sheets: Array

    @classmethod
    def read(cls) -> Measured:
        """The public tables."""
        milliseconds = latency_table()
        sheets = np.array([data_sheet(c) for c in configurations()])
        known = np.isfinite(milliseconds).astype(float)
        return cls(
            table_features(), np.log(np.where(known > 0, milliseconds, 1.0)), known, sheets
        )

    def fit(self, known: Array | None = None, *, effects: bool = True) -> Population:
        """The population of what is known, or of a part of it."""
        seen = self.known if known is None else known
        return fit_population(self.features, self.log_ms, seen, self.sheets, effects=effects)


def hidden_cells(table: Measured, *, effects: bool) -> Array:
    """``[D, N]`` log errors, every cell hidden once with a fifth of all others."""
    fold = np.random.default_rng(0).integers(0, FOLDS, table.known.shape)
    errors = np.full(table.known.shape, np.nan)
    for hidden in range(FOLDS):
        found = table.fit(table.known * (fold != hidden), effects=effects)
        off = found.devices.log_ms(table.features) + found.networks - table.log_ms
        errors = np.where(fold == hidden, off, errors)
    return _only_known(errors, table)


def hidden_networks(table: Measured) -> Array:
    """``[D, N]`` log errors, each network hidden on all devices at once."""
    errors = np.full(table.known.shape, np.nan)
    for network in range(len(table.features)):
        seen = table.known.copy()
        seen[:, network] = 0
        found = table.fit(seen).devices.log_ms(table.features)
        errors[:, network] = (found - table.log_ms)[:, network]
    return _only_known(errors, table)


class HiddenChip(NamedTuple):
    """Log errors ``[D, N]`` on chips that the fit has not seen, by what was known of them.

    ``sheet`` is the data sheet alone, ``core`` with other chips of the same core (nothing where there is none),
    ``network`` after one measured network; ``network_known`` the same where the networks scored were
    measured on other devices.
    """

    sheet: Array
    core: Array
    network: Array
    network_known: Array


def hidden_chips(table: Measured) -> HiddenChip:
    """Each chip hidden with all its clusters and thread counts."""
    chips = np.array([c.chip for c in configurations()])
    cores = [c.core for c in configurations()]
    one = list(layer_tables()).index(CALIBRATED_ON)
    errors = HiddenChip(*(np.full(table.known.shape, np.nan) for _ in HiddenChip._fields))
    for chip in np.unique(chips):
        at = chips == chip
        rest = [core for core, hidden in zip(cores, at, strict=True) if not hidden]
        found = table.fit(table.known * ~at[:, None])
        prior = found.unmeasured(table.sheets[at])
        effects = found.networks
        errors.sheet[at] = prior.log_ms(table.features)
        errors.network[at] = _by_network(prior, table, at, one)
        known = table._replace(log_ms=table.log_ms - effects)
        errors.network_known[at] = _by_network(prior, known, at, one) + effects
        errors.core[at] = _by_core(found, table, at, cores, rest)
    for column in (errors.network, errors.network_known):
        column[:, one] = np.nan
    return HiddenChip(*(_only_known(column - table.log_ms, table) for column in errors))


def after_measuring(prior: Belief, features: Array, log_ms: Array) -> Belief:
    """What is believed of one device after measuring networks ``[N, 9]``, as ``calibrated`` finds it."""
    prior = reconciled(prior, features, log_ms)
    return fitted(prior, features, log_ms, np.ones(len(log_ms)))


def _by_network(prior: Belief, table: Measured, at: BoolArray, network: int) -> Array:
    """``[d, N]`` log milliseconds of hidden configurations of which one network was measured, if it was."""
    rows = []
    for mean, index in zip(prior.mean, np.flatnonzero(at), strict=True):
        seen = slice(network, network + int(table.known[index, network]))
        args = table.features[seen], table.log_ms[index, seen]
        after = after_measuring(Belief(mean, prior.covariance), *args)
        rows.append(after.log_ms(table.features))
    return np.array(rows)


def _by_core(
    found: Population, table: Measured, at: BoolArray, cores: list[str], rest: list[str]
) -> Array:
    """``[d, N]`` log milliseconds of hidden configurations by others with their core."""
    seen = Population(
        line=found.line,
        covariance=found.covariance,
        devices=Belief(found.devices.mean[~at], found.devices.covariance[~at]),
        networks=found.networks,
    )
    rows = []
    for index in np.flatnonzero(at):
        known = cores[index] in rest
        belief = of_same_core(seen, table.sheets[~at], rest, cores[index], table.sheets[index])
        rows.append(
            belief.log_ms(table.features) if known else np.full(len(table.features), np.nan)
        )
    return np.array(rows)


def _only_known(errors: Array, table: Measured) -> Array:
    return np.where(table.known > 0, errors, np.nan)


def summary(errors: Array) -> str:
    """Number, median, 90th percentile and hits of log errors, as a row of a table."""
    off = 100 * np.abs(np.expm1(errors[np.isfinite(errors)]))
    hits = [np.mean(off < limit) for limit in (10, 20)]
    return (
        f"n {len(off):5}  median {np.median(off):5.1f} %  p90 {np.percentile(off, 90):5.1f} %  "
        f"within 10 % {hits[0]:4.0%}  within 20 % {hits[1]:4.0%}"
    )


def band_sd(errors: Array) -> float:
    """The standard deviation whose 90 % band holds 9 in 10 of these log errors."""
    return float(np.nanquantile(np.abs(errors), 0.9) / SURE)


def coverage(errors: Array) -> float:
    """Share of errors inside a 90 % band whose width comes from other chips alone."""
    chips = np.array([c.chip for c in configurations()])
    half = np.isin(chips, np.unique(chips)[::2])
    inside = [
        np.abs(errors[a][np.isfinite(errors[a])]) < SURE * band_sd(errors[~a])
        for a in (half, ~half)
    ]
    return float(np.concatenate(inside).mean())


def main() -> None:
    """Print every protocol."""
    require_tables()
    table = Measured.read()
    protocols = {
        "20 % of cells hidden, network known elsewhere": hidden_cells(table, effects=True),
        "20 % of cells hidden, no effects of networks": hidden_cells(table, effects=False),
        "one network hidden everywhere": hidden_networks(table),
    }
    chips = hidden_chips(table)
    protocols |= {
        "chip hidden, one network measured, others known": chips.network_known,
        "chip hidden, one network measured, others new": chips.network,
        "chip hidden, core known from other chips": chips.core,
        "chip hidden, data sheet alone": chips.sheet,
    }
    for name, errors in protocols.items():
        print(
            f"{name:50} {summary(errors)}  band sd {band_sd(errors):.3f}, "
            f"holds {coverage(errors):.1%} on other chips"
        )


if __name__ == "__main__":
    main()
