"""One picture a task: how much faster and how much smaller every row is, and what it loses."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "adadeep", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first
from matplotlib.ticker import LogLocator  # noqa: E402
from matplotlib.transforms import Bbox  # noqa: E402

from benchmarks.referee import complete  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

    from matplotlib.text import Annotation

SIDES = {
    "demand": ("AdaDeep", "#2f6fde", "o"),
    "by hand": ("AdaDeep, picked by hand", "#1a3f8a", "P"),
    "thorough": ("AdaDeep, more time", "#58a6c9", "o"),
    "selector": ("other selectors", "#6f4fb3", "s"),
    "ablation": ("one part left out", "#2a9d8f", "v"),
    "alone": ("one technique alone", "#8a8f98", "^"),
    "peer": ("other tools", "#d9822b", "D"),
}
MOST_POINTS = 1.0
"""Rows that lose more are drawn hollow."""

MARK_PIXELS = 4
OFFSETS = tuple(
    (side * right, up)
    for right, up, side in product((6, 16, 30), (0, 7, -7, 14, -14, 22, -22, 32, -32), (1, -1))
)
"""Where a name may stand, in points from its mark, the nearest first; to the left it ends there."""

NEAR_POINTS = 12
"""Names farther off get a line to their mark."""


def draw(title: str, rows: Sequence[dict[str, Any]], best: Collection[str], path: Path) -> None:
    """Writes the SVG; names stand at rows that no other beats."""
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    shown = [row for row in complete(rows) if row["group"] in SIDES]
    for group, (label, colour, marker) in SIDES.items():
        own = [row for row in shown if row["group"] == group]
        for hollow in (False, True):
            some = [row for row in own if _loses_more(row) == hollow]
            axes.scatter(
                [row["latency"] for row in some],
                [row["zip"] for row in some],
                s=34,
                marker=marker,
                facecolors="none" if hollow else colour,
                edgecolors=colour,
                label=label if own and not hollow else None,
            )
    _frame(axes, title)
    name(axes, [row for row in shown if row["name"] in best and not _loses_more(row)], shown)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _loses_more(row: dict[str, Any]) -> bool:
    return bool(row["drop_points"] > MOST_POINTS)


def name(
    axes: Any, named: Sequence[dict[str, Any]], rows: Sequence[dict[str, Any]]
) -> list[Bbox]:
    """Writes names where they cover neither marks nor each other, and says where they stand, in pixels."""
    axes.figure.draw_without_rendering()  # places in pixels hold from here on
    marks = axes.transData.transform([(row["latency"], row["zip"]) for row in rows])
    taken = [Bbox([mark - MARK_PIXELS, mark + MARK_PIXELS]) for mark in marks]
    taken.append(axes.get_legend().get_window_extent())
    boxes = []
    for row in sorted(named, key=lambda each: (-each["zip"], each["latency"])):
        place = (row["latency"], row["zip"])
        text = axes.annotate(
            row["name"].removeprefix("peer-"),
            place,
            OFFSETS[0],
            textcoords="offset points",
            fontsize=7,
            va="center",
        )
        offset = min(OFFSETS, key=lambda each: _covered(text, each, taken, axes.bbox))
        boxes.append(_moved(text, offset))
        taken.append(boxes[-1])
        if max(map(abs, offset)) > NEAR_POINTS:
            line = {"arrowstyle": "-", "color": "#8a8f98", "linewidth": 0.5}
            axes.annotate("", place, offset, textcoords="offset points", arrowprops=line)
    return boxes


def _covered(
    text: Annotation, offset: tuple[int, int], taken: Sequence[Bbox], frame: Bbox
) -> int:
    """How many things a name would cover there; to leave the frame is worse than any."""
    box = _moved(text, offset)
    outside = not (frame.containsx(box.x0) and frame.containsx(box.x1))
    outside |= not (frame.containsy(box.y0) and frame.containsy(box.y1))
    return sum(box.overlaps(each) for each in taken) + len(taken) * outside


def _moved(text: Annotation, offset: tuple[int, int]) -> Bbox:
    text.set(position=offset, ha="left" if offset[0] > 0 else "right")
    found: Bbox = text.get_window_extent()
    return found


def _frame(axes: Any, title: str) -> None:
    axes.set(xscale="log", yscale="log", title=title)
    axes.margins(0.12)
    axes.set_xlabel("times as fast as the original (measured)")
    axes.set_ylabel("times smaller, zipped")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_minor_locator(LogLocator(subs=(2, 3, 5)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.axvline(1, color="#c9ccd1", linewidth=0.8)
    axes.grid(visible=True, color="#eceef1", linewidth=0.6)
    axes.legend(title="hollow: more than one point lost", fontsize=8, title_fontsize=8)
