"""The headline numbers of report.html: original against result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.report_charts import ratio_bars
from compression.report_numbers import (
    accuracy_words,
    chance_words,
    count,
    digits,
    interval,
    measured,
    percent,
    points,
    predicted,
    ratio,
    size,
)
from compression.report_sections import table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Report = Mapping[str, Any]
    Row = tuple[str, ...]
    Words = tuple[str, str]


def comparison(report: Report) -> str:
    """Every headline number before and after, and how it is known."""
    target = report.get("target_title", report["target"])
    expected = report["predicted"]
    rows = [
        _accuracy_row(report),
        _host_latency_row(report),
        _predicted_row(
            f"Latency on {target}", expected["latency_ms"], "ms", ("faster", "slower")
        ),
        _predicted_row(f"Energy on {target}", expected["energy_mj"], "mJ", ("less", "more")),
        _counted_row(report, "File", "size_bytes", size, ("smaller", "larger")),
        _counted_row(report, "Zipped", "zip_bytes", size, ("smaller", "larger")),
        *_packed_rows(report),
        _counted_row(report, "Multiply–adds", "macs", count, ("fewer", "more")),
        _counted_row(report, "Parameters", "params", count, ("fewer", "more")),
    ]
    return table(
        ("", "Original", "Compressed", "Change", "How we know"), rows, numeric=(1, 2, 3)
    )


def _packed_rows(report: Report) -> list[Row]:
    """The packed file, where both models were packed."""
    if not all(report[side].get("packed_bytes") for side in ("baseline", "result")):
        return []
    return [_counted_row(report, "Packed (.xz)", "packed_bytes", size, ("smaller", "larger"))]


def _accuracy_row(report: Report) -> Row:
    before, after = report["baseline"], report["result"]
    low, high = after["accuracy_ci"]
    error = report.get("relative_error")
    relative = f", relative error {percent(error)}" if error is not None else ""
    return (
        accuracy_words(after).capitalize(),
        percent(before["accuracy"]),
        percent(after["accuracy"]),
        points(-report["accuracy_drop_points"]),
        f"measured, 95 % interval {percent(low)} to {percent(high)}{relative}{_difference(report)}",
    )


def _difference(report: Report) -> str:
    """The paired interval of the change, and whether chance would explain it."""
    if "accuracy_drop_ci_points" not in report:
        return ""
    worst, best = sorted(-end for end in report["accuracy_drop_ci_points"])
    chance = chance_words(report.get("accuracy_drop_chance"))
    return f"; change {interval(worst, best)}{chance and f', {chance}'}"


def _host_latency_row(report: Report) -> Row:
    before, after = report["baseline"]["host_latency_ms"], report["result"]["host_latency_ms"]
    return (
        "Latency on the engine's host",
        measured(before["p50"], "ms"),
        measured(after["p50"], "ms"),
        ratio(report["ratios"]["host_latency"], "faster", "slower"),
        f"measured, {after.get('rounds', 'many')} rounds in turns{_spread(after)}",
    )


def _spread(timing: Report) -> str:
    if "p10" not in timing:
        return ""
    return f", 8 in 10 between {digits(timing['p10'], 3)} and {measured(timing['p90'], 'ms')}"


def _counted_row(
    report: Report, title: str, key: str, form: Callable[[float], str], words: Words
) -> Row:
    before, after = report["baseline"][key], report["result"][key]
    change = ratio(before / max(1, after), *words)
    return (title, form(before), form(after), change, "counted exactly")


def _predicted_row(title: str, entry: Mapping[str, Any], unit: str, words: Words) -> Row:
    low, high = predicted(entry["low"], unit), predicted(entry["high"], unit)
    return (
        title,
        predicted(entry["baseline"], unit),
        predicted(entry["result"], unit),
        ratio(entry["baseline"] / max(entry["result"], 1e-12), *words),
        f"predicted ({entry['label']}), {low} to {high}",
    )


def bars(report: Report) -> str:
    """What is left of the original, bar by bar."""
    ratios = report["ratios"]
    titles = (
        ("Latency, host", "host_latency", True),
        ("Latency, target", "target_latency", report["target"] == "this-host"),
        ("Energy, target", "target_energy", False),
        ("File", "size", True),
        ("Multiply–adds", "macs", True),
    )
    rows = []
    for title, key, is_measured in titles:
        share = 1 / max(ratios[key], 1e-9)
        rows.append((title, share, f"{digits(100 * share, 2)} % left", is_measured))
    note = '<p class="muted">What is left of the original. Solid: measured or counted. Hatched: predicted.</p>'
    return f'<div class="bars">{ratio_bars(rows)}</div>{note}'
