"""The seam to the engine: one process a stage, its JSON lines into events, its end into a state."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol

from django.conf import settings

from selector.reporter import FINISH
from webapp.datafolder import discard
from webapp.jobs import sandbox
from webapp.jobs.events import Line, append
from webapp.jobs.inbox import Inbox
from webapp.jobs.lease import Stop
from webapp.jobs.publishing import PUBLISH_S, publish

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from compression.types import Stage
    from webapp.jobs.lease import Lease
    from webapp.jobs.models import Job
    from webapp.jobs.shift import Shift

logger = logging.getLogger(__name__)

POLL_S = 0.2
FLUSH_S = 0.5
GRACE_S = 0.4
ENDING_S = 5
"""How long an engine may take to end after its output has: a graphics card's driver is slow to let go."""

READ_BYTES = 64 * 1024
LOG_TAIL_BYTES = 4000
REFERENCE_LETTERS = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
NO_MORE_THREADS = "libgomp: Thread creation failed"
"""What OpenMP says when it ends a process that is out of memory, before the engine can explain."""

MET, FAULT, BAD_REQUEST, MISSED, INFEASIBLE = 0, 1, 2, 3, 4


class StageCancelledError(Exception):
    """The user asked to stop."""


class StagePausedError(Exception):
    """The user asked to go on later."""


class StageFailedError(Exception):
    """The stage cannot be finished; the text is for the user, ``reference`` for the log."""

    def __init__(self, message: str, reference: str = "") -> None:
        super().__init__(message)
        self.reference = reference


class EngineKilledError(StageFailedError):
    """The operating system ended the engine, which did nothing wrong that it could say."""


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


class Work(Protocol):
    """What an engine process is there for."""

    def beat(self) -> None:
        """Say that this worker is alive."""

    def stop_requested(self) -> Stop | None:
        """What the user asked for, if anything."""

    def store(self, lines: Sequence[Line]) -> None:
        """Put what the engine said into the log."""

    def save(self) -> None:
        """Let other machines have what the engine has left so far."""

    def next_order(self, inbox: Inbox) -> str | None:
        """A line that the engine waits for, if there is one."""

    def restart(self) -> None:
        """Another engine process goes on; it knows no orders."""


@dataclass(frozen=True, slots=True)
class WholeStage:
    """All of a stage, in one process that needs no orders."""

    job: Job
    lease: Lease

    def beat(self) -> None:
        self.lease.beat()

    def stop_requested(self) -> Stop | None:
        return self.lease.stop_requested()

    def store(self, lines: Sequence[Line]) -> None:
        append(self.lease, lines)

    def save(self) -> None:
        publish(self.job, self.lease)

    def next_order(self, _inbox: Inbox) -> str | None:
        return None

    def restart(self) -> None:
        """There are no orders to repeat."""


def run_stage(job: Job, lease: Lease, stage: Stage) -> int:
    """Run one stage to its end; the exit code is 0, 3 (limits missed) or 4 (infeasible).

    Raises:
        StageCancelledError: the user asked to stop.
        StagePausedError: the user asked to go on later.
        StageFailedError: the engine refused the input, or broke.
        LeaseLostError: another worker has the job now.
    """
    return _run(job, stage, WholeStage(job, lease), [], job.folder / "tmp")


def run_parts(job: Job, stage: Stage, shift: Shift) -> int:
    """Do parts of a stage in one process, as many as others leave; the same exit codes and errors."""
    scratch = job.folder / f"tmp-{secrets.token_hex(4)}"
    try:
        return _run(job, stage, shift, ["--part", "-"], scratch)
    finally:
        shift.release()
        discard(scratch)


def _run(job: Job, stage: Stage, work: Work, options: list[str], scratch: Path) -> int:
    """Killed once, the engine starts again: what took the memory may be gone. Killed twice, the job needs too much."""
    try:
        return _run_once(job, stage, work, options, scratch)
    except EngineKilledError:
        text = f"The operating system stopped the engine; {stage.capitalize()} went on from what was finished."
        work.store([Line(stage=stage, kind="log", data={"level": "warning", "text": text})])
        work.restart()
        return _run_once(job, stage, work, options, scratch)


def _run_once(job: Job, stage: Stage, work: Work, options: list[str], scratch: Path) -> int:
    folder, inbox = job.folder, Inbox(stage)
    command = ["stage", stage, str(folder), *options, "--supervised"]
    with (folder / "engine.log").open("ab") as log:
        reach = sandbox.Reach.of_stage(folder, stage)
        process = sandbox.start_engine(command, folder, scratch, log, reach)
        try:
            code = _follow(process, work, inbox)
        finally:
            sandbox.kill(process)
    work.store(inbox.take_all())
    if code in (MET, MISSED, INFEASIBLE):
        return code
    raise _failure(job, stage, code, inbox.error)


def _follow(process: subprocess.Popen[bytes], work: Work, inbox: Inbox) -> int:
    """Store what the engine says, tell it what to do, keep the lease until the engine has ended."""
    output = _pipe(process.stdout)
    flush, beat = Every(FLUSH_S), Every(settings.LEASE_HEARTBEAT_S)
    ask, limit = Every(POLL_S), Every(settings.ENGINE_STAGE_HOURS * 3600)
    save = Every(PUBLISH_S)
    is_finishing = False
    while True:
        readable, _, _ = select.select([output], [], [], POLL_S)
        chunk = os.read(output, READ_BYTES) if readable else b""
        if readable and not chunk:
            return _exit_code(process, inbox.stage)
        inbox.feed(chunk)
        if order := work.next_order(inbox):
            _tell(process, order)
        if flush.is_due():
            work.store(inbox.take_all())
        if beat.is_due():
            work.beat()
        if save.is_due():
            work.save()
        if ask.is_due() and (wish := work.stop_requested()):
            is_finishing = _heed(wish, process, is_finishing=is_finishing)
        if limit.is_due():
            hours = settings.ENGINE_STAGE_HOURS
            raise StageFailedError(f"{inbox.stage.capitalize()} took more than {hours} hours.")


def _exit_code(process: subprocess.Popen[bytes], stage: Stage) -> int:
    """That of an engine whose output has ended.

    Raises:
        StageFailedError: when it lives on; its worker would wait for it, deaf to everything else.
    """
    try:
        return process.wait(ENDING_S)
    except subprocess.TimeoutExpired as error:
        text = (
            f"The engine fell silent at {stage.capitalize()} without an end, and was stopped. "
            "What was finished is kept; retry the job to go on from there."
        )
        raise StageFailedError(text) from error


def _heed(wish: Stop, process: subprocess.Popen[bytes], *, is_finishing: bool) -> bool:
    """Stop the engine, or tell it once to finish; whether it has been told."""
    if wish != Stop.FINISH:
        _ask_to_stop(process)
        raise StagePausedError if wish == Stop.PAUSE else StageCancelledError
    if not is_finishing:
        _tell(process, FINISH)
    return True


def _tell(process: subprocess.Popen[bytes], order: str) -> None:
    if process.stdin:
        # An engine that has just died reads nothing; its end is seen at the next turn.
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(f"{order}\n".encode())
            process.stdin.flush()


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
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
        return EngineKilledError(
            f"The operating system stopped the engine at {where}, most likely for lack of memory. "
            "Use a smaller model or data set, or a larger machine."
        )
    if NO_MORE_THREADS in (said := _tail(job)):
        return StageFailedError(
            f"Not enough memory for {where}: the engine could not start another thread. Use a smaller model "
            "or data set, or raise the limit (ENGINE_MEMORY_GIB). What was finished is kept."
        )
    reference = "".join(secrets.choice(REFERENCE_LETTERS) for _ in range(4))
    reference = f"{reference}-{job.attempt:02}"
    logger.error("%s: job %s, %s ended with %s\n%s", reference, job.id, stage, code, said)
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
