"""How the engine process is locked in: limits, an empty environment, and what the kernel can forbid it."""

from __future__ import annotations

import compileall
import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, NamedTuple

from django.conf import settings

from compression.types import Stage
from webapp.confinement.reach import SOURCE_PACKAGES
from webapp.datafolder import discard

logger = logging.getLogger(__name__)

CONFINEMENT = Path(__file__).resolve().parent.parent / "confinement"
START, TRIAL = CONFINEMENT / "start.py", CONFINEMENT / "trial.py"
PROBE_TIMEOUT_S = 5
OPEN_FILES = 1024
TRIAL_TIMEOUT_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reach:
    """What one engine process may open besides its own program.

    In ``flat`` folders it makes files, in ``writable`` ones folders too; ``converts`` lets it start converters.
    """

    readable: tuple[Path, ...] = ()
    flat: tuple[Path, ...] = ()
    writable: tuple[Path, ...] = ()
    converts: bool = False

    @classmethod
    def of_stage(cls, folder: Path, stage: Stage) -> Reach:
        """A stage reads its job's folder and writes its own part of it.

        What stages read are hard links to uploads and to results of others: whoever could write
        there would change the files of other jobs.
        """
        return cls(readable=(folder,), flat=(folder / stage,), converts=stage is Stage.PACKAGE)


def start_engine(
    arguments: list[str], folder: Path, scratch: Path, log: IO[bytes], reach: Reach
) -> subprocess.Popen[bytes]:
    """Start ``python -m selector ARGUMENTS`` in its own session and folder, with an empty ``scratch``.

    Standard output is a pipe of JSON lines; closing standard input asks the engine to stop.
    """
    _compile_sources()
    program = settings.ENGINE_COMMAND or [sys.executable, "-m", "selector"]
    discard(scratch)
    for path in (scratch, *reach.flat, *reach.writable):
        path.mkdir(exist_ok=True)
    return subprocess.Popen(  # noqa: S603 - the command is ours, no shell is involved
        locked([*program, *arguments], reach, scratch),
        cwd=folder,
        env=environment(scratch),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        start_new_session=True,
    )


def locked(command: list[str], reach: Reach, scratch: Path) -> list[str]:
    """The command that does the same, locked in: a Python, then ``-m MODULE`` or a file, then arguments."""
    python, program, *_ = command
    own = () if program == "-m" else (Path(program).parent,)
    readable = (*reach.readable, *own, *settings.ENGINE_READABLE)
    options = {
        "parent": os.getpid(),
        "death_signal": signal.SIGKILL,
        "limits": limits(),
        "readable": [str(path) for path in readable],
        "flat": [str(path) for path in reach.flat],
        "writable": [str(path) for path in (*reach.writable, scratch)],
        "converters": converters() if reach.converts else [],
    }
    return [*network_isolation(), python, "-P", str(START), json.dumps(options), *command[1:]]


@cache
def _compile_sources() -> None:
    """For the engine, which cannot keep what it compiles: each start would do it anew."""
    for name in SOURCE_PACKAGES:
        compileall.compile_dir(settings.BASE_DIR / name, quiet=2)


def converters() -> list[str]:
    """The environments of the installed converters."""
    folder = Path(settings.ADADEEP_EXTRAS or settings.BASE_DIR)
    return [str(stamp.parent) for stamp in folder.glob(".venv-*/.stamp-extra")]


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
        "NOFILE": OPEN_FILES,
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


def measures() -> list[Measure]:
    """What holds the engine on this machine, and what does not."""
    gib, hours = settings.ENGINE_MEMORY_GIB, settings.ENGINE_STAGE_HOURS
    elsewhere = "" if sys.platform == "linux" else FORBIDDEN
    return [
        Measure(
            "Network",
            "the engine lives in a network without any device",
            "" if network_isolation() else FORBIDDEN,
        ),
        *(Measure(name, text, tried().get(key, FORBIDDEN)) for key, name, text in TRIED),
        Measure("Memory", f"at most {gib} GiB of address space", elsewhere),
        Measure(
            "Size",
            f"no file above {settings.ENGINE_FILE_GIB} GiB, {OPEN_FILES:,} open at a time",
        ),
        Measure("Time", f"at most {hours} hours a stage"),
        Measure("Secrets", "an empty environment, a session and a folder of its own"),
        Measure("Orphans", "the engine ends when its worker dies", elsewhere),
    ]


TRIED = (
    (
        "files",
        "Other files",
        "the engine reads its own program and its job's files, and writes one folder of that job (Landlock)",
    ),
    ("ports", "Ports", "the engine opens no TCP port and connects to none (Landlock)"),
    ("signals", "Signals", "the engine reaches no process outside (Landlock or seccomp)"),
    (
        "calls",
        "System calls",
        "the engine opens no socket, starts no program but converters, asks for nothing unusual (seccomp)",
    ),
    ("privileges", "Privileges", "the engine gains none, and gives up those of root"),
)


@cache
def tried() -> dict[str, str]:
    """What a process saw that was locked in as the engine is: for each measure, why it does not hold, if so."""
    if sys.platform != "linux":
        return {}
    closed = str(settings.BASE_DIR / "manage.py")
    with tempfile.TemporaryDirectory() as scratch:
        command = locked([sys.executable, str(TRIAL), closed], Reach(), Path(scratch))
        try:
            trial = subprocess.run(  # noqa: S603
                command,
                env=environment(Path(scratch)),
                capture_output=True,
                timeout=TRIAL_TIMEOUT_S,
                check=True,
            )
            found: dict[str, str] = json.loads(trial.stdout)
        except (OSError, subprocess.SubprocessError, ValueError):
            logger.exception("It could not be tried what holds the engine.")
            return {}
    for name in (name for name, reason in found.items() if reason):
        logger.warning("The engine's sandbox lacks %s: %s.", name, found[name])
    return found


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
