"""report.html: the report as one page that reads well on a screen and on paper."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression.report_comparison import bars, comparison
from compression.report_numbers import (
    accuracy_words,
    digits,
    percent,
    points,
    ratio,
    size,
    unsure_limits,
)
from compression.report_sections import (
    charts,
    code,
    facts,
    flips,
    otherwise,
    recipe,
    section,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Report = Mapping[str, Any]

_STYLE = Path(__file__).with_name("report_page.css")
_VERDICTS = {
    "met": ("good", "All limits met"),
    "missed": ("warn", "Limit missed, nearest delivered"),
    "infeasible": ("warn", "Limits cannot all be met, nearest delivered"),
    "cancelled": ("warn", "Cancelled, best so far"),
    "failed": ("bad", "Failed"),
}
_STOPPED = {
    "time": "The time limit was reached",
    "request": "The build was told to finish early",
}
_EXAMPLES = {
    "accuracy": "test examples",
    "agreement": "unlabelled inputs",
    "agreement_on_synthetic_inputs": "synthetic inputs",
}
_LIMITS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "max_accuracy_drop": ("accuracy lost", lambda v: f"{digits(v, 3)} points"),
    "max_latency_ms": ("latency", lambda v: f"{digits(v, 3)} ms"),
    "max_energy_mj": ("energy", lambda v: f"{digits(v, 3)} mJ"),
    "max_size_bytes": ("file size", size),
}


def report_html(report: Report) -> str:
    """The page for a report that its schema accepts."""
    title = f"{report.get('model_name', 'Model')} for {report.get('target_title', report['target'])}"
    sections = [
        _head(report, title),
        _headline(report),
        section("Measured and predicted", comparison(report) + bars(report)),
        charts(report),
        recipe(report),
        otherwise(report),
        f'<div class="sheet">{flips(report)}{section("How this was measured", facts(report))}</div>',
        code(report),
    ]
    style = _STYLE.read_text(encoding="utf-8")
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)} · AdaDeep report</title>\n<style>\n{style}</style></head>\n"
        f"<body><main>\n{chr(10).join(part for part in sections if part)}\n</main></body></html>\n"
    )


def _head(report: Report, title: str) -> str:
    tone, words = _VERDICTS[report["status"]]
    limits = report.get("limits", [])
    unsure = unsure_limits(report)
    if report["status"] == "met" and not limits:
        words = "Done"
    elif report["status"] == "met" and unsure:
        tone, words = "warn", "Limits likely met"
    kind = _EXAMPLES[report["result"]["accuracy_kind"]]
    data = f" of {report['data_name']}" if report.get("data_name") else ""
    line = f"{report['result']['n_test']:,} {kind}{data} · {report.get('created', '')[:10]}"
    notes = [_limit_sentence(limit) for limit in limits if not limit["met"] or limit in unsure]
    notes += (report.get("conflict") or {}).get("sentences", [])
    notes += report.get("notes", [])
    if why := _STOPPED.get(report.get("stopped_by") or ""):
        notes.append(f"{why}: this is the best found until then.")
    return (
        f'<header><h1>{escape(title)}</h1><span class="pill {tone}">{words}</span>'
        f'<p class="muted">{escape(line)}</p>'
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
        + "</header>"
    )


def _limit_sentence(limit: Mapping[str, Any]) -> str:
    """What was reached of a limit that is missed, or that the end of the band may miss."""
    name, form = _LIMITS[limit["name"]]
    reached = f"{name} is {form(limit['value'])}, allowed are {form(limit['limit'])}"
    if limit["met"]:
        return f"Limit likely met: {reached}, but the end of the band is beyond."
    return f"Limit missed: {reached}."


def _headline(report: Report) -> str:
    ratios, result = report["ratios"], report["result"]
    kind = accuracy_words(result)
    energy = ratio(ratios["target_energy"], "less", "more")
    cells = (
        (percent(result["accuracy"]), f"{kind}, {points(-report['accuracy_drop_points'])}"),
        (ratio(ratios["host_latency"], "faster", "slower"), "measured on the engine's host"),
        (ratio(ratios["size"], "smaller", "larger"), f"file, {size(result['size_bytes'])}"),
        (energy, f"energy on {report.get('target_title', report['target'])}, predicted"),
    )
    items = "".join(f"<div><b>{escape(b)}</b>{escape(text)}</div>" for b, text in cells)
    return f'<section class="numbers" aria-label="Headline numbers">{items}</section>'
