"""The targets as the pages see them."""

from typing import Any

from compression.cost import band, device_names, load_device


def device_json(name: str) -> dict[str, Any]:
    """A target with what is known about it."""
    device = load_device(name)
    latency, energy = band(device), band(device, "energy")
    return {
        "name": device.name,
        "title": device.title,
        "chip": device.chip,
        "family": device.family,
        "label": device.label,
        "band": [latency.low, latency.high],
        "energy_label": device.energy_label,
        "energy_band": [energy.low, energy.high],
        "runtime": device.runtime,
        "threads": device.threads,
        "note": device.note,
        "sources": dict(device.sources),
    }


def devices_json() -> list[dict[str, Any]]:
    """All targets, this machine first."""
    return [device_json(name) for name in device_names()]
