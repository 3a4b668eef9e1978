"""Numbers as a reader should see them: predictions short, measurements exact enough, true minus."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def digits(value: float, count: int) -> str:
    """``value`` with that many significant digits and no exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    places = max(0, count - 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, count - 1 - math.floor(math.log10(abs(value))))
    return f"{rounded:,.{places}f}".replace("-", "−")


def predicted(value: float, unit: str) -> str:
    """Two significant digits: more would only look precise."""
    return "<0.01 " + unit if 0 <= value < 0.005 else f"{digits(value, 2)} {unit}"


def measured(value: float, unit: str) -> str:
    """Three significant digits."""
    return f"{digits(value, 3)} {unit}"


def count(value: float) -> str:
    """A number of things with an SI prefix, three digits."""
    size, prefix = next((p for p in _PREFIXES if abs(value) >= p[0]), _PREFIXES[-1])
    return f"{digits(value / size, 3)} {prefix}".rstrip() if prefix else f"{value:,.0f}"


def size(value: float) -> str:
    """Bytes in kB or MB (powers of ten)."""
    if value < 1e6:
        return f"{digits(value / 1e3, 3)} kB"
    return f"{digits(value / 1e6, 3)} MB"


def percent(share: float) -> str:
    """A share of 1 with two decimals: a test split of 10,000 resolves them."""
    return f"{100 * share:.2f} %"


def points(change: float) -> str:
    """A signed change in percentage points."""
    text = f"{change:+.2f}"
    return f"{'0.00' if float(text) == 0 else text.replace('-', '−')} points"


def interval(low: float, high: float) -> str:
    """Two signed changes in percentage points."""
    return f"{points(low).removesuffix(' points')} to {points(high)}"


def chance_words(probability: float | None) -> str:
    """What the paired test says of a change; nothing where there was none."""
    if probability is None:
        return ""
    if probability < 0.001:
        return "by chance in under 0.1 % of cases (exact McNemar test)"
    return f"by chance in {digits(100 * probability, 2)} % of cases (exact McNemar test)"


def accuracy_words(result: Mapping[str, Any]) -> str:
    """What the ``accuracy`` of a report's side is: of the labels, or agreement, and on what."""
    words: str = result.get("accuracy_words") or result["accuracy_kind"].replace("_", " ")
    return words.replace("agreement", "agreement with the original", 1)


def ratio(value: float, gain: str, loss: str) -> str:
    """``8.4× faster`` or, below 1, ``1.2× slower``; small changes in per cent."""
    if abs(value - 1) < 0.01:
        return "unchanged"
    factor, word = (value, gain) if value > 1 else (1 / max(value, 1e-9), loss)
    if factor < 1.1:
        return f"{100 * abs(1 - 1 / value):.0f} % {word}"
    return f"{digits(factor, 2 if factor < 10 else 3)}× {word}"


def unsure_limits(report: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The limits of a report that an estimate meets whose band ends beyond them."""
    limits = report.get("limits", [])
    return [limit for limit in limits if limit["met"] and not limit.get("sure", True)]
