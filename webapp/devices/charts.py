"""Predicted against measured on one device: numbers first, figure JSON second."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from compression.device_evidence import Evidence

Json = dict[str, Any]


class Fit(NamedTuple):
    """The points of the chart and how many of them lie inside the band."""

    rows: Sequence[Evidence]
    low: float
    high: float

    @property
    def inside(self) -> int:
        return sum(
            row.predicted_ms * self.low <= row.measured_ms <= row.predicted_ms * self.high
            for row in self.rows
        )


def evidence_data(rows: Sequence[Evidence], band: tuple[float, float]) -> Fit | None:
    """The networks measured on a device; nothing where there are none."""
    return Fit(rows, *band) if rows else None


def evidence_figure(data: Fit) -> Json:
    """A point for each network with its band, the line of equality behind."""
    measured = [row.measured_ms for row in data.rows]
    predicted = [row.predicted_ms for row in data.rows]
    ends = min(measured + predicted) / 1.2, max(measured + predicted) * 1.2
    count = len(data.rows)
    summary = (
        f"Predicted against measured latency of {count} networks, each hidden from the fit. "
        f"{data.inside} of {count} measured times lie inside the band of the prediction."
    )
    trace = {
        "type": "scatter",
        "mode": "markers",
        "name": "Network",
        "x": measured,
        "y": predicted,
        "text": [row.network for row in data.rows],
        "hovertemplate": "<b>%{text}</b><br>measured %{x:.3g} ms<br>predicted %{y:.2g} ms<extra></extra>",
        "error_y": {
            "type": "data",
            "array": [y * (data.high - 1) for y in predicted],
            "arrayminus": [y * (1 - data.low) for y in predicted],
            "thickness": 1,
            "width": 0,
        },
        "meta": {"role": "candidate"},
    }
    axis = {"type": "log", "dtick": "D2"}
    return {
        "data": [trace],
        "layout": {
            "xaxis": {"title": {"text": "Measured, ms (log)"}, **axis},
            "yaxis": {"title": {"text": "Predicted, ms (log)"}, **axis},
            "shapes": [_equality(*ends)],
            "annotations": [],
            "height": 320,
            "meta": {"summary": summary},
        },
    }


def _equality(low: float, high: float) -> Json:
    line = {"width": 1, "dash": "dash"}
    return {
        "type": "line",
        "name": "rule",
        "x0": low,
        "y0": low,
        "x1": high,
        "y1": high,
        "line": line,
    }
