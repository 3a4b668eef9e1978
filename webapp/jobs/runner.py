"""The seam to the engine: one process a stage, its JSON lines into events, its end into a state."""

from __future__ import annotations

import logging
import os
import secrets
import select
import signal
import time
from collections import deque
from typing import IO, TYPE_CHECKING

from django.conf import settings

from webapp.jobs import sandbox
from webapp.jobs.events import append
from webapp.jobs.inbox import Inbox

if TYPE_CHECKING:
    import subprocess

    from compression.types import Stage
    from webapp.jobs.lease import Lease
    from webapp.jobs.models import Job

logger = logging.getLogger(__name__)

POLL_S = 0.2
FLUSH_S = 0.5
GRACE_S = 0.4
READ_BYTES = 64 * 1024
LOG_TAIL_BYTES = 4000
REFERENCE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"

MET, FAULT, BAD_REQUEST, MISSED, INFEASIBLE = 0, 1, 2, 3, 4


class StageCancelledError(Exception):
    """The user asked to stop."""


class StageFailedError(Exception):
    """The stage cannot be finished; the text is for the user, ``reference`` for the log."""

    def __init__(self, message: str, reference: str = "") -> None:
        super().__init__(message)
        self.reference = reference


class Every:
    """Something that is due once in so many seconds, first after that time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._last = time.monotonic()

    def is_due(self) -> bool:
        now = time.monotonic()
        if now - self._last < self.seconds:
            return False
        self._last = now
        return True


def run_stage(job: Job, lease: Lease, stage: Stage) -> int:
    """Run one stage to its end; the exit code is 0, 3 (limits missed) or 4 (infeasible).

    Raises:
        StageCancelledError: the user asked to stop.
        StageFailedError: the engine refused the input, or broke.
        LeaseLostError: another worker has the job now.
    """
    folder = job.folder
    inbox = Inbox(stage)
    with (folder / "engine.log").open("ab") as log:
        process = sandbox.start_engine(
            ["stage", stage, str(folder), "--supervised"], folder, log
        )
        try:
            code = _follow(process, lease, inbox)
        finally:
            sandbox.kill(process)
    append(lease, inbox.take_all())
    if code in (MET, MISSED, INFEASIBLE):
        return code
    raise _failure(job, stage, code, inbox.error)


def _follow(process: subprocess.Popen[bytes], lease: Lease, inbox: Inbox) -> int:
    """Store what the engine says and keep the lease until the engine has ended."""
    output = _pipe(process.stdout)
    flush, beat = Every(FLUSH_S), Every(settings.LEASE_HEARTBEAT_S)
    ask, limit = Every(POLL_S), Every(settings.ENGINE_STAGE_HOURS * 3600)
    while True:
        readable, _, _ = select.select([output], [], [], POLL_S)
        chunk = os.read(output, READ_BYTES) if readable else b""
        if readable and not chunk:
            return process.wait()
        inbox.feed(chunk)
        if flush.is_due():
            append(lease, inbox.take_all())
        if beat.is_due():
            lease.beat()
        if ask.is_due() and lease.cancel_requested():
            _ask_to_stop(process)
            raise StageCancelledError
        if limit.is_due():
            hours = settings.ENGINE_STAGE_HOURS
            raise StageFailedError(f"{inbox.stage.capitalize()} took more than {hours} hours.")


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    deadline = time.monotonic() + GRACE_S
    while process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)


def _failure(job: Job, stage: Stage, code: int, error: str) -> StageFailedError:
    where = stage.capitalize()
    if error:
        return StageFailedError(error)
    if code == -signal.SIGXCPU:
        return StageFailedError(f"{where} took more processor time than a job may use.")
    if code == -signal.SIGKILL:
        return StageFailedError(
            f"The operating system stopped the engine at {where}, most likely for lack of memory. "
            "Use a smaller model or data set, or a larger machine."
        )
    reference = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(4))
    reference = f"{reference}-{job.attempt:02}"
    logger.error("%s: job %s, %s ended with %s\n%s", reference, job.id, stage, code, _tail(job))
    return StageFailedError(
        f"Something we did not foresee stopped the job at {where}. "
        f"What was finished is saved. Reference {reference}.",
        reference,
    )


def _tail(job: Job) -> str:
    with (job.folder / "engine.log").open("rb") as log:
        blocks = deque(iter(lambda: log.read(LOG_TAIL_BYTES), b""), maxlen=2)
    return b"".join(blocks)[-LOG_TAIL_BYTES:].decode(errors="replace")


def _pipe(stream: IO[bytes] | None) -> int:
    if stream is None:
        raise StageFailedError("The engine has no output to read.")
    return stream.fileno()
