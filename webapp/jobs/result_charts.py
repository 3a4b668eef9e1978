"""Charts of the result page: per layer and per class. Numbers first, figure JSON second."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from compression.technique_names import titles_of
from webapp.jobs.figure_parts import Json, base_layout, row_values, vertical
from webapp.jobs.ticks import linear_ticks, two_digits

Row = Mapping[str, Any]

UNITS = {"ms": "ms", "params": "parameters"}
MICRO_BELOW_MS = 0.2
"""The layers of a network this fast are told in microseconds; in ms all would read as zero."""

KEPT = "tech-keep"

MOST_ROWS = 60
"""Layers with a row of their own, those that take most; of deeper networks the others are told in groups."""


def layers_data(layers: Sequence[Row], techniques: Mapping[str, Row], quantity: str) -> Json:
    """Before and after of one quantity (``ms`` or ``params``), layers in model order.

    ``techniques`` are the facts of each by name; of two stacked ones the last gives the colour.
    """
    shown = _grouped([row for row in layers if row.get(f"{quantity}_before")], quantity)
    names = [str(row.get("technique") or "keep") for row in shown]
    before = [float(row[f"{quantity}_before"]) for row in shown]
    after = [float(row.get(f"{quantity}_after") or 0.0) for row in shown]
    is_micro = quantity == "ms" and sum(before) < MICRO_BELOW_MS
    scale = 1e3 if is_micro else 1.0
    return {
        "unit": "µs" if is_micro else UNITS[quantity],
        "layers": [row["layer"] for row in shown],
        "before": [scale * value for value in before],
        "after": [scale * value for value in after],
        "techniques": names,
        "tokens": [techniques.get(n.split("+")[-1], {}).get("token", KEPT) for n in names],
    }


def _grouped(layers: Sequence[Row], quantity: str) -> list[Row]:
    """The same rows in order; neighbours beyond the ``MOST_ROWS`` largest become one row with their sums."""
    if len(layers) <= MOST_ROWS:
        return list(layers)
    largest = {id(row) for row in sorted(layers, key=_size(quantity))[-MOST_ROWS:]}
    groups: list[Row] = []
    for is_large, run in itertools.groupby(layers, key=lambda row: id(row) in largest):
        rows = list(run)
        groups += rows if is_large else [_together(rows, quantity)]
    return groups


def _size(quantity: str) -> Callable[[Row], float]:
    return lambda row: max(
        float(row[f"{quantity}_before"]), float(row.get(f"{quantity}_after") or 0.0)
    )


def _together(rows: Sequence[Row], quantity: str) -> Row:
    if len(rows) == 1:
        return rows[0]
    sums = {
        key: sum(float(row.get(key) or 0.0) for row in rows)
        for key in (f"{quantity}_before", f"{quantity}_after")
    }
    return {"layer": f"{len(rows)} layers from {rows[0]['layer']}", **sums}


def layers_figure(data: Json) -> Json:
    """Horizontal bars: grey before, the technique's colour after."""
    unit = data["unit"]
    show = _counted if unit == UNITS["params"] else two_digits
    total = sum(data["before"]) or 1.0
    texts = [
        [
            "Keep" if technique == "keep" else titles_of(technique),
            show(a),
            show(b),
            f"{100 * a / total:.0f} %",
        ]
        for technique, a, b in zip(
            data["techniques"], data["before"], data["after"], strict=True
        )
    ]
    hover = "<b>%{y}</b> %{customdata[0]}<br>%{customdata[1]} → %{customdata[2]} " + unit
    hover += "<br>%{customdata[3]} of the original<extra></extra>"
    bars = [
        _bar("before", "Original", data["layers"], data["before"], texts, hover, []),
        _bar(
            "after", "Compressed", data["layers"], data["after"], texts, hover, data["tokens"]
        ),
    ]
    name = "Parameters per layer" if unit == UNITS["params"] else "Time per layer"
    summary = (
        f"{name} before and after, in the order of the network, {len(data['layers'])} rows."
    )
    layout = base_layout(unit, "", summary)
    layout |= {"barmode": "group", "bargap": 0.3, "bargroupgap": 0.08}
    layout["yaxis"] |= {"autorange": "reversed", "showgrid": False, "type": "category"}
    layout["xaxis"] |= {"rangemode": "tozero", "nticks": 6}
    layout["annotations"] = row_values(
        [a if a == b else f"{a} → <b>{b}</b>" for _, a, b, _ in texts]
    )
    layout["margin"] = {"r": 24 + 7 * max((len(a + b) for _, a, b, _ in texts), default=0)}
    layout["height"] = max(180, 70 + 26 * len(data["layers"]))
    return {"data": bars, "layout": layout}


def classes_data(classes: Sequence[Row]) -> Json:
    """Change of accuracy by class in points with its 95 % interval, worst first.

    Each row has ``name``, ``before`` and ``after`` (shares), ``n`` and, where the evaluation paired
    the answers, ``low`` and ``high`` in points; without them the wider unpaired interval is used.
    """
    rows = sorted((_class_change(row) for row in classes), key=lambda row: row["change"])
    return {
        key: [row[key] for row in rows] for key in ("name", "change", "low", "high", "text")
    }


def classes_figure(data: Json) -> Json:
    """A dot with its interval for each class; filled only where the interval excludes zero."""
    change = data["change"]
    clear = [
        -1 if high < 0 else 1 if low > 0 else 0
        for low, high in zip(data["low"], data["high"], strict=True)
    ]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "Change, points",
        "x": change,
        "y": data["name"],
        "customdata": data["text"],
        "hovertemplate": "<b>%{y}</b><br>%{customdata}<extra></extra>",
        "error_x": {
            "type": "data",
            "array": [high - x for high, x in zip(data["high"], change, strict=True)],
            "arrayminus": [x - low for low, x in zip(data["low"], change, strict=True)],
        },
        "meta": {"role": "change", "clear": clear},
    }
    reach = 1.15 * max([*(abs(v) for v in (*data["low"], *data["high"])), 0.5])
    worst = f"; worst is {data['name'][0]} with {change[0]:+.1f} points" if change else ""
    layout = base_layout("points", "", f"Accuracy change by class{worst}.")
    ticks = linear_ticks(-reach, reach, 6)
    texts = [f"{tick:+g}".replace("-", "−") if tick else "0" for tick in ticks]
    layout["xaxis"] |= {"range": [-reach, reach], "tickvals": ticks, "ticktext": texts}
    layout["xaxis"] |= {"showgrid": True}
    layout["yaxis"] |= {"autorange": "reversed", "showgrid": False, "type": "category"}
    layout["shapes"] = [vertical(0.0)]
    changes = [f"{value:+.1f}".replace("-", "−") for value in change]
    layout["annotations"] = row_values(changes)
    layout["margin"] = {"r": 48}
    layout["height"] = max(180, 80 + 26 * len(change))
    return {"data": [trace], "layout": layout}


def _counted(value: float) -> str:
    return f"{value:,.0f}"


def _bar(
    role: str,
    name: str,
    layers: Sequence[str],
    values: Sequence[float],
    texts: Sequence[Sequence[str]],
    hover: str,
    tokens: Sequence[str],
) -> Json:
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "x": list(values),
        "y": list(layers),
        "customdata": [list(row) for row in texts],
        "hovertemplate": hover,
        "meta": {"role": role, "tokens": list(tokens)},
    }


def _class_change(row: Row) -> Json:
    before, after, n = float(row["before"]), float(row["after"]), max(1, int(row["n"]))
    change = 100.0 * (after - before)
    spread = 196.0 * ((before * (1 - before) + after * (1 - after)) / n) ** 0.5
    low, high = row.get("low"), row.get("high")
    return {
        "name": str(row["name"]),
        "change": change,
        "low": change - spread if low is None else float(low),
        "high": change + spread if high is None else float(high),
        "text": f"{100 * before:.1f} → {100 * after:.1f} %, n = {n:,}",
    }
