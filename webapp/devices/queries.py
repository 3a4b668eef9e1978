"""The targets as the pages see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from compression.cost import band
from compression.device_profiles import FROM_MEMORY
from webapp.devices.targets import is_own, target_profiles

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User

    from compression.cost import DeviceProfile

OWN_FAMILY = "own"


class Figure(NamedTuple):
    """One figure of a profile, in words, and where it comes from."""

    name: str
    value: str
    source: str

    @property
    def from_memory(self) -> bool:
        return FROM_MEMORY in self.source.lower()


UNITS = {
    "clock_ghz": ("Clock", "GHz"),
    "ram_mb": ("Memory", "MB"),
    "flash_kb": ("Flash", "KB"),
    "battery_mwh": ("Battery", "mWh"),
    "power_w": ("Power above idle", "W"),
    "power_relative_sd": ("Doubt about the power, one standard deviation", ""),
    "dram_pj_per_byte": ("Energy of fetching a byte", "pJ"),
    "activation_gb_s": ("Activations moved", "GB/s"),
    "weight_gb_s": ("Weights moved", "GB/s"),
    "overhead_ms": ("Each operation", "ms"),
    "int8_dense": ("8-bit over float time, dense", ""),
    "int8_depthwise": ("8-bit over float time, depthwise", ""),
    "latency_log_sd": ("Doubt about latency, one standard deviation of its logarithm", ""),
}
RATES = {
    "conv3x3_s1": "3×3 convolutions",
    "conv_kxk": "Other convolutions",
    "conv1x1": "1×1 convolutions",
    "depthwise": "Depthwise convolutions",
    "group_conv": "Grouped convolutions",
    "fc": "Dense layers",
}


def device_row(device: DeviceProfile) -> dict[str, Any]:
    """A target as a list shows it; users' own devices are a family of their own."""
    latency, energy = band(device), band(device, "energy")
    return {
        "name": device.name,
        "title": device.title,
        "chip": device.chip,
        "family": OWN_FAMILY if is_own(device.name) else device.family,
        "label": device.label,
        "band": [latency.low, latency.high],
        "energy_label": device.energy_label,
        "energy_band": [energy.low, energy.high],
        "runtime": device.runtime,
        "threads": device.threads,
        "arithmetic": device.arithmetic,
    }


def device_json(device: DeviceProfile) -> dict[str, Any]:
    """A target with what is known about it."""
    return {**device_row(device), "note": device.note, "sources": dict(device.sources)}


def devices_json(owner: User) -> list[dict[str, Any]]:
    """All targets: the owner's own, this machine, then by family."""
    return [device_row(device) for device in target_profiles(owner=owner)]


def device_figures(device: DeviceProfile) -> list[Figure]:
    """Every figure of a profile that is known, each with its source."""
    found = [
        Figure(text, f"{getattr(device, key):g} {unit}".strip(), device.sources[key])
        for key, (text, unit) in UNITS.items()
        if key in device.sources and getattr(device, key)
    ]
    return [*found, *_rates(device.rates, device.sources.get("rate_gmacs", ""))]


def _rates(rates: Mapping[str, float], source: str) -> list[Figure]:
    return [Figure(RATES[kind], f"{rate:g} GMAC/s", source) for kind, rate in rates.items()]
