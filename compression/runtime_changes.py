"""What another runtime changes in a profile of the catalogue, as far as it was measured on several boards.

``runtime_changes.toml`` is output of ``python -m benchmarks.devices.fit``.
"""

from __future__ import annotations

import math
import re
import tomllib
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from compression.cost import MAC_TYPES

if TYPE_CHECKING:
    from compression.device_profiles import DeviceProfile

CHANGES = Path(__file__).parent / "runtime_changes.toml"

BETWEEN = "ncnn", "fp32"
"""Runtime and arithmetic of the profiles that the changes were measured against."""

_MOVED = ("rate_gmacs", "activation_gb_s", "weight_gb_s", "overhead_ms")


class Change(NamedTuple):
    """Of one runtime: how it calls itself, ``[9]`` what it adds to log milliseconds per unit, the source."""

    name: re.Pattern[str]
    log_ms: tuple[float, ...]
    source: str


def in_runtime(device: DeviceProfile, *, runtime: str, arithmetic: str) -> DeviceProfile:
    """The profile with its times moved to another runtime; as it is where nobody measured what that changes."""
    if (device.runtime, device.arithmetic) != BETWEEN or arithmetic != device.arithmetic:
        return device
    found = next((change for change in _changes() if change.name.search(runtime)), None)
    return _moved(device, found) if found else device


def _moved(device: DeviceProfile, change: Change) -> DeviceProfile:
    kinds, (activation, weight, overhead) = (
        change.log_ms[: len(MAC_TYPES)],
        change.log_ms[len(MAC_TYPES) :],
    )
    slower = dict(zip(MAC_TYPES, kinds, strict=True))
    sources = {key: f"{device.sources.get(key, '')}; {change.source}" for key in _MOVED}
    return replace(
        device,
        rates=MappingProxyType(
            {kind: rate / math.exp(slower[kind]) for kind, rate in device.rates.items()}
        ),
        activation_gb_s=device.activation_gb_s / math.exp(activation),
        weight_gb_s=device.weight_gb_s / math.exp(weight),
        overhead_ms=device.overhead_ms * math.exp(overhead),
        sources=MappingProxyType({**device.sources, **sources}),
    )


@cache
def _changes() -> tuple[Change, ...]:
    found = tomllib.loads(CHANGES.read_text(encoding="utf-8"))["runtimes"]
    return tuple(
        Change(re.compile(row["name"], re.IGNORECASE), tuple(row["log_ms"]), row["source"])
        for row in found
    )
