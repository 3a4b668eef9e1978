"""Writes the latency figures of the catalogue from the public tables: ``python -m benchmarks.devices.fit``.

Each file of ``compression/devices`` says by hand which core, clock, threads and arithmetic it stands for,
and, where that very chip was measured, which configuration of the tables. Everything from ``[fit]`` on is
the output of this script; running it twice changes nothing.
"""

from __future__ import annotations

import json
import math
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from benchmarks.devices.holdout import Measured, band_sd, hidden_chips, hidden_networks
from benchmarks.devices.microcontrollers import (
    BOARDS,
    fitted_board,
    hidden_errors,
    tiny_networks,
)
from benchmarks.devices.microcontrollers import SOURCE as TINY_SOURCE
from benchmarks.devices.population import data_sheet, of_same_core
from benchmarks.devices.runtimes import shipped_changes
from benchmarks.devices.tables import (
    Configuration,
    configurations,
    latency_table,
    layer_tables,
    require_tables,
)
from compression.calibration import PRIOR
from compression.device_evidence import EVIDENCE
from compression.device_profiles import DEVICES, MAC_TYPES
from compression.runtime_changes import CHANGES

if TYPE_CHECKING:
    from pathlib import Path

    from compression.cost import Array

MARK = "\n# From here on: output of `python -m benchmarks.devices.fit`. Do not edit.\n[fit]\n"
_NCNN = "the ncnn benchmark README (Tencent/ncnn@a4d2ea1d4)"
_DEPTHWISE_NETWORKS = ("mobilenet", "mobilenet_ssd")
_TINY_INT8 = (
    0.25  # float over 8-bit speed of small cores: from memory, CMSIS-NN against plain float
)


class Fit(NamedTuple):
    """What goes into a file: log coefficients ``[9]`` of the float network, and how they are known."""

    coefficients: Array
    label: str
    log_sd: float
    int8: tuple[float, float]
    macs: tuple[float, float]
    source: str


class Fitter:
    """The population fit, the widths of bands, and what 8-bit arithmetic gains on which core."""

    def __init__(self) -> None:
        self.table = Measured.read()
        self.population = self.table.fit()
        self.order = [c.configuration for c in configurations()]
        self.cores = [c.core for c in configurations()]
        hidden = hidden_chips(self.table)
        self.hidden = hidden_networks(self.table)
        self.log_sd = {
            "same chip": band_sd(self.hidden),
            "calibrated": band_sd(hidden.network),
            "similar chip": band_sd(hidden.core),
            "rough": band_sd(hidden.sheet),
        }
        self.tiny_log_sd = band_sd(hidden_errors())
        macs = [network["macs"] for network in layer_tables().values()]
        self.macs = min(macs), max(macs)
        self.int8 = int8_factors()

    def of(self, values: dict[str, Any]) -> Fit:
        """The fit of one file's contents."""
        hardware, latency = values["hardware"], values["latency"]
        tables = latency.get("tables", "")
        if tables in BOARDS:
            return self._microcontroller(tables, latency)
        asked = Configuration(
            configuration=tables,
            hint="",
            chip="",
            core=hardware["core"],
            clock_ghz=hardware["clock_ghz"],
            threads=latency["threads"],
            arithmetic=latency["arithmetic"],
        )
        coefficients, label, source = self._located(asked)
        label = "rough" if latency.get("assumed") else label
        factors = self.int8.get(asked.core, self.int8[asked.arithmetic])
        return Fit(coefficients, label, self.log_sd[label], factors, self.macs, source)

    def evidence(self, values: dict[str, Any]) -> list[tuple[str, float, float]]:
        """Network, measured and predicted milliseconds of the configuration a file stands for."""
        tables = values["latency"].get("tables", "")
        if tables not in self.order or values["latency"].get("assumed"):
            return []
        at = self.order.index(tables)
        times = np.exp(self.table.log_ms[at])
        predicted = times * np.exp(self.hidden[at])
        return [
            (name, float(f"{time:.4g}"), float(f"{guess:.3g}"))
            for name, time, guess in zip(layer_tables(), times, predicted, strict=True)
            if np.isfinite(guess)
        ]

    def _located(self, asked: Configuration) -> tuple[Array, str, str]:
        sheet = data_sheet(asked)
        if asked.configuration:
            return self._measured(asked)
        args = self.population, self.table.sheets, self.cores, asked.core, sheet
        mean = of_same_core(*args).mean
        same = sum(core == asked.core for core in self.cores)
        if same:
            text = f"{same} configurations with {asked.core} cores among the 93 of {_NCNN}"
            return (
                mean,
                "similar chip",
                f"Predicted from {text}, by clock, threads and arithmetic",
            )
        text = f"the 93 configurations of {_NCNN}, by peak arithmetic (from memory), threads and precision"
        return mean, "rough", f"Predicted from {text}"

    def _measured(self, asked: Configuration) -> tuple[Array, str, str]:
        at = self.order.index(asked.configuration)
        clock = configurations()[at].clock_ghz
        mean = self.population.devices.mean[at].copy()
        mean[: len(MAC_TYPES)] += math.log(clock / asked.clock_ghz)
        networks = int(self.table.known[at].sum())
        text = f"Fitted on {networks} networks of {_NCNN}, configuration {asked.configuration}"
        scaled = (
            f", rates times the clock ratio {asked.clock_ghz}/{clock}"
            if clock != asked.clock_ghz
            else ""
        )
        return mean, "same chip", text + scaled

    def _microcontroller(self, tables: str, latency: dict[str, Any]) -> Fit:
        mean = fitted_board(tables).mean - math.log(
            latency.get("speed_of_tables", 1.0) * _TINY_INT8
        )
        mean[-1] += math.log(_TINY_INT8)  # starting an operation costs the same
        label = "rough" if latency.get("assumed") else "same chip"
        log_sd = self.log_sd["rough"] if label == "rough" else self.tiny_log_sd
        found = [float(sum(op.macs for op in network)) for network in tiny_networks().values()]
        text = f"Fitted on the four 8-bit networks of {TINY_SOURCE}, {BOARDS[tables]}; float takes four times as long, from memory"
        return Fit(
            mean, label, log_sd, (_TINY_INT8, _TINY_INT8), (min(found), max(found)), text
        )


def int8_factors() -> dict[str, tuple[float, float]]:
    """Time of 8-bit over float networks, dense and depthwise, by core and by float arithmetic."""
    with np.errstate(invalid="ignore"):
        ratios = latency_table(int8=True) / latency_table()
    depthwise = np.isin(list(layer_tables()), _DEPTHWISE_NETWORKS)
    found = {}
    for key in ("core", "arithmetic"):
        names = np.array([getattr(c, key) for c in configurations()])
        for name in np.unique(names):
            own = ratios[names == name]
            if np.isfinite(own[:, ~depthwise]).any() and np.isfinite(own[:, depthwise]).any():
                pair = np.nanmedian(own[:, ~depthwise]), np.nanmedian(own[:, depthwise])
                found[str(name)] = float(pair[0]), float(pair[1])
    return found


def section(fit: Fit) -> str:
    """The lines of ``[fit]``."""
    rates = {
        kind: 1e-6 / math.exp(value)
        for kind, value in zip(MAC_TYPES, fit.coefficients, strict=False)
    }
    activation, weight, overhead = (
        math.exp(value) for value in fit.coefficients[len(MAC_TYPES) :]
    )
    inside = ", ".join(f"{kind} = {rate:.4g}" for kind, rate in rates.items())
    return (
        f'label = "{fit.label}"\n'
        f"rate_gmacs = {{ {inside} }}\n"
        f"activation_gb_s = {4e-6 / activation:.4g}\n"
        f"weight_gb_s = {4e-6 / weight:.4g}\n"
        f"overhead_ms = {overhead:.4g}\n"
        f"int8_dense = {fit.int8[0]:.3g}\n"
        f"int8_depthwise = {fit.int8[1]:.3g}\n"
        f"latency_log_sd = {fit.log_sd:.3f}\n"
        f"calibrated_macs = [{fit.macs[0]:.4g}, {fit.macs[1]:.4g}]\n"
        f'source = "{fit.source}"\n'
    )


def rewrite(path: Path, fitter: Fitter) -> None:
    """Put the fit at the end of a file of the catalogue."""
    by_hand = path.read_text(encoding="utf-8").partition(MARK)[0]
    path.write_text(
        by_hand + MARK + section(fitter.of(tomllib.loads(by_hand))), encoding="utf-8"
    )


def write_prior(fitter: Fitter) -> None:
    """Leave what calibration starts from: how log coefficients vary together."""
    rows = "\n".join(
        f"  [{', '.join(f'{value:.4f}' for value in row)}],"
        for row in fitter.population.covariance
    )
    PRIOR.write_text(
        "# Output of `python -m benchmarks.devices.fit`. Do not edit.\n"
        f"calibrated_log_sd = {fitter.log_sd['calibrated']:.3f}\n"
        f"covariance = [\n{rows}\n]\n",
        encoding="utf-8",
    )


def main() -> None:
    """Rewrite every file of the catalogue that is not measured where the engine runs."""
    require_tables()
    fitter = Fitter()
    write_prior(fitter)
    CHANGES.write_text(shipped_changes(fitter.population), encoding="utf-8")
    found: dict[str, list[tuple[str, float, float]]] = {}
    for path in sorted(DEVICES.glob("*.toml")):
        if "measured_here = true" not in path.read_text(encoding="utf-8"):
            rewrite(path, fitter)
            rows = fitter.evidence(tomllib.loads(path.read_text(encoding="utf-8")))
            found |= {path.stem: rows} if rows else {}
            print(path.stem)
    lines = ",\n".join(f'"{name}": {json.dumps(rows)}' for name, rows in found.items())
    EVIDENCE.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
