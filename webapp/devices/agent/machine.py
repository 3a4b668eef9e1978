"""What the agent says of the device it runs on."""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from pathlib import Path
from typing import Any

from webapp.devices.agent.protocol import PROTOCOL

LIBRARIES = ("numpy", "onnxruntime")


def missing_libraries() -> list[str]:
    """What must be installed before anything can be measured."""
    from importlib.util import find_spec

    return [name for name in LIBRARIES if find_spec(name) is None]


def introduction() -> dict[str, Any]:
    """Agent, runtime and machine, as the server keeps them with what was measured."""
    from importlib.metadata import version

    return {
        "protocol": PROTOCOL,
        "version": archive_version(Path(sys.argv[0])),
        "python": platform.python_version(),
        **{name: version(name) for name in LIBRARIES},
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "processor": processor(),
        "cores": usable_cores(),
    }


def archive_version(archive: Path) -> str:
    """The agent's version is what it is made of, so that no number can be forgotten."""
    try:
        return hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
    except OSError:
        return "unknown"


def usable_cores() -> int:
    """Cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def processor(
    cpuinfo: Path = Path("/proc/cpuinfo"), model: Path = Path("/proc/device-tree/model")
) -> str:
    """The processor's name; on boards, whose processors tell none, the board's."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    if names:
        return names[0]
    try:
        return model.read_text(encoding="utf-8", errors="replace").strip("\0 \n")
    except OSError:
        return platform.processor() or platform.machine()
