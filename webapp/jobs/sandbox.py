"""How the engine process is locked in: limits, an empty environment, no network where possible."""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from django.conf import settings

logger = logging.getLogger(__name__)

LAUNCH = Path(__file__).resolve().parent.parent / "launch.py"
PROBE_TIMEOUT_S = 5


def start_engine(
    arguments: list[str], folder: Path, scratch: Path, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start ``python -m selector ARGUMENTS`` in its own session and folder, with an empty ``scratch``.

    Standard output is a pipe of JSON lines; closing standard input asks the engine to stop.
    """
    command = settings.ENGINE_COMMAND or [sys.executable, "-P", "-m", "selector"]
    options = {"parent": os.getpid(), "death_signal": signal.SIGKILL, "limits": limits()}
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    return subprocess.Popen(  # noqa: S603 - the command is ours, no shell is involved
        [
            *network_isolation(),
            *(sys.executable, "-I", "-S", str(LAUNCH), json.dumps(options)),
            *(*command, *arguments),
        ],
        cwd=folder,
        env=environment(scratch),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """End the process and whatever it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        logger.debug("Engine %s had ended already", process.pid)
    process.wait()


def limits() -> dict[str, int]:
    """Resource limits of one stage."""
    gib = 1024**3
    return {
        "AS": settings.ENGINE_MEMORY_GIB * gib,
        "CPU": settings.ENGINE_STAGE_HOURS * 3600 * settings.ENGINE_THREADS,
        "FSIZE": settings.ENGINE_FILE_GIB * gib,
        "NOFILE": 1024,
        "CORE": 0,
    }


def environment(scratch: Path) -> dict[str, str]:
    """What the engine may know: no secrets, no addresses of database or broker."""
    threads = str(settings.ENGINE_THREADS)
    return {
        "PATH": os.defpath,
        "HOME": str(scratch),
        "TMPDIR": str(scratch),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(settings.BASE_DIR),
        "PYTHONUNBUFFERED": "1",
        "ADADEEP_EXTRAS": settings.ADADEEP_EXTRAS,
        "OMP_NUM_THREADS": threads,
        "MKL_NUM_THREADS": threads,
        "OPENBLAS_NUM_THREADS": threads,
    }


class Measure(NamedTuple):
    """One thing that locks the engine in; where it does not hold, ``reason`` says why."""

    name: str
    text: str
    reason: str = ""

    @property
    def is_active(self) -> bool:
        return not self.reason


FORBIDDEN = "this machine does not allow it"
SAME_USER = (
    "it runs as the same user as AdaDeep; use a container for people who distrust each other"
)


def measures() -> list[Measure]:
    """What holds the engine on this machine, and what does not."""
    gib, hours = settings.ENGINE_MEMORY_GIB, settings.ENGINE_STAGE_HOURS
    elsewhere = "" if sys.platform == "linux" else FORBIDDEN
    return [
        Measure("Network", "the engine reaches none", "" if network_isolation() else FORBIDDEN),
        Measure("Memory", f"at most {gib} GiB of address space", elsewhere),
        Measure("Size", f"no file above {settings.ENGINE_FILE_GIB} GiB, 1,024 open at a time"),
        Measure("Time", f"at most {hours} hours a stage"),
        Measure("Secrets", "an empty environment, a session and a folder of its own"),
        Measure("Orphans", "the engine ends when its worker dies", elsewhere),
        Measure("Other files", "the engine sees its job's files only", SAME_USER),
    ]


@cache
def network_isolation() -> tuple[str, ...]:
    """The prefix that takes the network away; empty where this host forbids it."""
    for prefix in (("unshare", "-n"), ("unshare", "-Urn")):
        try:
            probe = subprocess.run(  # noqa: S603
                [*prefix, "true"], capture_output=True, timeout=PROBE_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            continue
        if probe.returncode == 0:
            return prefix
    logger.warning("Network isolation of the engine is off: this host does not allow it.")
    return ()
