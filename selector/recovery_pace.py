"""How long recoveries still take: what each trains, and what is thought out and built before it."""

from __future__ import annotations

import time
from statistics import fmean, median
from typing import NamedTuple

_RECENT = 5
"""Stretches between notes whose pace counts: a recovery that is taken up again notes what it has done before at once."""


class _Stretch(NamedTuple):
    """So many steps, and the seconds that passed with them."""

    steps: int
    seconds: float


class RecoveryPace:
    """Hears of training steps, and tells the seconds that are left. Counted from when it is made."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._attempt, self._step = -1, 0
        self._trained: list[_Stretch] = []
        self._begun: list[_Stretch] = []
        """Of each attempt: its first steps, with what came before them."""

    def note(self, attempt: int, step: int) -> None:
        """So many steps of an attempt are done, the attempts counted from 0."""
        now = time.monotonic()
        if attempt == self._attempt:
            self._trained.append(_Stretch(step - self._step, now - self._last))
        else:
            self._begun.append(_Stretch(step, now - self._last))
        self._last, self._attempt, self._step = now, attempt, step

    def left_s(self, total: int, attempts: float) -> float | None:
        """Seconds until so many attempts of ``total`` steps each are done; ``None`` until a pace is known."""
        recent = [each.seconds / each.steps for each in self._trained if each.steps][-_RECENT:]
        if not recent:
            return None
        pace_s = median(recent)
        before_s = fmean(
            max(0.0, first.seconds - pace_s * first.steps) for first in self._begun
        )
        steps = attempts * total - (self._attempt * total + self._step)
        untold_s = time.monotonic() - self._last
        return max(0.0, pace_s * steps + before_s * (attempts - len(self._begun)) - untold_s)
