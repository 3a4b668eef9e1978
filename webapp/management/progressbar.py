"""The engine's progress in a terminal: one line that moves; a line a stage where it cannot move."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from django.core.management.base import OutputWrapper

WIDTH = 30
CLEAR = "\r\x1b[K"


class ProgressBar:
    """Fed with the engine's JSON lines; ``error`` is what the engine said before it gave up."""

    def __init__(self, stream: OutputWrapper) -> None:
        self.stream = stream
        self.error = ""

    def take(self, text: bytes) -> None:
        """Show a line; what is no progress line is let by."""
        try:
            line = json.loads(text)
        except ValueError:
            return
        if not isinstance(line, dict):
            return
        if line.get("kind") == "error":
            self.error = str(line["data"]["message"])
        elif line.get("kind") == "progress" and self.stream.isatty():
            self._write(CLEAR + bar(line), "")
        elif line.get("kind") == "done":
            self.close()
            self._write(f"{line['stage']:9}{line['data']['seconds']:8.1f} s", "\n")

    def close(self) -> None:
        """Wipe the line that moves."""
        if self.stream.isatty():
            self._write(CLEAR, "")

    def _write(self, text: str, ending: str) -> None:
        # Progress is no error: without Django's red.
        self.stream.write(text, style_func=str, ending=ending)
        self.stream.flush()


def bar(line: dict[str, Any]) -> str:
    """``PROBE    [##########          ]  33%   12 s left``."""
    share = line["done"] / line["total"] if line.get("total") else 0.0
    filled = "#" * round(WIDTH * share)
    left = f"{line['eta_s']:6.0f} s left" if line.get("eta_s") else ""
    return f"{line['stage']:9}[{filled:{WIDTH}}] {share:4.0%} {left}"
