"""How long recoveries still take: what each trains, and what is thought out and built before it."""

from __future__ import annotations

import time


class RecoveryPace:
    """Hears of training steps, and tells the seconds that are left. Counted from when it is made."""

    def __init__(self) -> None:
        self._last = time.monotonic()
        self._attempt = -1
        self._step = 0
        self._trained_s, self._trained_steps = 0.0, 0
        self._before_s = 0.0

    def note(self, attempt: int, step: int) -> None:
        """So many steps of an attempt are done, the attempts counted from 0."""
        now = time.monotonic()
        if attempt == self._attempt:
            self._trained_s += now - self._last
            self._trained_steps += step - self._step
        else:
            self._before_s += now - self._last
        self._last, self._attempt, self._step = now, attempt, step

    def left_s(self, total: int, attempts: float) -> float | None:
        """Seconds until so many attempts of ``total`` steps each are done; ``None`` until a pace is known."""
        if not self._trained_steps:
            return None
        pace_s = self._trained_s / self._trained_steps
        begun = self._attempt + 1
        steps = attempts * total - (self._attempt * total + self._step)
        untold_s = time.monotonic() - self._last
        return max(0.0, pace_s * steps + self._before_s / begun * (attempts - begun) - untold_s)
