"""A user's device, fitted to what was measured on it: from the profile it starts from to its own."""

from __future__ import annotations

import statistics
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from django.db.models import Max

from compression.calibration import Measurement, calibrated, calibrated_log_sd
from compression.cost import load_device, precision_of
from compression.device_profiles import CONV_1D
from compression.measured_power import Reading, absurd_power, with_power
from compression.runtime_changes import in_runtime
from compression.types import Precision
from webapp.devices.kit import kit_graphs
from webapp.devices.targets import own_profile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from django.db.models import QuerySet

    from compression.calibration import Calibration, Row
    from compression.cost import DeviceProfile
    from webapp.devices import models
    from webapp.devices.models import OwnDevice

FITTED = ("rate_gmacs", "activation_gb_s", "weight_gb_s", "overhead_ms", "latency_log_sd")
"""Figures of a profile that measuring changes."""

ONE_DIMENSIONAL = "conv-1d"
"""The graph of the kit that tells of one-dimensional convolutions."""

BY_OWNER = "Measured by its owner"
LONGEST_SOURCE = 60


def prior_profile(device: OwnDevice) -> DeviceProfile:
    """What is believed of a device before anything was measured: the profile it starts from, in its runtime."""
    prior = in_runtime(
        load_device(device.prior), runtime=device.runtime, arithmetic=device.arithmetic
    )
    taken = {
        key: f"Taken over from {prior.title}: {text}" for key, text in prior.sources.items()
    }
    return replace(
        prior,
        name=device.key,
        title=device.title,
        chip=f"started from {prior.title}",
        paper=False,
        runtime=device.runtime,
        threads=device.threads,
        arithmetic=device.arithmetic,
        sources=MappingProxyType(taken),
    )


def known_profile(device: OwnDevice) -> DeviceProfile:
    """What is believed of a device now: calibrated if something was measured."""
    return own_profile(device) if device.profile else prior_profile(device)


def calibration_of(device: OwnDevice) -> Calibration | None:
    """The fit to the newest measurement of each graph and network that counts; nothing without any."""
    measured = [
        Measurement(
            row.title,
            np.array(row.features),
            tuple(row.runs_ms),
            is_piece=row.name in kit_graphs(),
        )
        for row in _newest(device)
    ]
    return calibrated(prior_profile(device), measured) if measured else None


def power_readings(device: OwnDevice) -> list[Reading]:
    """What was told of the device's power while it ran what counts, as far as it can be that."""
    prior = prior_profile(device)
    told = (_reading(row.environment.get("power"), row.name) for row in _newest(device))
    return [reading for reading in told if reading and not absurd_power(prior, reading)]


def described(found: Calibration, device: OwnDevice) -> DeviceProfile:
    """The new profile, its power too if it was measured, with where its figures come from, in words."""
    readings = power_readings(device)
    profile, count = with_power(found.profile, readings), len(found.used)
    day = f"{device.measured:%-d %B %Y}"
    source = f"{BY_OWNER} on {day}: {count} {'timing' if count == 1 else 'timings'}"
    prior = load_device(device.prior).title
    fitted = dict.fromkeys(FITTED, f"{source}; what they leave open follows from {prior}")
    if any(row.name == ONE_DIMENSIONAL for row in found.used):
        fitted[CONV_1D] = source
    width = (
        "The band is wider than that of devices measured well: few kinds of layers were timed, or "
        "the times do not follow the model closely."
        if profile.latency_log_sd > calibrated_log_sd()
        else "The band is that of devices calibrated by one network, which held for hidden ones."
    )
    power = _power_words(profile, readings, day) if readings else ""
    other = "8-bit" if precision_of(profile) is Precision.FP32 else "float"
    taken = f"{'Memory' if power else 'Energy, memory'} and {other} times are"
    if power:
        fitted |= dict.fromkeys(("power_w", "power_relative_sd", "dram_pj_per_byte"), power)
    told = f"{power}." if power else ""
    return replace(
        profile,
        note=" ".join(
            filter(None, (f"{source}.", width, told, f"{taken} taken over from {prior}."))
        ),
        sources=MappingProxyType({**profile.sources, **fitted}),
    )


def spoken_to(profile: DeviceProfile, who: str) -> DeviceProfile:
    """The profile with the person who measured it in place of "its owner"."""
    by = f"Measured by {who}"
    sources = {key: text.replace(BY_OWNER, by) for key, text in profile.sources.items()}
    note = profile.note.replace(BY_OWNER, by)
    return replace(profile, note=note, sources=MappingProxyType(sources))


def error_before(rows: Sequence[Row]) -> float:
    """The share within which half of the times were predicted before anything was measured."""
    return _typical([row.before_ms / row.measured_ms for row in rows])


def error_after(rows: Sequence[Row]) -> float:
    """The same now, each time predicted from all others that the device has."""
    return _typical([row.after_ms / row.measured_ms for row in rows])


def _newest(device: OwnDevice) -> QuerySet[models.Measurement]:
    """The newest measurement of each graph and network that counts, oldest first."""
    usable = device.measurements.filter(refused="")
    newest = usable.values("name").annotate(newest=Max("id")).values("newest")
    return device.measurements.filter(pk__in=newest).order_by("id")


def _reading(power: object, name: str) -> Reading | None:
    """The power of one network in what a device said of its environment; programs may send anything there."""
    told = power.get(name) if isinstance(power, dict) else None
    if not isinstance(told, dict):
        return None
    active_w, idle_w = told.get("active_w"), told.get("idle_w")
    if not isinstance(active_w, int | float) or not isinstance(idle_w, int | float):
        return None
    return Reading(str(told.get("source", "a sensor"))[:LONGEST_SOURCE], active_w - idle_w)


def _power_words(profile: DeviceProfile, readings: Sequence[Reading], day: str) -> str:
    return (
        f"Power was measured on {day} by {readings[-1].source}: {profile.power_w:.2g} W above rest, "
        f"{len(readings)} network{'' if len(readings) == 1 else 's'}"
    )


def _typical(ratios: Sequence[float]) -> float:
    return statistics.median(abs(ratio - 1) for ratio in ratios)
