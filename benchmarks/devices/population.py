"""What devices have in common: a hierarchical fit over all configurations of the public tables.

The log coefficients of a configuration are Gaussian about a line in what its data sheet says (peak
arithmetic of a core, threads, half precision), with a covariance that is estimated from all
configurations. Each network has an effect of its own that all devices share, since the additive
model is wrong about it in the same way everywhere; it is estimated and kept out of the coefficients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compression.calibration import RESIDUAL_SD, Belief, fitted

if TYPE_CHECKING:
    from benchmarks.devices.tables import Configuration
    from compression.cost import Array

PEAK = {
    **dict.fromkeys(("A5", "A7"), 1),
    "A9": 2,
    **dict.fromkeys(("A17", "A53", "A55", "A57", "A72", "A73", "Kryo", "A75", "Apple_A7"), 4),
    **dict.fromkeys(("A76", "A77", "A78", "A715", "A720", "Carmel", "Sawtooth"), 8),
    **dict.fromkeys(("X1", "X2", "X3", "X4", "Oryon", "Apple_M1", "Apple_M3", "Apple_A15"), 16),
}
"""Single-precision multiply-adds a cycle and core; from memory, consistent with the Paddle-Lite table."""

_NETWORK_SD = 0.12  # of a network's own effect, in logarithms
_LARGEST_ERROR = 0.3  # beyond, an error says more about its device than about its network
_ROUNDS = 8
_PRIOR_DEVICES = 5  # how many devices the first guess of the covariance counts as
_FIRST_SPREAD = 0.05
# First guesses for one core of 8 GMAC/s: GMAC/s by type, then GB/s of activations and of weights, and
# milliseconds an operation. The slopes are about the peak of a core, threads and half precision.
_FIRST_RATES = (15.0, 3.8, 5.7, 19.0, 9.9, 0.56)
_FIRST_GB_S, _FIRST_OVERHEAD_MS = (3.3, 7.4), 0.005
_FIRST_SLOPES = (
    (-1.15, -1.11, -1.12, -1.18, -1.09, -1.19, -1.01, -0.75, -0.48),
    (-0.75, -0.72, -0.78, -0.75, -0.56, -0.86, -0.12, -0.34, -0.26),
    (0.09, 0.38, 0.13, 0.27, 0.31, 0.41, 0.86, 0.25, 0.15),
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Population:
    """The fit: ``line [4, 9]``, ``covariance [9, 9]``, ``devices`` and ``networks [N]``."""

    line: Array
    covariance: Array
    devices: Belief
    networks: Array

    def unmeasured(self, sheets: Array) -> Belief:
        """What is believed of devices with data sheets ``[D, 4]`` before any measurement."""
        return Belief(sheets @ self.line, self.covariance)


def data_sheet(configuration: Configuration) -> Array:
    """``[4]`` what the line is drawn over."""
    half = configuration.arithmetic == "fp16"
    peak = PEAK[configuration.core] * configuration.clock_ghz * (2 if half else 1)
    return np.array([1.0, math.log(peak / 8), math.log(configuration.threads), half])


def fit_population(
    features: Array, log_ms: Array, known: Array, sheets: Array, *, effects: bool = True
) -> Population:
    """The hierarchical fit by alternating; ``known [D, N]`` hides what must not be seen."""
    line = first = _first_line()
    covariance = np.eye(features.shape[1]) * _FIRST_SPREAD
    networks = np.zeros(len(features))
    for _ in range(_ROUNDS):
        prior = Belief(sheets @ line, covariance)
        devices = fitted(prior, features, log_ms - networks, known)
        line = _line(sheets, devices.mean, first)
        covariance = _covariance(devices, devices.mean - sheets @ line)
        if effects:
            networks = _effects(
                np.where(known > 0, log_ms, 0.0) - devices.log_ms(features), networks, known
            )
    return Population(line=line, covariance=covariance, devices=devices, networks=networks)


def _line(sheets: Array, means: Array, first: Array) -> Array:
    """Least squares of coefficients on data sheets, the slopes held near their first guess."""
    hold = np.diag([0.01, 4.0, 4.0, 4.0])
    return np.asarray(
        np.linalg.solve(sheets.T @ sheets + hold, sheets.T @ means + hold @ first)
    )


def _covariance(devices: Belief, off: Array) -> Array:
    """The spread about the line, with what is not known of each device."""
    first = _PRIOR_DEVICES * _FIRST_SPREAD * np.eye(off.shape[1])
    total = off.T @ off + devices.covariance.sum(axis=0) + first
    return np.asarray(total / (len(off) + _PRIOR_DEVICES))


def _effects(errors: Array, networks: Array, known: Array) -> Array:
    """``[N]`` mean errors of networks, shrunk towards none."""
    near = np.clip(errors, networks - _LARGEST_ERROR, networks + _LARGEST_ERROR) * (known > 0)
    shrink = (known > 0).sum(axis=0) + RESIDUAL_SD**2 / _NETWORK_SD**2
    return np.asarray(near.sum(axis=0) / shrink)


def _first_line() -> Array:
    rates = [math.log(1e-6 / rate) for rate in _FIRST_RATES]
    bandwidths = [math.log(4e-6 / rate) for rate in _FIRST_GB_S]
    return np.array([[*rates, *bandwidths, math.log(_FIRST_OVERHEAD_MS)], *_FIRST_SLOPES])


def of_same_core(
    population: Population, known_sheets: Array, cores: list[str], core: str, sheets: Array
) -> Belief:
    """What is believed of unmeasured devices ``[D, 4]`` with a core that others have.

    How far those others lie from the line is carried over, shrunk as if one more device lay on it.
    """
    same = np.array([name == core for name in cores])
    off = (population.devices.mean - known_sheets @ population.line)[same]
    shift = off.sum(axis=0) / (len(off) + 1)
    return Belief(sheets @ population.line + shift, population.covariance)
