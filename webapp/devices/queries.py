"""The targets as the pages see them."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db.models import Count
from django.http import Http404
from django.urls import reverse

from compression.cost import band, load_device
from compression.device_profiles import FROM_MEMORY
from webapp.devices.models import OwnDevice
from webapp.devices.targets import is_own, own_profile, target_profiles, visible
from webapp.tables import table_csv

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from django.contrib.auth.models import User

    from compression.cost import DeviceProfile
    from webapp.devices.services import Outcome

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
        "paper": device.paper,
        "ram_mb": device.ram_mb,
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
        Figure(text, f"{_short(getattr(device, key))} {unit}".strip(), device.sources[key])
        for key, (text, unit) in UNITS.items()
        if key in device.sources and getattr(device, key)
    ]
    return [*found, *_rates(device.rates, device.sources.get("rate_gmacs", ""))]


def own_device_get(*, owner: User, device_id: UUID) -> OwnDevice:
    """The owner's device; a stranger gets 404, also where it is shared."""
    device = OwnDevice.objects.filter(pk=device_id, owner=owner).first()
    if device is None:
        raise Http404("There is no such device of yours.")
    return device


def own_device_rows(user: User) -> list[dict[str, Any]]:
    """The user's devices, measured or not, then those that others share."""
    devices = visible(user).select_related("owner").annotate(count=Count("measurements"))
    in_order = sorted(devices, key=lambda d: (d.owner_id != user.pk, d.title, d.created))
    return [own_device_row(device, user, device.count) for device in in_order]


def own_device_row(device: OwnDevice, user: User, count: int) -> dict[str, Any]:
    """A user's device as lists show it; ``count`` is how many measurements it has."""
    profile = own_profile(device) if device.profile else None
    return {
        "id": str(device.id),
        "name": device.key,
        "title": device.title,
        "url": reverse("device", args=[device.key]),
        "prior": device.prior,
        "prior_title": load_device(device.prior).title,
        "runtime": device.runtime,
        "threads": device.threads,
        "arithmetic": device.arithmetic,
        "means": device.means,
        "shared": device.shared,
        "mine": device.owner_id == user.pk,
        "owner": device.owner.username,
        "created": device.created.isoformat(timespec="seconds"),
        "measured": device.measured.isoformat(timespec="seconds") if device.measured else None,
        "measurements": count,
        "label": profile.label if profile else None,
        "band": list(band(profile)[:2]) if profile else None,
    }


def outcome_json(outcome: Outcome) -> dict[str, Any]:
    """What came of a delivery, for pages and programs."""
    return {**outcome._asdict(), "used": [row._asdict() for row in outcome.used]}


def measurement_rows(device: OwnDevice, most: int) -> list[dict[str, Any]]:
    """The newest measurements for the page, with the median of those that count."""
    return [
        {
            "title": row.title,
            "created": row.created,
            "runs": len(row.runs_ms),
            "median": f"{statistics.median(row.runs_ms):.3g}" if not row.refused else "",
            "refused": row.refused,
        }
        for row in device.measurements.order_by("-id")[:most]
    ]


def measurements_json(device: OwnDevice) -> list[dict[str, Any]]:
    """Everything that was ever timed on a device, oldest first, as it came."""
    return [
        {
            "name": row.name,
            "title": row.title,
            "created": row.created.isoformat(timespec="seconds"),
            "runs_ms": row.runs_ms,
            "refused": row.refused,
            "environment": row.environment,
        }
        for row in device.measurements.all()
    ]


def measurements_csv(device: OwnDevice) -> str:
    """The same as a table, one line a run."""
    rows = [
        (row.created.isoformat(timespec="seconds"), row.name, number, run_ms, row.refused)
        for row in device.measurements.all()
        for number, run_ms in enumerate(row.runs_ms, 1)
    ]
    return table_csv(["measured", "name", "run", "ms", "set aside because"], rows)


def _rates(rates: Mapping[str, float], source: str) -> list[Figure]:
    return [
        Figure(RATES[kind], f"{_short(rate)} GMAC/s", source) for kind, rate in rates.items()
    ]


def _short(value: float) -> str:
    """Four digits that count, without an exponent where there need be none."""
    return f"{float(f'{value:.4g}'):g}"
