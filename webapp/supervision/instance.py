"""One supervisor a data folder, and nothing left of one that was killed."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
from typing import TYPE_CHECKING, Any

import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class AlreadyRunningError(Exception):
    """Another supervisor owns the data folder; the text is for the user."""


@contextlib.contextmanager
def single_instance(run_folder: Path, address: str) -> Iterator[None]:
    """Hold the data folder's lock.

    Raises:
        AlreadyRunningError: saying where the other one listens.
    """
    path = run_folder / "up.lock"
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise AlreadyRunningError(
                f"AdaDeep already runs with this data folder: {file.read().strip()}. "
                "Use it, stop it first, or set ADADEEP_HOME to another folder."
            ) from None
        file.seek(0)
        file.truncate()
        file.write(f"{address} (process {os.getpid()})")
        file.flush()
        yield


class Roster:
    """The processes that were started, on disk, so that the next start can end what survived."""

    def __init__(self, run_folder: Path) -> None:
        self.path = run_folder / "children.json"

    def write(self, pids: list[int]) -> None:
        """Remember them with their start times: numbers are used again."""
        entries = []
        for pid in pids:
            with contextlib.suppress(psutil.NoSuchProcess):
                entries.append({"pid": pid, "created": psutil.Process(pid).create_time()})
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text(json.dumps(entries))
        temporary.replace(self.path)

    def end_leftovers(self) -> int:
        """Kill the groups of those that still run; says how many there were."""
        survivors = [entry for entry in self._read() if _is_same(entry)]
        for entry in survivors:
            # Each child leads a session of its own, so its number is its group's.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(entry["pid"], signal.SIGKILL)
        psutil.wait_procs([p for e in survivors if (p := _process(e["pid"]))], timeout=5)
        self.path.unlink(missing_ok=True)
        return len(survivors)

    def _read(self) -> list[dict[str, Any]]:
        try:
            entries: list[dict[str, Any]] = json.loads(self.path.read_text())
        except (FileNotFoundError, ValueError):
            return []
        return entries


def _is_same(entry: dict[str, Any]) -> bool:
    process = _process(entry["pid"])
    return process is not None and abs(process.create_time() - entry["created"]) < 1.0


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None
