"""The charts of the printable report, as SVG text that needs no script and no network."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]

_WIDTH = 640
_LABEL = 150
_VALUE = 110
_PLOT = _WIDTH - _LABEL - _VALUE


def ratio_bars(rows: Sequence[tuple[str, float, str, bool]]) -> str:
    """One bar a row, as long as what is left of the original.

    Args:
        rows: title, share of the original (1 is unchanged), text beside the bar, and whether the
            figure was measured; predicted ones are drawn hatched.
    """
    largest = max([1.0, *(share for _, share, _, _ in rows)])
    parts = []
    for i, (title, share, text, is_measured) in enumerate(rows):
        y = 26 * i
        length = max(1.5, _PLOT * share / largest)
        fill = "var(--bar)" if is_measured else "url(#predicted)"
        parts.append(
            _text(_LABEL - 8, y + 15, title, anchor="end")
            + f'<rect x="{_LABEL}" y="{y + 4}" width="{_PLOT / largest:.1f}" height="15" class="track"/>'
            + f'<rect x="{_LABEL}" y="{y + 4}" width="{length:.1f}" height="15" fill="{fill}" class="bar"/>'
            + _text(_LABEL + _PLOT + 8, y + 15, text, css="strong")
        )
    return _svg("".join(parts), 26 * len(rows) + 4, "What is left of the original")


def layer_bars(layers: Sequence[Row]) -> str:
    """Time per layer before (grey) and after (accent), in the order of the model."""
    rows = [row for row in layers if row.get("ms_before")]
    largest = max([1e-12, *(max(row["ms_before"], row.get("ms_after") or 0.0) for row in rows)])
    parts = []
    for i, row in enumerate(rows):
        y, before, after = 24 * i, float(row["ms_before"]), float(row.get("ms_after") or 0.0)
        parts.append(
            _text(_LABEL - 8, y + 14, str(row["layer"]), anchor="end", css="mono")
            + _bar(y + 3, _PLOT * before / largest, "track-strong", 7)
            + _bar(y + 11, _PLOT * after / largest, "bar", 7)
            + _text(_LABEL + _PLOT + 8, y + 14, f"{before:.2g} → {after:.2g} ms")
        )
    return _svg("".join(parts), 24 * len(rows) + 4, "Time per layer before and after")


def class_changes(classes: Sequence[Row]) -> str:
    """Change of accuracy by class with its 95 % interval, worst first; filled beyond chance."""
    rows = sorted(classes, key=lambda row: row["after"] - row["before"])
    reach = max([0.5, *(abs(end) for row in rows for end in (row["low"], row["high"]))])
    height = 22 * len(rows) + 20
    middle, unit = _LABEL + _PLOT / 2, _PLOT / 2 / reach
    parts = [f'<line x1="{middle}" y1="0" x2="{middle}" y2="{height - 16}" class="axis"/>']
    for i, row in enumerate(rows):
        y, change = 22 * i + 11, 100 * (row["after"] - row["before"])
        clear = row["low"] > 0 or row["high"] < 0
        parts.append(
            _text(_LABEL - 8, y + 4, str(row["name"]), anchor="end")
            + f'<line x1="{middle + unit * row["low"]:.1f}" y1="{y}" '
            f'x2="{middle + unit * row["high"]:.1f}" y2="{y}" class="range"/>'
            + f'<circle cx="{middle + unit * change:.1f}" cy="{y}" r="4" '
            f'class="{"dot" if clear else "dot open"}"/>'
            + _text(_LABEL + _PLOT + 8, y + 4, f"{change:+.1f}".replace("-", "−"))
        )
    parts += [
        _text(_LABEL, height - 2, f"−{reach:.1f}", css="tick"),
        _text(middle, height - 2, "0 points", anchor="middle", css="tick"),
        _text(_LABEL + _PLOT, height - 2, f"+{reach:.1f}", anchor="end", css="tick"),
    ]
    return _svg("".join(parts), height, "Change of accuracy by class, in percentage points")


def _bar(y: float, length: float, css: str, height: int) -> str:
    return f'<rect x="{_LABEL}" y="{y}" width="{max(1.0, length):.1f}" height="{height}" class="{css}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", css: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'
    )


def _svg(content: str, height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">'
        '<defs><pattern id="predicted" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" class="hatch-ground"/>'
        '<rect width="3" height="6" class="hatch-line"/></pattern></defs>'
        f"{content}</svg>"
    )
