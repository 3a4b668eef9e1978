"""Power where the system tells it: the processor's own counter (RAPL), an INA sensor, or the battery."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any, Callable

SYS = Path("/sys/class")
_SAMPLE_S = 0.1
_INA = "ina"


class Counter:
    """Energy that the processor counts: exact over any time, and it starts again at a limit."""

    least_s = 1.5

    def __init__(self, folder: Path) -> None:
        self.source = f"RAPL {_text(folder / 'name') or folder.name}"
        self._energy = folder / "energy_uj"
        self._limit_uj = _number(folder / "max_energy_range_uj") or 0.0

    def watts(self, work: Callable[[float], None], seconds: float) -> float | None:
        """Mean power while ``work`` is busy for that long; ``None`` when the counter is not told."""
        before, start = _number(self._energy), time.perf_counter()
        work(seconds)
        after, took_s = _number(self._energy), time.perf_counter() - start
        if before is None or after is None:
            return None
        used_uj = after - before if after >= before else after - before + self._limit_uj
        return used_uj * 1e-6 / took_s


class Sensor:
    """Power that is told on request, asked ten times a second."""

    def __init__(self, source: str, read: Callable[[], float | None], least_s: float) -> None:
        self.source = source
        self.least_s = least_s
        self._read = read

    def watts(self, work: Callable[[float], None], seconds: float) -> float | None:
        """Mean power while ``work`` is busy for that long; ``None`` when nothing is told."""
        samples: list[float] = []
        ended = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(samples, ended), daemon=True)
        watcher.start()
        work(seconds)
        ended.set()
        watcher.join()
        return sum(samples) / len(samples) if samples else None

    def _watch(self, samples: list[float], ended: threading.Event) -> None:
        while not ended.wait(_SAMPLE_S):
            watts = self._read()
            if watts is not None:
                samples.append(watts)


def power_meter(sys: Path = SYS) -> Any | None:
    """The most exact meter that answers, or ``None``."""
    for found in (_rapl(sys / "powercap"), _ina(sys / "hwmon"), _battery(sys / "power_supply")):
        if found is not None:
            return found
    return None


def power_of(
    meter: Any, calls: dict[str, Callable[[], object]], rest: Callable[[], bool]
) -> dict[str, dict[str, Any]]:
    """For each network watts at rest and at work, and millijoules of one run above rest.

    ``rest`` is called in between. What takes no more than rest, or is not told, is left out.
    """
    idle_w = meter.watts(time.sleep, meter.least_s)
    found = {}
    for name, call in calls.items():
        rest()
        active_w, run_s = _at_work(meter, call)
        if idle_w is not None and active_w is not None and active_w > idle_w:
            found[name] = {
                "source": meter.source,
                "idle_w": idle_w,
                "active_w": active_w,
                "run_mj": 1e3 * (active_w - idle_w) * run_s,
            }
    return found


def _at_work(meter: Any, call: Callable[[], object]) -> tuple[float | None, float]:
    """Mean watts while it runs again and again, and the seconds of one run."""
    counted = [0]

    def run(seconds: float) -> None:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            call()
            counted[0] += 1

    start = time.perf_counter()
    active_w = meter.watts(run, meter.least_s)
    return active_w, (time.perf_counter() - start) / counted[0]


def _rapl(folder: Path) -> Counter | None:
    """The counter of the first processor package; newer kernels let only root read it."""
    for package in sorted(folder.glob("*-rapl:0")):
        if _number(package / "energy_uj") is not None:
            return Counter(package)
    return None


def _ina(folder: Path) -> Sensor | None:
    """A current sensor on the board; its driver tells microwatts, or milliamperes and millivolts."""
    for chip in sorted(folder.glob("hwmon*")):
        name = _text(chip / "name")
        if not name.startswith(_INA):
            continue
        read = _reader(chip / "power1_input", chip / "curr1_input", chip / "in1_input", 1e-3)
        if read() is not None:
            return Sensor(f"sensor {name}", read, 2.0)
    return None


def _battery(folder: Path) -> Sensor | None:
    """A battery tells what flows out of it, and only while it is not being charged."""
    for supply in sorted(folder.glob("*")):
        if _text(supply / "type") != "Battery" or _text(supply / "status") != "Discharging":
            continue
        read = _reader(
            supply / "power_now", supply / "current_now", supply / "voltage_now", 1e-6
        )
        if read() is not None:
            # Its driver reads the gauge every few seconds only.
            return Sensor(f"battery {supply.name}", read, 10.0)
    return None


def _reader(
    power: Path, current: Path, voltage: Path, unit: float
) -> Callable[[], float | None]:
    """Watts from microwatts, or from current times voltage, each in ``unit``."""

    def read() -> float | None:
        microwatts = _number(power)
        if microwatts is not None:
            return abs(microwatts) * 1e-6
        amperes, volts = _number(current), _number(voltage)
        return None if amperes is None or volts is None else abs(amperes * volts) * unit**2

    return read


def _number(path: Path) -> float | None:
    try:
        return float(_text(path))
    except ValueError:
        return None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
