"""The pieces that all charts share: layout, lines, limits and their zones, in Plotly's schema."""

from collections.abc import Sequence
from typing import Any

Json = dict[str, Any]


def zone(corners: Json, xref: str, yref: str) -> Json:
    return {
        "type": "rect",
        "name": "zone",
        "xref": xref,
        "yref": yref,
        "layer": "below",
    } | corners


def horizontal(y: float, name: str) -> Json:
    return {
        "type": "line",
        "name": name,
        "xref": "x domain",
        "x0": 0,
        "x1": 1,
        "y0": y,
        "y1": y,
        "line": {"width": 1, "dash": "dash"},
    }


def vertical(x: float, name: str = "rule") -> Json:
    return {
        "type": "line",
        "name": name,
        "yref": "y domain",
        "y0": 0,
        "y1": 1,
        "x0": x,
        "x1": x,
        "line": {"width": 1, "dash": "dash" if name == "limit" else "solid"},
    }


def note(text: str, y: float, name: str, anchor: str = "bottom") -> Json:
    return {
        "name": "limit" if name == "limit" else "rule",
        "text": text,
        "xref": "x domain",
        "x": 1,
        "xanchor": "right",
        "y": y,
        "yanchor": anchor,
        "showarrow": False,
    }


def row_values(texts: Sequence[str]) -> list[Json]:
    """A text at the right end of each row of a chart by category, in the order of its rows."""
    # By place, not by name: Plotly takes a category called "8" for the ninth.
    return [
        {
            "name": "value",
            "text": text,
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 8,
            "y": place,
            "yanchor": "middle",
            "showarrow": False,
        }
        for place, text in enumerate(texts)
    ]


def line_trace(role: str, name: str, x: Sequence[Any], y: Sequence[Any], hover: str) -> Json:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": list(x),
        "y": list(y),
        "hovertemplate": hover,
        "meta": {"role": role},
    }


def end_dot(x: Sequence[Any], y: Sequence[Any]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(x[-1:]),
        "y": list(y[-1:]),
        "hoverinfo": "skip",
        "meta": {"role": "end", "decoration": True},
    }


def base_layout(x_title: str, y_title: str, summary: str) -> Json:
    return {
        "xaxis": {"title": {"text": x_title}},
        "yaxis": {"title": {"text": y_title}},
        "shapes": [],
        "annotations": [],
        "meta": {"summary": summary},
    }
