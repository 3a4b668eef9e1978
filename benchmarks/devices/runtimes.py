"""How well two measured networks predict the rest in another runtime, and energy on microcontrollers.

``python -m benchmarks.devices.runtimes``. MobileNet v1 and v2 in 38 widths and resolutions on a Firefly-RK3399;
the two of full size are measured, 36 are predicted. The prior comes from ncnn on the same board, moved by
what the same runtime changed on two other boards, term by term as far as those agree. ``--limit`` prints instead how far those who have measured all variants but
one get, and those who have measured all.
"""

from __future__ import annotations

import math
import re
import sys
from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.devices.holdout import Measured, after_measuring, summary
from benchmarks.devices.networks import mobilenet
from benchmarks.devices.tables import (
    DATA,
    MEASUREMENTS,
    configurations,
    require_tables,
    rows,
)
from compression.calibration import Belief, fitted
from compression.cost import SURE, load_device

if TYPE_CHECKING:
    from benchmarks.devices.population import Population
    from compression.cost import Array

NCNN = {"firefly": "rk3399-big-2t", "rpi4": "rpi4-4t", "hikey960": "kirin970-big-4t"}
"""The configuration of the ncnn tables nearest to a board of MLPerf."""

SYSTEMS = (
    ("armnn-v19.08-neon", "fp32"),
    ("tflite-v1.15", "fp32"),
    ("tflite-v1.15", "int8"),
)
WIDER = (1, 16, 256)
_FULL_SIZE = re.compile(r"mobilenet-v\d-1\.0-224")
_VARIANT = re.compile(r"mobilenet-v\d-[\d.]+-\d+")
_FREE = 1.0  # variance of what a runtime may change, in logarithms, where all variants are seen
_LIKELY, _DOUBT = (
    0.1,
    0.02,
)  # variance of a change that boards share, and least variance between them


class Variants(NamedTuple):
    """One system: features ``[N, 9]``, log milliseconds ``[N]``, which are of full size ``[N]``."""

    features: Array
    log_ms: Array
    full: Array


def variants(board: str, runtime: str, precision: str) -> Variants:
    """What MLPerf measured on a board."""
    found = {
        row["model"]: float(row["latency_ms"])
        for row in _firefly() + rows(DATA / "mobilenet_variants.csv")
        if (row["board"], row["runtime"], row["precision"]) == (board, runtime, precision)
    }
    names = sorted(found)
    return Variants(
        np.array([mobilenet(name) for name in names]),
        np.log([found[name] for name in names]),
        np.array([bool(_FULL_SIZE.fullmatch(name)) for name in names], dtype=float),
    )


def _firefly() -> list[dict[str, str]]:
    return [
        {**row, "board": "firefly", "runtime": row["framework"]}
        for row in rows(MEASUREMENTS)
        if row["device"] == "Firefly-RK3399" and _VARIANT.fullmatch(row["model"])
    ]


class Runtimes:
    """The ncnn profiles of the three boards, and what another runtime changes."""

    def __init__(self, population: Population | None = None) -> None:
        population = population or Measured.read().fit()
        order = [c.configuration for c in configurations()]
        self.covariance = population.covariance
        self.ncnn = {
            board: population.devices.mean[order.index(name)] for board, name in NCNN.items()
        }

    def errors(self, board: str, system: tuple[str, str], others: list[str]) -> Array:
        """``[N]`` log errors of the variants that were not measured; no others, no change of the prior."""
        seen, prior = variants(board, *system), self._prior(board, system, others)
        measured = seen.full > 0
        found = after_measuring(prior, seen.features[measured], seen.log_ms[measured])
        return np.asarray((found.log_ms(seen.features) - seen.log_ms)[seen.full == 0])

    def limit(
        self, board: str, system: tuple[str, str], *, wider: float
    ) -> tuple[Array, Array]:
        """``[N]`` log errors of each variant fitted to the others, and of all fitted to all."""
        seen, prior = variants(board, *system), self._prior(board, system, []).widened(wider)
        others = 1.0 - np.eye(len(seen.log_ms))
        start = Belief(np.tile(prior.mean, (len(others), 1)), prior.covariance)
        hidden = fitted(start, seen.features, np.tile(seen.log_ms, (len(others), 1)), others)
        known = fitted(prior, seen.features, seen.log_ms, np.ones(len(others)))
        left_out = np.diag(hidden.log_ms(seen.features)) - seen.log_ms
        return left_out, known.log_ms(seen.features) - seen.log_ms

    def _prior(self, board: str, system: tuple[str, str], others: list[str]) -> Belief:
        return Belief(self.ncnn[board] + self.change(system, others), self.covariance)

    def change(self, system: tuple[str, str], boards: list[str]) -> Array:
        """``[9]`` what a runtime changes in the log coefficients, shrunk where boards disagree."""
        if not boards:
            return np.zeros(len(self.covariance))
        free = self.covariance + _FREE * np.eye(len(self.covariance))
        found = []
        for board in boards:
            seen = variants(board, *system)
            prior = Belief(self.ncnn[board], free)
            after = fitted(prior, seen.features, seen.log_ms, np.ones(len(seen.log_ms)))
            found.append(after.mean - prior.mean)
        doubt = np.var(found, axis=0, ddof=1) + _DOUBT
        return np.asarray(np.mean(found, axis=0) * _LIKELY / (_LIKELY + doubt))


def shipped_changes(population: Population) -> str:
    """The contents of ``compression/runtime_changes.toml``.

    Only a change that predicts each of the three boards better by the other two: that of TFLite in float.
    """
    system = ("tflite-v1.15", "fp32")
    change = Runtimes(population).change(system, list(NCNN))
    return (
        "# Output of `python -m benchmarks.devices.fit`. Do not edit.\n"
        "[[runtimes]]\n"
        "name = '\\b(tflite|tensorflow[ -]?lite)[ -]?v?1\\.'\n"
        f"log_ms = [{', '.join(f'{value:.4f}' for value in change)}]\n"
        'source = "times what TFLite 1.15 changed against ncnn on a Firefly-RK3399, a Raspberry Pi 4 and a HiKey960 '
        '(MobileNet v1 and v2 in 38 sizes, MLPerf inference v0.5)"\n'
    )


def energy_errors() -> Array:
    """``[n]`` log errors of MLPerf Tiny: measured time, the board's power from its other networks."""
    boards: dict[tuple[str, ...], dict[str, tuple[float, float]]] = defaultdict(dict)
    for row in rows(MEASUREMENTS):
        if row["unit"] == "mcu" and row["energy_mJ"]:
            board = row["framework"], row["device"], row["source"]
            boards[board][row["model"]] = float(row["energy_mJ"]), float(row["latency_ms"])
    errors = []
    for measured in boards.values():
        for hidden, (energy, time) in measured.items():
            watts = [e / t for name, (e, t) in measured.items() if name != hidden]
            errors.append(math.log(float(np.median(watts)) * time / energy))
    return np.array(errors)


def print_limits(runtimes: Runtimes) -> None:
    """What this form of model can do for each system, with the prior as it is, wider, and as good as none."""
    for system in SYSTEMS:
        for wider in WIDER:
            left_out, fitted_to = runtimes.limit("firefly", system, wider=wider)
            what = f"Firefly {' '.join(system):26} prior {wider:6.0f} times as wide"
            print(f"{what}, one left out  {summary(left_out)}")
            print(f"{what}, fitted to all {summary(fitted_to)}")


def main() -> None:
    """Print the tables."""
    require_tables()
    runtimes = Runtimes()
    if "--limit" in sys.argv:
        print_limits(runtimes)
        return
    for system in SYSTEMS:
        others = ["rpi4", "hikey960"]
        for name, from_others in (("ncnn alone", []), ("other boards too", others)):
            errors = runtimes.errors("firefly", system, from_others)
            print(f"Firefly {' '.join(system):26} prior: {name:17} {summary(errors)}")
    energy = energy_errors()
    sd = load_device("stm32-l4r5").power_relative_sd
    inside = float(np.mean(np.abs(energy) < SURE * sd))
    print(f"MLPerf Tiny energy{'':41} {summary(energy)}  sd {sd}: band holds {inside:.1%}")


if __name__ == "__main__":
    main()
