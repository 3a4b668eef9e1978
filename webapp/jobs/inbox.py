"""The engine's output on its way to the event log: JSON lines, thinned where only the last counts."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from selector.reporter import LONGEST_LINE
from webapp.jobs.events import Line

if TYPE_CHECKING:
    from compression.types import Stage

KINDS = frozenset({"progress", "metric", "candidate", "log", "done", "error"})

MOST_WAITING = 1000
"""Lines between two flushes: an engine gone wild must not fill the database."""


@dataclass(slots=True)
class Inbox:
    """Lines of the engine that wait to be stored, at most one of a kind where the last one counts.

    ``finished`` is the part that ended last.
    """

    stage: Stage
    waiting: list[Line] = field(default_factory=list)
    rest: bytes = b""
    error: str = ""
    done: dict[str, Any] = field(default_factory=dict)
    finished: str = ""

    def feed(self, chunk: bytes) -> None:
        """Take in output; what is no progress line is dropped."""
        *lines, self.rest = (self.rest + chunk).split(b"\n")
        if len(self.rest) > LONGEST_LINE:
            self.rest = b""
        for text in lines:
            line = parse(text, self.stage) if len(text) <= LONGEST_LINE else None
            if line:
                self._take(line)

    def _take(self, line: Line) -> None:
        if line.kind == "error":
            self.error = str(line.data.get("message", ""))
        if line.kind == "done":
            self.done, self.finished = line.data, line.part
        if line.kind in ("progress", "metric"):
            # A newer value replaces an older one that nobody has seen.
            self.waiting = [
                w for w in self.waiting if (w.kind, w.part) != (line.kind, line.part)
            ]
        if len(self.waiting) < MOST_WAITING:
            self.waiting.append(line)

    def take_all(self) -> list[Line]:
        """What waits, oldest first; it waits no longer."""
        lines, self.waiting = self.waiting, []
        return lines


def parse(text: bytes, stage: Stage) -> Line | None:
    """One line of the engine, or ``None`` when it is none."""
    try:
        # Databases hold neither the character NUL nor numbers that are none.
        value = json.loads(text.replace(b"\\u0000", b"\\ufffd"), parse_constant=lambda _: None)
    except ValueError:
        return None
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        return None
    data = value.get("data")
    return Line(
        stage=stage,
        kind=value["kind"],
        part=str(value.get("part") or "")[:16],
        data=data if isinstance(data, dict) else {},
        done=_number(value.get("done")),
        total=_number(value.get("total")),
        eta_s=_number(value.get("eta_s")),
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
