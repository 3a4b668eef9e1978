"""Predicted against measured on one device: numbers first, figure JSON second."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from compression.calibration import Row
from compression.device_evidence import Evidence
from webapp.devices.fitting import error_after, error_before
from webapp.jobs.ticks import log_range, log_ticks

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
    reached = [y * factor for y in predicted for factor in (data.low, data.high)]
    return {
        "data": [trace],
        "layout": {
            "xaxis": _log_axis("Measured, ms (log)", measured),
            "yaxis": _log_axis("Predicted, ms (log)", reached),
            "shapes": [_equality(*ends)],
            "annotations": [],
            "height": 320,
            "meta": {"summary": summary},
        },
    }


class Calibrated(NamedTuple):
    """The networks that a user's device was calibrated by, and the band that its predictions carry."""

    rows: Sequence[Row]
    low: float
    high: float

    @property
    def error_before(self) -> float:
        return error_before(self.rows)

    @property
    def error_after(self) -> float:
        return error_after(self.rows)


def calibration_data(rows: Sequence[Row], band: tuple[float, float]) -> Calibrated:
    """What was timed on a user's device, one graph or network at least."""
    return Calibrated(rows, *band)


def calibration_figure(data: Calibrated) -> Json:
    """Two points for each graph and network: predicted before and after calibrating, against measured."""
    values = [ms for row in data.rows for ms in (row.measured_ms, row.before_ms, row.after_ms)]
    after = _points("After, predicted from the others", "end", data.rows)
    after["y"] = [row.after_ms for row in data.rows]
    after["error_y"] = {
        "type": "data",
        "array": [row.after_ms * (data.high - 1) for row in data.rows],
        "arrayminus": [row.after_ms * (1 - data.low) for row in data.rows],
        "thickness": 1,
        "width": 0,
    }
    before = _points("Before, as the starting profile says", "outside", data.rows)
    before["y"] = [row.before_ms for row in data.rows]
    summary = (
        f"Predicted against measured latency of {len(data.rows)} graphs and networks. "
        f"Half of the predictions were off by at most {data.error_before:.0%} before calibrating, "
        f"{data.error_after:.0%} after."
    )
    reached = [row.after_ms * factor for row in data.rows for factor in (data.low, data.high)]
    reached += [row.before_ms for row in data.rows]
    return {
        "data": [before, after],
        "layout": {
            "xaxis": _log_axis("Measured, ms (log)", [row.measured_ms for row in data.rows]),
            "yaxis": _log_axis("Predicted, ms (log)", reached),
            "shapes": [_equality(min(values) / 1.2, max(values) * 1.2)],
            "annotations": [],
            "height": 360,
            "meta": {"summary": summary},
        },
    }


def _points(name: str, role: str, rows: Sequence[Row]) -> Json:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [row.measured_ms for row in rows],
        "text": [row.name for row in rows],
        "hovertemplate": "<b>%{text}</b><br>measured %{x:.3g} ms<br>predicted %{y:.2g} ms<extra></extra>",
        "meta": {"role": role},
    }


def _log_axis(title: str, values: Sequence[float]) -> Json:
    """Ticks say the whole number: Plotly's own between powers of ten are digits, 5 for 50."""
    low, high = log_range(values)
    ticks = log_ticks(low, high)
    return {
        "title": {"text": title},
        "type": "log",
        "range": [low, high],
        "tickvals": ticks,
        "ticktext": [f"{tick:g}" for tick in ticks],
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
