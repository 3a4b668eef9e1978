"""report.html: the report as one page that reads well on a screen and on paper."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression.report_charts import class_changes, layer_bars, ratio_bars
from compression.report_numbers import (
    count,
    digits,
    measured,
    percent,
    points,
    predicted,
    ratio,
    size,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    Report = Mapping[str, Any]

_STYLE = Path(__file__).with_name("report_page.css")
_VERDICTS = {
    "met": ("good", "All limits met"),
    "missed": ("warn", "Limit missed, nearest delivered"),
    "infeasible": ("warn", "Limits cannot all be met, nearest delivered"),
    "cancelled": ("warn", "Cancelled, best so far"),
    "failed": ("bad", "Failed"),
}
_LIMITS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "max_accuracy_drop": ("accuracy lost", lambda v: f"{digits(v, 3)} points"),
    "max_latency_ms": ("latency", lambda v: f"{digits(v, 3)} ms"),
    "max_energy_mj": ("energy", lambda v: f"{digits(v, 3)} mJ"),
    "max_size_bytes": ("file size", size),
}
_MOST_FLIPS = 12


def report_html(report: Report, snippet: str) -> str:
    """The page for a report that its schema accepts; ``snippet`` shows how to load the model."""
    title = f"{report.get('model_name', 'Model')} for {report.get('target_title', report['target'])}"
    sections = [
        _head(report, title),
        _headline(report),
        _section("Measured and predicted", _comparison(report) + _bars(report)),
        _charts(report),
        _flips(report),
        _recipe(report),
        _section("Load it in three lines", f"<pre><code>{escape(snippet)}</code></pre>"),
        _section("How this was measured", _facts(report)),
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
    kind = "test examples" if report["result"]["accuracy_kind"] == "accuracy" else "inputs"
    data = f" of {report['data_name']}" if report.get("data_name") else ""
    line = f"{report['result']['n_test']:,} {kind}{data} · {report.get('created', '')[:10]}"
    notes = [_limit_sentence(limit) for limit in report.get("limits", []) if not limit["met"]]
    notes += report.get("notes", [])
    if report.get("stopped_by") == "time":
        notes.append("The time limit was reached: this is the best found until then.")
    return (
        f'<header><h1>{escape(title)}</h1><span class="pill {tone}">{words}</span>'
        f'<p class="muted">{escape(line)}</p>'
        + "".join(f"<p>{escape(note)}</p>" for note in notes)
        + "</header>"
    )


def _limit_sentence(limit: Mapping[str, Any]) -> str:
    name, form = _LIMITS[limit["name"]]
    return (
        f"Limit missed: {name} is {form(limit['value'])}, allowed are {form(limit['limit'])}."
    )


def _headline(report: Report) -> str:
    ratios, result = report["ratios"], report["result"]
    kind = (
        "accuracy" if result["accuracy_kind"] == "accuracy" else "agreement with the original"
    )
    energy = ratio(ratios["target_energy"], "less", "more")
    cells = (
        (percent(result["accuracy"]), f"{kind}, {points(-report['accuracy_drop_points'])}"),
        (ratio(ratios["host_latency"], "faster", "slower"), "measured on the engine's host"),
        (ratio(ratios["size"], "smaller", "larger"), f"file, {size(result['size_bytes'])}"),
        (energy, f"energy on {report.get('target_title', report['target'])}, predicted"),
    )
    items = "".join(f"<div><b>{escape(b)}</b>{escape(text)}</div>" for b, text in cells)
    return f'<section class="numbers" aria-label="Headline numbers">{items}</section>'


def _comparison(report: Report) -> str:
    before, after, ratios = report["baseline"], report["result"], report["ratios"]
    target = report.get("target_title", report["target"])
    low, high = after["accuracy_ci"]
    drop = -report["accuracy_drop_points"]
    rows = [
        (
            after["accuracy_kind"].capitalize(),
            percent(before["accuracy"]),
            percent(after["accuracy"]),
            points(drop),
            f"measured, 95 % interval {percent(low)} to {percent(high)}",
        ),
        (
            "Latency on the engine's host",
            measured(before["host_latency_ms"]["p50"], "ms"),
            measured(after["host_latency_ms"]["p50"], "ms"),
            ratio(ratios["host_latency"], "faster", "slower"),
            f"measured, {after['host_latency_ms'].get('rounds', 'many')} rounds in turns",
        ),
        _predicted_row(
            f"Latency on {target}", report["predicted"]["latency_ms"], "ms", "faster", "slower"
        ),
        _predicted_row(
            f"Energy on {target}", report["predicted"]["energy_mj"], "mJ", "less", "more"
        ),
    ]
    for name, key, form, known in (
        ("File", "size_bytes", size, "counted exactly"),
        ("Zipped", "zip_bytes", size, "counted exactly"),
        ("Multiply–adds", "macs", count, "counted exactly"),
        ("Parameters", "params", count, "counted exactly"),
    ):
        change = ratio(
            before[key] / max(1, after[key]), "fewer" if form is count else "smaller", "more"
        )
        rows.append((name, form(before[key]), form(after[key]), change, known))
    return _table(
        ("", "Original", "Compressed", "Change", "How we know"), rows, numeric=(1, 2, 3)
    )


def _predicted_row(
    title: str, entry: Mapping[str, Any], unit: str, gain: str, loss: str
) -> tuple[str, ...]:
    return (
        title,
        predicted(entry["baseline"], unit),
        predicted(entry["result"], unit),
        ratio(entry["baseline"] / max(entry["result"], 1e-12), gain, loss),
        f"predicted ({entry['label']}), {predicted(entry['low'], unit)} to {predicted(entry['high'], unit)}",
    )


def _bars(report: Report) -> str:
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
    return f'<div style="margin-top:16px">{ratio_bars(rows)}</div>{note}'


def _charts(report: Report) -> str:
    parts = []
    if any(row.get("ms_before") for row in report.get("layers", [])):
        parts.append(_section("Time per layer", layer_bars(report["layers"])))
    classes = report.get("per_class", [])
    if classes and report["result"]["accuracy_kind"] == "accuracy":
        worst = sorted(classes, key=lambda row: row["after"] - row["before"])
        shown = worst if len(worst) <= 20 else [*worst[:10], *worst[-10:]]
        note = '<p class="muted">Points with 95 % interval; a filled mark is a change larger than chance.</p>'
        parts.append(_section("Accuracy change by class", class_changes(shown) + note))
    return (
        f'<div class="{"pair" if len(parts) == 2 else ""}">{"".join(parts)}</div>'
        if parts
        else ""
    )


def _flips(report: Report) -> str:
    flipped = report.get("flipped") or {}
    if not flipped.get("examples"):
        return ""
    rows = [
        (
            str(flip["index"]),
            flip["truth"],
            f"{flip['before']} → {flip['after']}",
            f"{100 * flip.get('confidence_before', 0):.0f} % → {100 * flip.get('confidence_after', 0):.0f} %",
            "fixed" if flip["fixed"] else "broken",
        )
        for flip in flipped["examples"][:_MOST_FLIPS]
    ]
    title = f"Answers that flipped: {flipped['gained']:,} fixed, {flipped['lost']:,} broken"
    head = ("Row of the data", "Truth", "Answer", "Confidence", "")
    return _section(title, _table(head, rows, numeric=(0,)))


def _recipe(report: Report) -> str:
    rows = [
        (
            "whole network" if step["layer"] == "*" else step["layer"],
            step["technique"].replace("_", " "),
            ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in step["params"].items()),
            step["why"],
        )
        for step in report["recipe"]
    ]
    body = (
        _table(("Layer", "Technique", "Level", "Why"), rows)
        if rows
        else "<p>Nothing was changed: no technique paid within these limits.</p>"
    )
    skipped = [
        f"{s['layer']}: {s['technique'].replace('_', ' ')} ({s['reason']})"
        for s in report.get("skipped", [])
    ]
    if skipped:
        body += f'<p class="muted">Not applied: {escape("; ".join(skipped))}.</p>'
    return _section("Recipe", body)


def _facts(report: Report) -> str:
    host = report.get("host", {})
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    spent = sum(stage["seconds"] for stage in report["stages"])
    facts = [
        (
            "Target",
            f"{report.get('target_title', report['target'])}, {report.get('target_chip', '')}",
        ),
        ("About the target", report.get("target_note", "")),
        ("Measured on", f"{host.get('processor', '')}, {host.get('system', '')}"),
        (
            "Timing",
            "ONNX Runtime, batch 1, one thread, no spinning; both files in turns, median of the rounds",
        ),
        ("Versions", versions),
        ("Seed", str(report["seed"])),
        ("Time", f"{spent:.0f} s in {len(report['stages'])} stages"),
        ("Data SHA-256", report["data_sha256"]),
        ("Original SHA-256", report["model_sha256"]),
        *(
            (f"{a['path']} SHA-256", a["sha256"])
            for a in report["artifacts"]
            if a["format"] == "onnx"
        ),
    ]
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text
    )
    return f"<dl>{items}</dl>"


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(
    head: Sequence[str], rows: Iterable[Sequence[str]], numeric: Sequence[int] = ()
) -> str:
    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numeric else ''}>{escape(value)}</{tag}>"
            for i, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
