"""Fits the nine numbers of the latency model to measured networks, starting from what is known before.

The logarithms of the coefficients have a Gaussian prior, so one measured network is enough to move a
whole profile, and twenty overrule the prior. The error is judged in logarithms, that is in per cent,
and a measurement far from the rest counts less (Huber). NumPy only.
"""

from __future__ import annotations

import math
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from compression.cost import MAC_TYPES, latency_coefficients, latency_ms, precision_of
from compression.errors import CompressionError
from compression.types import Precision

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from compression.cost import Array
    from compression.device_profiles import DeviceProfile

PRIOR = Path(__file__).parent / "latency_prior.toml"
"""How devices differ from what is predicted of them: output of ``python -m benchmarks.devices.fit``."""

MOST_OFF = 1000.0
"""A time further from the prediction than this factor is a mistake, not a measurement."""

RESIDUAL_SD = 0.12
"""What an additive model leaves unexplained of one network, in logarithms, chosen on hidden networks."""

LOPSIDED = 0.5 * np.eye(len(MAC_TYPES)) + 0.5 / len(MAC_TYPES)
"""A network for each kind of multiply-adds: half of its time goes to that kind, half to all kinds evenly."""

_PIECE, _NETWORK = 0.25, 6.0
"""How much a small piece and a whole network count where both were timed: predictions are about networks, and
pieces follow the model less closely. Chosen on networks timed beside the kit (``benchmarks/devices/own.py``)."""

_STEPS, _LONGEST_STEP = 8, 1.0
_HANDFUL = 5
_MEDIAN_OF_NORMAL = 0.6745  # half of all errors are smaller than so many standard deviations
_HUBER = 2.0  # standard deviations beyond which an error counts linearly


class Belief(NamedTuple):
    """Log coefficients ``[..., 9]`` (milliseconds per unit of ``cost.FEATURES``) and their covariance."""

    mean: Array
    covariance: Array

    def log_ms(self, features: Array) -> Array:
        """``[..., N]`` log milliseconds of networks with features ``[N, 9]``."""
        return np.asarray(np.log(np.exp(self.mean) @ features.T))

    def widened(self, factor: float) -> Belief:
        """The same mean, with that many times the covariance."""
        return Belief(self.mean, self.covariance * factor)

    @property
    def lopsided_log_sd(self) -> float:
        """Standard deviation for ``LOPSIDED`` networks, the mean square over the kinds of multiply-adds.

        So a kind that was never measured counts, as it should for networks that nobody has seen.
        """
        kinds = len(MAC_TYPES)
        spread = np.einsum("nj,jk,nk->n", LOPSIDED, self.covariance[:kinds, :kinds], LOPSIDED)
        return float(np.sqrt(spread.mean() + RESIDUAL_SD**2))

    def log_sd(self, features: Array) -> Array:
        """``[..., N]`` standard deviation of those: of the coefficients, and of one network about them."""
        shares = _shares(self.mean, features)
        spread = np.einsum("...nj,...jk,...nk->...n", shares, self.covariance, shares)
        return np.asarray(np.sqrt(spread + RESIDUAL_SD**2))


def fitted(prior: Belief, features: Array, log_ms: Array, known: Array) -> Belief:
    """What is believed after measuring.

    Gauss-Newton on the maximum of the posterior; all leading axes are fitted at once.

    Args:
        prior: what was believed; ``mean [..., 9]``, ``covariance [9, 9]``.
        features: ``[N, 9]`` of the measured networks.
        log_ms: ``[..., N]``; anything where nothing is known.
        known: ``[..., N]`` 1 where measured, 0 where not; between, how much it counts.
    """
    precision = np.linalg.inv(prior.covariance)
    weights = known / RESIDUAL_SD**2
    target = np.where(known > 0, log_ms, 0.0)
    mean = prior.mean.copy()
    for _ in range(_STEPS):
        shares = _shares(mean, features)
        errors = target - np.log(np.exp(mean) @ features.T)
        far = np.abs(errors) / (_HUBER * RESIDUAL_SD)
        trusted = weights / np.maximum(far, 1.0)
        curvature = np.einsum("...n,...nj,...nk->...jk", trusted, shares, shares) + precision
        slope = np.einsum("...n,...nj->...j", trusted * errors, shares)
        slope -= (mean - prior.mean) @ precision
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        mean = mean + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
    return Belief(mean, np.linalg.inv(curvature))


def reconciled(prior: Belief, features: Array, log_ms: Array) -> Belief:
    """The prior, its covariance so many times as wide as networks ``[N, 9]`` contradict it; never narrower.

    Another runtime or another family of cores is further from the profile it starts from than chips of the
    public tables are from each other. The median, so that one odd time among many widens nothing; less than
    a handful cannot tell a prior that is far off from noise, and leave it as it is.
    """
    if len(log_ms) < _HANDFUL:
        return prior
    errors = (log_ms - prior.log_ms(features)) / prior.log_sd(features)
    return prior.widened(max(1.0, float(np.median(errors**2))))


def _shares(mean: Array, features: Array) -> Array:
    """``[..., N, 9]`` which share of a network's time each term is: the derivative of its log time."""
    terms = features * np.exp(mean)[..., None, :]
    return np.asarray(terms / terms.sum(axis=-1, keepdims=True))


class Measurement(NamedTuple):
    """One network, or one small piece of one, timed on a device.

    Attributes:
        name: what was timed.
        features: ``[9]`` of it; on a device whose arithmetic is 8-bit it ran in 8 bits, else in float.
        runs_ms: every timed run after the warm-up, in milliseconds; they are kept as they came.
        is_piece: a graph that exercises few kinds of layers, not a network that somebody wants.
    """

    name: str
    features: Array
    runs_ms: tuple[float, ...]
    is_piece: bool = False

    @property
    def milliseconds(self) -> float:
        """The median of the runs."""
        return float(np.median(self.runs_ms)) if self.runs_ms else math.nan


class Row(NamedTuple):
    """One point of the chart of predicted against measured: milliseconds, the runs from p10 to p90."""

    name: str
    measured_ms: float
    p10_ms: float
    p90_ms: float
    before_ms: float
    after_ms: float


class Calibration(NamedTuple):
    """A profile fitted to measurements.

    Attributes:
        profile: the device, labelled ``calibrated``.
        used: the measurements it rests on.
        before: ``[N]`` log errors of the old profile on those.
        after: ``[N]`` the same of the new one, each network predicted from the others; with a single
            one there are no others, and it is predicted from itself.
        refused: names of the rest, each with the reason.
    """

    profile: DeviceProfile
    used: tuple[Measurement, ...]
    before: Array
    after: Array
    refused: dict[str, str]

    def rows(self) -> tuple[Row, ...]:
        """What the chart shows, in the order of the measurements used."""
        return tuple(map(_row, self.used, np.exp(self.before), np.exp(self.after)))


def calibrated(device: DeviceProfile, measurements: Sequence[Measurement]) -> Calibration:
    """Fit a profile to what was measured on the very device, starting from what it said.

    The fit is in the device's own arithmetic. Where that is 8-bit, float follows by the ratio that the
    profile knew before: rates of a profile are those of float.

    Raises:
        CompressionError: when no measurement is usable, with the reason for each.
    """
    prior = Belief(np.log(latency_coefficients(device, precision_of(device))), _covariance())
    refused = {m.name: reason for m in measurements if (reason := absurd(device, m))}
    used = tuple(m for m in measurements if m.name not in refused)
    if not used:
        reasons = " ".join(refused.values()) or "There is none."
        raise CompressionError(f"No measurement of {device.title} can be used. {reasons}")
    features = np.array([m.features for m in used])
    log_ms = np.log([m.milliseconds for m in used])
    prior = reconciled(prior, features, log_ms)
    is_piece = np.array([m.is_piece for m in used])
    weights = _weights(is_piece)
    found = fitted(prior, features, log_ms, weights)
    others = (1.0 - np.eye(len(used)) if len(used) > 1 else np.ones((1, 1))) * weights
    start = Belief(np.tile(prior.mean, (len(used), 1)), prior.covariance)
    hidden = fitted(start, features, np.tile(log_ms, (len(used), 1)), others)
    after = np.diag(hidden.log_ms(features)) - log_ms
    alike = ~is_piece if np.sum(~is_piece) >= _HANDFUL else np.ones(len(used), dtype=bool)
    seen = _seen_log_sd(after[alike], _shares(found.mean, features[alike]))
    log_sd = max(calibrated_log_sd(), found.lopsided_log_sd, seen)
    return Calibration(
        profile=_profile(device, found.mean, features, log_sd),
        used=used,
        before=prior.log_ms(features) - log_ms,
        after=after,
        refused=refused,
    )


def _weights(is_piece: NDArray[np.bool_]) -> Array:
    """How much each measurement counts; all alike where there are only pieces, or only networks."""
    if is_piece.all() or not is_piece.any():
        return np.ones(len(is_piece))
    return np.where(is_piece, _PIECE, _NETWORK)


def calibrated_log_sd() -> float:
    """How far predictions on a calibrated device are off: hidden chips of which one network was measured."""
    return float(_prior_file()["calibrated_log_sd"])


def _row(measured: Measurement, before: float, after: float) -> Row:
    low, high = np.percentile(measured.runs_ms, [10, 90]).tolist()
    time = measured.milliseconds
    return Row(measured.name, time, low, high, float(time * before), float(time * after))


def absurd(device: DeviceProfile, measured: Measurement) -> str:
    """Why a measurement on a device cannot be what it says, before it was calibrated; empty if it can."""
    if not measured.runs_ms:
        return f"{measured.name}: there are no runs."
    for run in measured.runs_ms:
        if not math.isfinite(run) or run <= 0:
            return f"{measured.name}: {run:g} ms is no time; it must be above zero."
    if not measured.features.any():
        return f"{measured.name}: a network without operations says nothing."
    expected = float(latency_ms(measured.features, device, precision_of(device)))
    ratio = measured.milliseconds / expected
    if max(ratio, 1 / ratio) > MOST_OFF:
        return (
            f"{measured.name}: {measured.milliseconds:.3g} ms is {max(ratio, 1 / ratio):,.0f} times "
            f"{'more' if ratio > 1 else 'less'} than the {expected:.2g} ms predicted. Check the unit "
            "and what was timed; it is set aside."
        )
    return ""


def _seen_log_sd(errors: Array, shares: Array) -> float:
    """What hidden measurements were off, for a lopsided network; 0 for less than a handful of them.

    Small pieces in a runtime unlike that of the public tables follow the model less closely than whole
    networks do there. Errors of pieces partly cancel in a network, the more the evener its shares: what was
    measured is compared with ``LOPSIDED`` by that. Half of the errors decide, so that a few may be odd.
    """
    if len(errors) < _HANDFUL:
        return 0.0
    concentration = np.median(np.linalg.norm(shares, axis=-1))
    typical = float(np.median(np.abs(errors))) / _MEDIAN_OF_NORMAL
    return typical * float(np.linalg.norm(LOPSIDED[0]) / concentration)


def _profile(
    device: DeviceProfile, mean: Array, features: Array, latency_log_sd: float
) -> DeviceProfile:
    own, full = (
        latency_coefficients(device, each) for each in (precision_of(device), Precision.FP32)
    )
    mean = mean + np.log(full / own)
    macs = features[:, : len(MAC_TYPES)].sum(axis=1)
    low, high = device.calibrated_macs
    rates = {kind: 1e-6 / math.exp(value) for kind, value in zip(MAC_TYPES, mean, strict=False)}
    activation, weight, overhead = np.exp(mean[len(MAC_TYPES) :]).tolist()
    return replace(
        device,
        label="calibrated",
        rates=MappingProxyType(rates),
        activation_gb_s=4e-6 / activation,
        weight_gb_s=4e-6 / weight,
        overhead_ms=overhead,
        latency_log_sd=latency_log_sd,
        calibrated_macs=(min(low, float(macs.min())), max(high, float(macs.max()))),
    )


def _covariance() -> Array:
    return np.array(_prior_file()["covariance"])


@cache
def _prior_file() -> dict[str, Any]:
    return tomllib.loads(PRIOR.read_text(encoding="utf-8"))
