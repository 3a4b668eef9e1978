"""A process of ours: started in its own session, started again when it dies, ended for good."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).resolve().parent.parent / "launch.py"
LONGEST_PAUSE_S = 30.0
STEADY_S = 60.0
LARGEST_LOG_BYTES = 10 * 1024**2

logger = logging.getLogger(__name__)


@dataclass(slots=True, kw_only=True)
class Child:
    """One process.

    ``death_signal`` is what it gets when the supervisor itself is killed; ``inherited`` are open files of the
    supervisor that it takes over.
    """

    name: str
    command: list[str]
    folder: Path
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL
    patience_s: float = 6.0
    inherited: tuple[int, ...] = ()
    process: subprocess.Popen[bytes] | None = None
    _asked: bool = False
    _failures: int = 0
    _started: float = 0.0
    _not_before: float = 0.0

    def start(self) -> None:
        """Start it; its output goes to its log."""
        options = {"parent": os.getpid(), "death_signal": self.death_signal}
        launcher = [sys.executable, "-I", "-S", str(LAUNCH), json.dumps(options)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*launcher, *self.command],
                cwd=self.folder,
                env={**os.environ, **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A Ctrl-C in the terminal reaches the supervisor alone, which stops in order.
                start_new_session=True,
                pass_fds=self.inherited,
            )
        self._started = time.monotonic()

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process else None

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def watch(self) -> bool:
        """Start it again if it died, later and later; says whether it was started. A long log is put aside."""
        self._put_log_aside()
        now = time.monotonic()
        if self.is_running() or self.process is None:
            return False
        if self._not_before <= self._started:
            self._plan_restart(now)
        if now < self._not_before:
            return False
        self.start()
        return True

    def ask_to_stop(self) -> None:
        """Tell it to end, without waiting."""
        if self.process and not self._asked and self.is_running():
            self._asked = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, self.stop_signal)

    def stop(self) -> None:
        """End it and whatever it started."""
        if self.process is None:
            return
        self.ask_to_stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(timeout=self.patience_s)
        self._kill_group()
        self.process.wait()
        self.process = None

    def log_tail(self, size_bytes: int = 2000) -> str:
        """The end of its log, for a person who asks why it does not run."""
        content = self.log.read_bytes() if self.log.exists() else b""
        return content[-size_bytes:].decode(errors="replace")

    def _put_log_aside(self) -> None:
        """The process keeps its log open, so that is copied and emptied; a line written in between is lost."""
        with contextlib.suppress(OSError):  # a full disk; the log grows on until there is room
            if self.log.stat().st_size > LARGEST_LOG_BYTES:
                shutil.copyfile(self.log, self.log.with_suffix(".log.1"))
                os.truncate(self.log, 0)

    def _plan_restart(self, now: float) -> None:
        code = self.process.returncode if self.process else None
        self._kill_group()
        self._failures = 0 if now - self._started > STEADY_S else self._failures + 1
        pause = min(LONGEST_PAUSE_S, 0.5 * 2**self._failures) if self._failures else 0.0
        self._not_before = now + pause
        logger.warning("%s ended with %s; starting it again in %.1f s", self.name, code, pause)

    def _kill_group(self) -> None:
        if self.process:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
