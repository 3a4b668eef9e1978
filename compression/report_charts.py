"""The charts of the printable report, as SVG text that needs no script and no network."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from compression.report_numbers import digits

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Columns:
    """Widths of the labels, the plot and the values; drawn at about the size of the page's text."""

    label: int
    plot: int
    value: int

    @property
    def width(self) -> int:
        return self.label + self.plot + self.value

    @property
    def after_plot(self) -> int:
        return self.label + self.plot + 8


_WIDE = _Columns(label=150, plot=620, value=110)
_HALF = _Columns(label=110, plot=190, value=130)
_LABEL_CHARACTERS = 15


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
        css = "bar" if is_measured else "hatched"
        parts += [
            _label(_WIDE, y + 16, title),
            _bar(_WIDE, y + 4, _WIDE.plot / largest, "track", 15),
            _bar(_WIDE, y + 4, _WIDE.plot * share / largest, css, 15),
            _text(_WIDE.after_plot, y + 16, text, css="strong"),
        ]
    return _svg(_WIDE, parts, 26 * len(rows) + 4, "What is left of the original")


def layer_bars(layers: Sequence[Row]) -> str:
    """Time per layer before (grey) and after (accent), in the order of the model."""
    rows = [row for row in layers if row.get("ms_before")]
    largest = max([1e-12, *(max(row["ms_before"], row.get("ms_after") or 0.0) for row in rows)])
    parts = []
    for i, row in enumerate(rows):
        y, before, after = 24 * i, float(row["ms_before"]), float(row.get("ms_after") or 0.0)
        parts += [
            _label(_HALF, y + 15, str(row["layer"]), css="mono"),
            _bar(_HALF, y + 3, _HALF.plot * before / largest, "track-strong", 7),
            _bar(_HALF, y + 11, _HALF.plot * after / largest, "bar", 7),
            _text(_HALF.after_plot, y + 15, f"{digits(before, 2)} → {digits(after, 2)} ms"),
        ]
    return _svg(_HALF, parts, 24 * len(rows) + 4, "Time per layer before and after")


def class_changes(classes: Sequence[Row]) -> str:
    """Change of accuracy by class with its 95 % interval, worst first; filled beyond chance."""
    rows = sorted(classes, key=lambda row: row["after"] - row["before"])
    reach = max([0.5, *(abs(end) for row in rows for end in (row["low"], row["high"]))])
    height = 22 * len(rows) + 22
    middle, unit = _HALF.label + _HALF.plot / 2, _HALF.plot / 2 / reach
    parts = [_line(middle, 0, middle, height - 18, "axis")]
    for i, row in enumerate(rows):
        y, change = 22 * i + 11, 100 * (row["after"] - row["before"])
        css = "dot" if row["low"] > 0 or row["high"] < 0 else "dot open"
        parts += [
            _label(_HALF, y + 4, str(row["name"])),
            _line(middle + unit * row["low"], y, middle + unit * row["high"], y, "range"),
            f'<circle cx="{middle + unit * change:.1f}" cy="{y}" r="4" class="{css}"/>',
            _text(_HALF.after_plot, y + 4, _signed(change)),
        ]
    parts += [
        _text(_HALF.label, height - 3, _signed(-reach), css="tick"),
        _text(middle, height - 3, "0 points", anchor="middle", css="tick"),
        _text(_HALF.label + _HALF.plot, height - 3, _signed(reach), anchor="end", css="tick"),
    ]
    return _svg(_HALF, parts, height, "Change of accuracy by class, in percentage points")


def _signed(value: float) -> str:
    return "0.0" if abs(value) < 0.05 else f"{value:+.1f}".replace("-", "−")


def _label(columns: _Columns, y: float, text: str, css: str = "") -> str:
    """Right-aligned before the plot; long names keep their end, which tells layers apart."""
    short = text if len(text) <= _LABEL_CHARACTERS else f"…{text[1 - _LABEL_CHARACTERS :]}"
    return _text(columns.label - 8, y, short, anchor="end", css=css)


def _bar(columns: _Columns, y: float, length: float, css: str, height: int) -> str:
    return (
        f'<rect x="{columns.label}" y="{y}" width="{max(1.0, length):.1f}" height="{height}" '
        f'class="{css}"/>'
    )


def _line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{css}"/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", css: str = "") -> str:
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" class="{css}">{escape(text)}</text>'
    )


def _svg(columns: _Columns, parts: Sequence[str], height: float, title: str) -> str:
    return (
        f'<svg viewBox="0 0 {columns.width} {height}" role="img" aria-label="{escape(title)}">'
        '<defs><pattern id="predicted" width="6" height="6" patternUnits="userSpaceOnUse" '
        'patternTransform="rotate(45)"><rect width="6" height="6" class="hatch-ground"/>'
        '<rect width="3" height="6" class="hatch-line"/></pattern></defs>'
        f"{''.join(parts)}</svg>"
    )
