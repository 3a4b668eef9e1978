"""Progress as JSON lines, and the reasons to stop early: cancelled, told to finish, or out of time."""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

from compression.types import Stage
from selector.jobfolder import Part

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


FINISH = "finish"
"""Said on standard input: end soon, with the best so far, as when time is up."""

MOST_CHARACTERS = 4000
"""Of a sentence: it may quote names of the user's file."""

LONGEST_LINE = 64 * 1024
"""Whoever reads the lines drops longer ones."""

_WHY_EARLY = {"time": "Time is up", "request": "Finished early, as asked"}


_TELLING = 0.05
"""Of a stage, from which share on its pace since its start tells how long it takes."""


class CancelledError(Exception):
    """The job was asked to stop; what is on disk stays."""


@dataclass(slots=True)
class Reporter:
    """Writes one JSON object a line; ``cancelled`` turns true when the supervisor goes away."""

    stream: TextIO = field(default_factory=lambda: sys.stdout)
    deadline: float | None = None
    stage: Stage = Stage.INSPECT
    part: Part = field(default_factory=Part)
    _started: float = field(default_factory=time.monotonic)
    _stage_started: float = field(default_factory=time.monotonic)
    _cancelled: threading.Event = field(default_factory=threading.Event)
    _told: queue.SimpleQueue[str] = field(default_factory=queue.SimpleQueue)
    _finish: threading.Event = field(default_factory=threading.Event)
    _stopped_by: str | None = None
    _first: tuple[float, float] | None = None
    """How much was done when the stage first said so, and when that was."""
    _last: tuple[float, float] | None = None
    """The same of the last time that it was more than before."""

    def begin(self, stage: Stage, part: Part) -> None:
        """Say that the following lines belong to that stage."""
        self.stage, self.part = stage, part
        self._stage_started = time.monotonic()
        self._first = self._last = None
        self.progress(0, 1)

    def progress(
        self, done: int, total: int, *, left_s: float | None = None, **data: object
    ) -> None:
        """How far the stage is; raises ``CancelledError`` when asked to stop.

        ``left_s`` is what it still takes, from a stage that knows better than by its pace so far.
        """
        eta = self._seconds_left(done, total) if left_s is None else left_s
        self._write("progress", done=done, total=total, eta_s=eta and round(eta, 1), data=data)
        self.check()

    def _seconds_left(self, done: int, total: int) -> float | None:
        """At the pace since the stage first told how far it is: what it prepared before is not done again.

        ``None`` while too little is done to tell a pace from what was prepared.
        """
        if not done:
            return None
        now = time.monotonic()
        self._first = self._first or (done, now)
        if self._last is None or done != self._last[0]:
            self._last = (done, now)
        done_then, then = self._first
        if done <= done_then:
            if done < _TELLING * total:
                return None
            done_then, then = 0, self._stage_started
        pace_s = (self._last[1] - then) / (done - done_then)
        # What goes on now is not done yet, however long it takes.
        return max(0.0, pace_s * (total - done) - min(pace_s, now - self._last[1]))

    def metric(self, **data: object) -> None:
        """A point of a curve (reward, accuracy, ...)."""
        self._write("metric", data=data)

    def candidate(self, *, config: Sequence[int], **data: object) -> None:
        """A candidate that was built; one of more decisions than a line holds goes without its ``config``."""
        line = self._line("candidate", data={"config": config, **data})
        self._say(line if len(line) <= LONGEST_LINE else self._line("candidate", data=data))

    def log(self, text: str, level: str = "info") -> None:
        """A sentence for the log."""
        self._write("log", data={"text": _short(text), "level": level})

    def done(self, seconds: float | None = None) -> float:
        """The stage or part is finished; returns its seconds, since ``begin`` unless told."""
        took = round(time.monotonic() - self._stage_started, 3) if seconds is None else seconds
        self._write("done", done=1, total=1, data={"seconds": took})
        return took

    def error(self, message: str, code: str) -> None:
        """The one line that explains a failure to the user."""
        self._write("error", data={"message": _short(message), "code": code})

    def check(self) -> None:
        """Raise ``CancelledError`` when the job was asked to stop."""
        if self._cancelled.is_set():
            raise CancelledError

    def cancelled(self) -> bool:
        """Whether the job was asked to stop."""
        return self._cancelled.is_set()

    def finish(self) -> None:
        """Ask to end soon with the best so far."""
        self._finish.set()

    def ends_early(self) -> bool:
        """Whether to take the best so far: somebody asked to finish, or the time limit has passed.

        Remembered, so that the report can say so.
        """
        if self._stopped_by is None:
            late = self.deadline is not None and time.monotonic() > self.deadline
            self._stopped_by = "request" if self._finish.is_set() else "time" if late else None
        return self._stopped_by is not None

    @contextmanager
    def without_limit(self) -> Iterator[None]:
        """Let the time limit stand still, and end nothing, also if it has passed.

        For work without which the rest would be worth nothing, nor it without the rest.
        """
        limit, began = self.deadline, time.monotonic()
        self.deadline = None
        if self._stopped_by == "time":
            self._stopped_by = None
        try:
            yield
        finally:
            if limit is not None:
                self.deadline = limit + time.monotonic() - began

    @property
    def stopped_by(self) -> str | None:
        """What cut any work short: ``time``, ``request``, or nothing."""
        return self._stopped_by

    def log_early(self, what_is_left: str) -> None:
        """Say why work ends early, and what is left undone."""
        self.log(f"{_WHY_EARLY[self._stopped_by or 'time']}: {what_is_left}", "warning")

    def watch(self, stdin: TextIO) -> None:
        """Heed what is said there; stop when it closes, so that an orphan never writes beside its successor."""

        def wait() -> None:
            while line := stdin.readline():
                if line.strip() == FINISH:
                    self.finish()
                else:
                    self._told.put(line.strip())
            self._cancelled.set()
            self._told.put("")

        threading.Thread(target=wait, name="supervision", daemon=True).start()

    def told(self) -> Iterator[str]:
        """What the supervisor says, a line at a time; raises ``CancelledError`` when it goes away."""
        while True:
            line = self._told.get()
            self.check()
            yield line

    def _write(self, kind: str, **values: Any) -> None:
        self._say(self._line(kind, **values))

    def _line(self, kind: str, **values: Any) -> str:
        line = {
            "v": 1,
            "t": round(time.monotonic() - self._started, 3),
            "stage": self.stage.value,
            "part": str(self.part),
            "kind": kind,
            **values,
        }
        return json.dumps(line)

    def _say(self, line: str) -> None:
        self.stream.write(f"{line}\n")
        self.stream.flush()


def _short(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 1]}…"
