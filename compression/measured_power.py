"""A device's power, from what its own counter or sensor told while networks ran on it.

Energy is power times time (``cost.energy_mj``); where nobody measured, the power is a guess by the kind of
core. On microcontrollers the power of one network tells that of others to a tenth (MLPerf Tiny).
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.device_profiles import DeviceProfile

LEAST_LOG_SD = 0.115
"""How far one network's power is off that of others on one board: ``benchmarks/devices/microcontrollers.py``."""

MOST_OFF = 100.0
"""Power further from the prior than this factor is a mistake: the wrong unit, or a sensor of something else."""

_FEW = 3  # readings, from which a spread of their own can be told
_PROCESSOR_ALONE = (
    "RAPL"  # a counter of the package; sensors and batteries supply the memory too
)


class Reading(NamedTuple):
    """Watts above rest while one network ran, and what told them."""

    source: str
    above_rest_w: float


def absurd_power(device: DeviceProfile, reading: Reading) -> str:
    """Why a reading cannot be the power of a device as it was known before; empty if it can."""
    watts = reading.above_rest_w
    if not math.isfinite(watts) or watts <= 0:
        return f"{reading.source}: {watts:g} W above rest is no power; it is set aside."
    ratio = watts / device.power_w
    if max(ratio, 1 / ratio) > MOST_OFF:
        return (
            f"{reading.source}: {watts:.3g} W is {max(ratio, 1 / ratio):,.0f} times "
            f"{'more' if ratio > 1 else 'less'} than the {device.power_w:.2g} W assumed; it is set aside."
        )
    return ""


def with_power(device: DeviceProfile, readings: Sequence[Reading]) -> DeviceProfile:
    """The profile with the power of its readings, none of them absurd; as it was without any.

    The median counts. Its doubt is what the readings differ by, ``LEAST_LOG_SD`` at least. Energy that is
    predicted by it is labelled ``calibrated``. Where the power was measured at the supply, the
    bytes fetched from memory are in it and cost nothing more.
    """
    if not readings:
        return device
    logs = np.log([reading.above_rest_w for reading in readings])
    spread = float(np.std(logs, ddof=1)) if len(readings) >= _FEW else 0.0
    holds_memory = not readings[-1].source.startswith(_PROCESSOR_ALONE)
    return replace(
        device,
        energy_label="calibrated",
        power_w=math.exp(float(np.median(logs))),
        power_relative_sd=max(LEAST_LOG_SD, spread),
        dram_pj_per_byte=0.0 if holds_memory else device.dram_pj_per_byte,
    )
