"""Charts: numbers first (``<x>_data``), figure JSON in Plotly's schema second (``<x>_figure``).

Figures carry roles (``trace["meta"]["role"]``), never colours: the browser paints roles with the
design tokens, in light and dark. ``layout["meta"]["summary"]`` is the sentence for screen readers.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from webapp.jobs.curves import (
    quality_of,
    recovery_data,
    recovery_figure,
    reward_data,
    reward_figure,
)
from webapp.jobs.figure_parts import Json, base_layout, horizontal, note, vertical, zone
from webapp.jobs.ticks import log_range, log_ticks, two_digits

Row = Mapping[str, Any]

AXES = {
    "latency": (
        "latency_ms",
        1.0,
        "ms",
        "Latency, ms (log) · lower is better",
        "max_latency_ms",
    ),
    "energy": ("energy_mj", 1.0, "mJ", "Energy, mJ (log) · lower is better", "max_energy_mj"),
    "size": ("size_bytes", 1e-6, "MB", "Size, MB (log) · lower is better", "max_size_bytes"),
}
LIMIT_FIELDS = {
    "max_accuracy_drop": "drop_points",
    "max_latency_ms": "latency_ms",
    "max_energy_mj": "energy_mj",
    "max_size_bytes": "size_bytes",
}
HOVER = "<b>%{customdata[0]}</b>%{customdata[1]}<br>%{customdata[2]}<extra></extra>"


def tradeoff_data(candidates: Sequence[Row], baseline: Row, budgets: Row | None = None) -> Json:
    """Accuracy in percent against each cost, in the order of the candidates."""
    budgets = budgets or {}
    original = 100.0 * baseline["accuracy"]
    drops = [float(c["drop_points"]) for c in candidates]
    return {
        "ids": [c["id"] for c in candidates],
        "quality": quality_of(baseline),
        "accuracy": [original - drop for drop in drops],
        "original": original,
        "floor": original - _shown_drop(drops, budgets.get("max_accuracy_drop")),
        "inside": [_keeps(c, budgets) for c in candidates],
        "texts": [_hover_text(c, original) for c in candidates],
        "axes": {name: _axis_data(name, candidates, baseline) for name in AXES},
        "fronts": {name: _front(candidates, spec[0], budgets) for name, spec in AXES.items()},
        "limits": _limits(budgets),
    }


def tradeoff_figure(data: Json, axis: str = "latency") -> Json:
    """The trade-off: candidates, those outside limits, the best trade-offs, the original."""
    points, quality = data["axes"][axis], data["quality"]
    inside = [i for i, keeps in enumerate(data["inside"]) if keeps]
    outside = [i for i, keeps in enumerate(data["inside"]) if not keeps]
    traces = [
        _points("outside", "Outside limits", data, axis, outside),
        _points("candidate", "Candidate", data, axis, inside),
        _points("front", "Best trade-offs", data, axis, data["fronts"][axis])
        | {"mode": "lines+markers"},
        _original(data, axis),
    ]
    summary = (
        f"{quality} against {axis} of {len(data['ids'])} candidates, {len(inside)} of them within "
        f"your limits. The original has {data['original']:.1f} % {quality.lower()}."
    )
    layout = base_layout(points["title"], f"{quality}, %", summary)
    layout["xaxis"] |= {
        "type": "log",
        "range": points["range"],
        "tickvals": points["tickvals"],
        "ticktext": points["ticktext"],
    }
    layout["yaxis"] |= {
        "range": [data["floor"], data["original"] + _headroom(data)],
        "tickformat": ".1f",
    }
    layout["meta"] |= {
        key: data[key] for key in ("ids", "quality", "accuracy", "texts", "axes", "original")
    }
    layout["shapes"], layout["annotations"] = _limit_marks(data, axis)
    return {"data": traces, "layout": layout}


def job_figures(
    events: Sequence[Row], *, baseline: Row | None = None, budgets: Row | None = None
) -> dict[str, Json | None]:
    """The charts of the job page from its events; ``None`` where there is nothing to show yet."""
    baseline = baseline or {}
    latest = {e["data"]["id"]: e["data"] for e in events if e["kind"] == "candidate"}
    candidates = [
        row for row in latest.values() if all(f in row for f in LIMIT_FIELDS.values())
    ]
    complete = all(
        baseline.get(k) for k in ("accuracy", "latency_ms", "energy_mj", "size_bytes")
    )
    reward = reward_data(events)
    recovery = recovery_data(events, baseline, budgets)
    drawable = bool(candidates) and complete
    return {
        "tradeoff": tradeoff_figure(tradeoff_data(candidates, baseline, budgets))
        if drawable
        else None,
        "reward": reward_figure(reward) if reward["episode"] else None,
        "recovery": recovery_figure(recovery) if recovery["x"] else None,
    }


def _keeps(candidate: Row, budgets: Row) -> bool:
    return all(
        budgets.get(key) is None or candidate[field] <= budgets[key]
        for key, field in LIMIT_FIELDS.items()
    )


def _front(candidates: Sequence[Row], field: str, budgets: Row) -> list[int]:
    order = sorted(
        (i for i, c in enumerate(candidates) if _keeps(c, budgets)),
        key=lambda i: (candidates[i][field], candidates[i]["drop_points"]),
    )
    front: list[int] = []
    least = float("inf")
    for i in order:
        if candidates[i]["drop_points"] < least:
            least = candidates[i]["drop_points"]
            front.append(i)
    return front


def _shown_drop(drops: Sequence[float], limit: float | None) -> float:
    """How many points below the original the axis reaches: near the data, not at zero."""
    typical = sorted(drops)[int(0.8 * (len(drops) - 1))] if drops else 0.0
    return min(15.0, max(2.0, 1.15 * typical, 1.6 * (limit or 0.0)))


def _headroom(data: Json) -> float:
    best = max([*data["accuracy"], data["original"]]) - data["original"]
    return float(best + 0.14 * (data["original"] - data["floor"]))


def _hover_text(candidate: Row, original: float) -> str:
    change = -float(candidate["drop_points"])
    return "<br>".join(
        (
            f"Accuracy {original + change:.1f} % ({change:+.1f} points)".replace("-", "−"),
            f"Latency {two_digits(candidate['latency_ms'])} ms",
            f"Energy {two_digits(candidate['energy_mj'])} mJ",
            f"Size {two_digits(candidate['size_bytes'] / 1e6)} MB",
            "validated" if candidate.get("validated") else "predicted",
        )
    )


def _axis_data(name: str, candidates: Sequence[Row], baseline: Row) -> Json:
    field, scale, unit, title, limit = AXES[name]
    values = [candidate[field] * scale for candidate in candidates]
    original = baseline[field] * scale
    low, high = log_range([*values, original])
    ticks = log_ticks(low, high)
    return {
        "x": values,
        "original": original,
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
        "unit": unit,
        "title": title,
        "field": field,
        "scale": scale,
        "limit": limit,
    }


def _limits(budgets: Row) -> Json:
    return {key: budgets.get(key) for key in LIMIT_FIELDS}


def _cost_note(text: str, x: float) -> Json:
    # Plotly wants the logarithm of an annotation's place on such an axis, but not of a shape's.
    return {
        "name": "limit",
        "text": text,
        "x": math.log10(x),
        "xanchor": "left",
        "xshift": 4,
        "yref": "y domain",
        "y": 1,
        "yanchor": "top",
        "showarrow": False,
    }


def _points(role: str, name: str, data: Json, axis: str, indices: Sequence[int]) -> Json:
    state = ", outside limits" if role == "outside" else ""
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [data["axes"][axis]["x"][i] for i in indices],
        "y": [data["accuracy"][i] for i in indices],
        "ids": [str(data["ids"][i]) for i in indices],
        "customdata": [
            [f"Candidate {data['ids'][i]}", state, data["texts"][i]] for i in indices
        ],
        "hovertemplate": HOVER,
        "meta": {"role": role},
    }


def _original(data: Json, axis: str) -> Json:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": "Original",
        "x": [data["axes"][axis]["original"]],
        "y": [data["original"]],
        "text": ["Original"],
        "textposition": "top left",
        "hovertemplate": f"<b>Original</b><br>{data['original']:.1f} %<extra></extra>",
        "meta": {"role": "original"},
    }


def _limit_marks(data: Json, axis: str) -> tuple[list[Json], list[Json]]:
    """Dashed limits with a faint zone beyond them, and their text."""
    shapes: list[Json] = []
    notes: list[Json] = []
    points = data["axes"][axis]
    drop, cost = data["limits"]["max_accuracy_drop"], data["limits"][points["limit"]]
    if drop is not None:
        y = data["original"] - drop
        shapes += [
            zone({"x0": 0, "x1": 1, "y0": data["floor"] - 100, "y1": y}, "x domain", "y")
        ]
        shapes += [horizontal(y, name="limit")]
        notes += [note(f"limit −{drop:.1f} pt", y, "limit", anchor="top")]
    if cost is not None:
        x = cost * points["scale"]
        corners = {"x0": x, "x1": 10 ** points["range"][1], "y0": 0, "y1": 1}
        shapes += [zone(corners, "x", "y domain"), vertical(x, name="limit")]
        notes += [_cost_note(f"limit {two_digits(x)} {points['unit']}", x)]
    return shapes, notes
