"""What it costs to lock an engine process in: ``python -m benchmarks.engine_start [STARTS]``.

Each start runs ``python -m selector --help`` to its end, in turns: under limits and ``unshare`` alone, and in the whole sandbox.
"""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import django

LAUNCH = Path(__file__).resolve().parents[1] / "webapp" / "launch.py"


def main(starts: int) -> None:
    django.setup()
    from webapp.jobs import sandbox

    asked = ["-m", "selector", "--help"]
    options = {
        "parent": os.getpid(),
        "death_signal": signal.SIGKILL,
        "limits": sandbox.limits(),
    }
    launcher = [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(options)]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        ways = {
            "limits and namespace": [
                *(*sandbox.network_isolation(), *launcher, sys.executable, "-P", *asked)
            ],
            "whole sandbox": sandbox.locked([sys.executable, *asked], sandbox.Reach(), scratch),
        }
        taken_ms: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(starts):
            for way, command in ways.items():
                taken_ms[way].append(_started_ms(command, sandbox.environment(scratch)))
    for way, times_ms in taken_ms.items():
        low, middle, high = min(times_ms), statistics.median(times_ms), max(times_ms)
        print(f"{way}: median {middle:.0f} ms ({low:.0f} to {high:.0f})")


def _started_ms(command: list[str], environment: dict[str, str]) -> float:
    started = time.perf_counter()
    subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=True)
    return 1000 * (time.perf_counter() - started)


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "webapp.settings")
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
