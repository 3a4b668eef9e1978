"""One picture a task: how much faster and how much smaller every row is, and what it loses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams.update({"svg.hashsalt": "adadeep", "svg.fonttype": "none", "font.size": 9})

from matplotlib import pyplot as plt  # noqa: E402  # the backend is chosen first

from benchmarks.referee import complete  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from pathlib import Path

SIDES = {
    "demand": ("AdaDeep", "#2f6fde", "o"),
    "selector": ("other selectors", "#6f4fb3", "s"),
    "alone": ("one technique alone", "#8a8f98", "^"),
    "peer": ("other tools", "#d9822b", "D"),
}
MOST_POINTS = 1.0
"""Rows that lose more are drawn hollow."""


def draw(title: str, rows: Sequence[dict[str, Any]], best: Collection[str], path: Path) -> None:
    """Writes the SVG; names stand at rows that no other beats."""
    figure, axes = plt.subplots(figsize=(7.2, 4.6), layout="constrained")
    for group, (label, colour, marker) in SIDES.items():
        own = [row for row in complete(rows) if row["group"] == group]
        for hollow in (False, True):
            shown = [row for row in own if (row["drop_points"] > MOST_POINTS) == hollow]
            axes.scatter(
                [row["latency"] for row in shown],
                [row["zip"] for row in shown],
                s=34,
                marker=marker,
                facecolors="none" if hollow else colour,
                edgecolors=colour,
                label=None if hollow else label,
            )
    for row in complete(rows):
        if row["name"] in best and row["drop_points"] <= MOST_POINTS:
            place = (row["latency"], row["zip"])
            axes.annotate(
                row["name"].removeprefix("peer-"),
                place,
                (5, 3),
                textcoords="offset points",
                fontsize=7,
            )
    _frame(axes, title)
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _frame(axes: Any, title: str) -> None:
    axes.set(xscale="log", yscale="log", title=title)
    axes.margins(0.12)
    axes.set_xlabel("times as fast as the original (measured)")
    axes.set_ylabel("times smaller, zipped")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter("{x:g}")
    axes.axvline(1, color="#c9ccd1", linewidth=0.8)
    axes.grid(visible=True, color="#eceef1", linewidth=0.6)
    axes.legend(title="hollow: more than one point lost", fontsize=8, title_fontsize=8)
