"""What one change to one layer does to the answers: the chart that fills up while PROBE works."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.recipe_rows import level_text
from selector.tables import WIDTH_STEPS, Treatment
from webapp.jobs.figure_parts import base_layout
from webapp.jobs.ticks import log_range

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from selector.tables import StudyTables
    from webapp.jobs.figure_parts import Json

    Row = Mapping[str, Any]

LEAST_KL = 1e-4
"""Below, a change moves no answer; on the chart all such stand at the left end."""

X_TITLE = "Answers moved, nats of KL (log) · lower is better"


def probe_rows(tables: StudyTables) -> list[Json]:
    """What PROBE found, by layer: technique, level and KL to the original in nats."""
    rows = [
        _row(layer, treatments[-1].technique, level_text(treatments), kl[i, j])
        for choices, mask, kl in (
            (tables.structures, tables.mask_structure, tables.kl_structure),
            (tables.thinnings, tables.mask_thinning, tables.kl_thinning),
        )
        for i, layer in enumerate(tables.layers)
        for j, treatments in enumerate(choices[i])
        if j and mask[i, j]
    ]
    for group, leader in enumerate(tables.leader_row.tolist()):
        steps = np.flatnonzero(tables.mask_width[group])[1:] if leader >= 0 else ()
        for step in steps:
            narrowed = Treatment("filter_pruning", {"pruning_ratio": WIDTH_STEPS[step]})
            kl_width = tables.kl_width[group, step]
            level = level_text((narrowed,))
            rows.append(_row(tables.layers[leader], narrowed.technique, level, kl_width))
    return rows


def probe_events(events: Iterable[Row]) -> list[Json]:
    """The same from the metric events of PROBE, while it is at work."""
    found = [e["data"] for e in events if e["kind"] == "metric" and e["stage"] == "PROBE"]
    return [
        _row(data["layer"], data["technique"], _level(data), data["kl"])
        for data in found
        if {"layer", "technique", "kl"} <= data.keys()
    ]


def _level(data: Row) -> str:
    """As the event says it; earlier studies noted one technique with its params alone."""
    alone = (Treatment(data["technique"], data.get("params") or {}),)
    return str(data.get("level", level_text(alone)))


def sensitivity_data(rows: Sequence[Row], layers: Sequence[str], looks: Row) -> Json:
    """One series a technique, over the layers in model order; ``looks`` are title, letter, token."""
    places = {layer: place for place, layer in enumerate(layers)}
    shown = sorted(
        (row for row in rows if row["layer"] in places),
        key=lambda row: places[row["layer"]],
    )
    used = {row["layer"] for row in shown}
    names = [name for name in looks if any(row["technique"] == name for row in shown)]
    values = [max(LEAST_KL, row["kl"]) for row in shown]
    return {
        "layers": [layer for layer in layers if layer in used],
        "range": list(log_range([LEAST_KL, *values])),
        "count": len(shown),
        "series": [
            {**looks[name], "rows": [row for row in shown if row["technique"] == name]}
            for name in names
        ],
    }


def sensitivity_figure(data: Json) -> Json:
    """Lettered marks in the techniques' colours, a line for each layer."""
    layers = data["layers"]
    summary = (
        f"How far {data['count']} single changes to {len(layers)} layers move the answers."
    )
    layout = base_layout(X_TITLE, "", summary)
    ticks = [10.0**power for power in range(-4, 1 + math.floor(data["range"][1]))]
    layout["xaxis"] |= {"type": "log", "range": data["range"], "tickvals": ticks}
    layout["xaxis"] |= {"ticktext": ["≤0.0001", *(f"{tick:g}" for tick in ticks[1:])]}
    layout["xaxis"] |= {"tickangle": 0}
    layout["yaxis"] |= {"type": "category", "categoryorder": "array", "categoryarray": layers}
    layout["yaxis"] |= {"autorange": "reversed"}
    layout["height"] = max(180, 80 + 26 * len(layers))
    return {"data": [_series(series) for series in data["series"]], "layout": layout}


def _series(series: Json) -> Json:
    rows = series["rows"]
    hover = (
        "<b>%{y}</b> %{fullData.name} %{customdata[0]}<br>%{customdata[1]} nats<extra></extra>"
    )
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": series["title"],
        "x": [max(LEAST_KL, row["kl"]) for row in rows],
        "y": [row["layer"] for row in rows],
        "text": [series["letter"]] * len(rows),
        "customdata": [[row["level"], f"{row['kl']:.4f}"] for row in rows],
        "hovertemplate": hover,
        "meta": {"role": "probe", "token": series["token"]},
    }


def _row(layer: str, technique: str, level: str, kl: float) -> Json:
    return {"layer": layer, "technique": technique, "level": level, "kl": float(kl)}
