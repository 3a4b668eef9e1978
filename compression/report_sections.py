"""The sections of report.html below its headline."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from compression.report_charts import class_changes, layer_bars
from compression.report_numbers import digits, points
from compression.report_pictures import picture_html
from compression.technique_names import title_of, titles_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    Report = Mapping[str, Any]
    Row = tuple[str, ...]

_MOST_FLIPS = 12
_MOST_CLASSES = 20


def charts(report: Report) -> str:
    """Time per layer beside accuracy by class, as far as there are any."""
    parts = []
    if any(row.get("ms_before") for row in report.get("layers", [])):
        note = f'<p class="muted">{escape(_layer_times(report))}</p>'
        parts.append(section("Time per layer", layer_bars(report["layers"]) + note))
    classes = report.get("per_class", [])
    if classes and report["result"]["accuracy_kind"] == "accuracy":
        worst = sorted(classes, key=lambda row: row["after"] - row["before"])
        half = _MOST_CLASSES // 2
        shown = worst if len(worst) <= _MOST_CLASSES else [*worst[:half], *worst[-half:]]
        note = '<p class="muted">Points with 95 % interval; a filled mark is a change larger than chance.</p>'
        parts.append(section("Accuracy change by class", class_changes(shown) + note))
    return (
        f'<div class="{"pair" if len(parts) == 2 else ""}">{"".join(parts)}</div>'
        if parts
        else ""
    )


def _layer_times(report: Report) -> str:
    """How the times of single layers are known: whole networks are measured, layers are not."""
    if report["target"] == "this-host":
        how = "from operations timed on the engine's host"
    else:
        target = report.get("target_title", report["target"])
        how = f"for {target} ({report['predicted']['latency_ms']['label']})"
    return f"In the order of the network. Grey: original; colour: compressed. Predicted {how}."


def flips(report: Report) -> str:
    """The answers that changed, the surest first; drawn where the data can be."""
    flipped = report.get("flipped") or {}
    examples = flipped.get("examples")
    if not examples:
        return ""
    is_labelled = report["result"]["accuracy_kind"] == "accuracy"
    title = f"Answers that flipped: {flipped['gained']:,} fixed, {flipped['lost']:,} broken"
    if not is_labelled:
        title = f"Answers that differ from the original's: {flipped['lost']:,}"
    drawn = [flip for flip in examples if flip.get("input")]
    if drawn:
        cards = "".join(_flip_card(flip, is_labelled=is_labelled) for flip in drawn)
        return section(title, f'<div class="flips">{cards}</div>')
    rows = [_flip_row(flip, is_labelled=is_labelled) for flip in examples[:_MOST_FLIPS]]
    head = ("Data row", "Truth", "Answer", "Confidence", "")
    return section(title, table(head, rows, css="tight"))


def _flip_row(flip: Report, *, is_labelled: bool) -> Row:
    before, after = _confidences(flip)
    return (
        str(flip["index"]),
        flip["truth"] if is_labelled else "not known",
        f"{flip['before']} → {flip['after']}",
        f"{before} → {after}",
        _flip_words(flip, is_labelled=is_labelled),
    )


def _flip_card(flip: Report, *, is_labelled: bool) -> str:
    """The example with its label, both answers and how sure each was."""
    before, after = _confidences(flip)
    words = _flip_words(flip, is_labelled=is_labelled)
    tone = {"fixed": "good", "broken": "bad"}.get(words, "warn")
    label = (
        f'<span class="muted">label</span> {escape(flip["truth"])}<br>' if is_labelled else ""
    )
    return (
        f"<div>{picture_html(flip['input'], 'Data row ' + str(flip['index']))}"
        f'<span class="pill {tone}">{words}</span> <span class="muted">row {flip["index"]}</span><br>{label}'
        f'{escape(flip["before"])} <span class="muted">{before}</span><br>→ '
        f'<b>{escape(flip["after"])}</b> <span class="muted">{after}</span></div>'
    )


def _confidences(flip: Report) -> tuple[str, str]:
    before, after = flip.get("confidence_before", 0), flip.get("confidence_after", 0)
    return f"{100 * before:.0f} %", f"{100 * after:.0f} %"


def _flip_words(flip: Report, *, is_labelled: bool) -> str:
    if not is_labelled:
        return "differs"
    return "fixed" if flip["fixed"] else "broken"


def recipe(report: Report) -> str:
    """What was done, and what could not be."""
    rows = [
        (
            "whole network" if step["layer"] == "*" else step["layer"],
            title_of(step["technique"]),
            ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in step["params"].items()),
            step["why"],
        )
        for step in report["recipe"]
    ]
    body = (
        table(("Layer", "Technique", "Level", "Why"), rows, css="steps")
        if rows
        else "<p>Nothing was changed: no technique paid within these limits.</p>"
    )
    skipped = [
        f"{s['layer']}: {title_of(s['technique'])} ({s['reason']})"
        for s in report.get("skipped", [])
    ]
    if skipped:
        body += f'<p class="muted">Not applied: {escape("; ".join(skipped))}.</p>'
    return section("Recipe", body)


def otherwise(report: Report) -> str:
    """What else each layer might have got, as predicted; paper leaves it out, for it is long."""
    rows = [
        (layer["layer"], words, *_changes(change))
        for layer in report.get("layers", [])
        for words, change in _other_choices(layer)
    ]
    if not rows:
        return ""
    head = (
        "Layer",
        "Instead",
        "Latency",
        "Energy",
        "File",
        "Accuracy",
        "Limits it would break",
    )
    others = table(head, rows, numeric=(2, 3, 4, 5), css="tight")
    body = f"<details><summary>Undo a choice, or take the next best</summary>{others}</details>"
    return f'<div class="screen">{section("What other choices would change, predicted", body)}</div>'


def _other_choices(layer: Report) -> list[tuple[str, Report]]:
    found = [("untouched", layer["undo"])] if layer.get("undo") else []
    for other in layer.get("alternatives", []):
        name = titles_of(other["technique"])
        found.append(
            (f"{name} ({other['level']})" if other["level"] else name, other["change"])
        )
    return found


def _changes(change: Report) -> tuple[str, ...]:
    """What each goal would gain or lose, with its sign; then the limits."""
    values = (
        _signed(change["latency_ms"], "ms"),
        _signed(change["energy_mj"], "mJ"),
        _signed(change["size_bytes"] / 1e3, "kB"),
        points(-change["drop_points"]),
    )
    broken = [name.removeprefix("max_").split("_")[0] for name in change["breaks"]]
    return (*values, ", ".join(broken))


def _signed(change: float, unit: str) -> str:
    sign = "+" if change > 0 else ""
    return f"{sign}{digits(change, 2)} {unit}" if abs(change) >= 1e-6 else "0"


def code(report: Report) -> str:
    """How to run the model; paper shows none of it, for nobody types it from there."""
    blocks = "".join(
        f"<details{' open' if i == 0 else ''}><summary>{escape(snippet['title'])}</summary>"
        f"<pre><code>{escape(snippet['code'])}</code></pre></details>"
        for i, snippet in enumerate(report.get("snippets", []))
    )
    return f'<div class="screen">{section("Run it", blocks)}</div>' if blocks else ""


def facts(report: Report) -> str:
    """How the numbers came about."""
    host = report.get("host", {})
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    spent = sum(stage["seconds"] for stage in report["stages"])
    facts = [
        (
            "Target",
            _listed(report.get("target_title", report["target"]), report.get("target_chip")),
        ),
        ("About the target", report.get("target_note", "")),
        ("Measured on", _listed(host.get("processor"), host.get("system"))),
        (
            "Timing",
            "ONNX Runtime, batch 1, one thread, no spinning; both files in turns, median of the rounds",
        ),
        ("Versions", versions),
        ("Search", _search(report.get("search") or {})),
        ("Seed", str(report["seed"])),
        ("Time", f"{spent:.0f} s over all stages"),
        ("Data SHA-256", report["data_sha256"]),
        ("Original SHA-256", report["model_sha256"]),
        *(
            (f"{a['path']} SHA-256", a["sha256"])
            for a in report["artifacts"]
            if a["format"] == "onnx"
        ),
        *_other_formats(report),
    ]
    items = "".join(
        f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts if text
    )
    return f"<dl>{items}</dl>"


_ANSWERED = {
    "dqn": "answered by the trained agent",
    "coordinate_ascent": "answered by coordinate ascent",
    "classic": "answered by AdaDeep as published",
    "greedy": "answered by greedy search",
    "random": "answered by random search",
    "exhaustive": "answered by exhaustive search",
    "genetic": "answered by a genetic algorithm",
    "nsga2": "answered by NSGA-II",
    "branch_and_bound": "answered by branch and bound",
    "built candidate": "a recipe that the study had built",
    "chosen": "chosen by hand",
}


def _search(search: Report) -> str:
    """Who answered, and how far from the best the score can be by the predictions."""
    who = search.get("answered_by") or search.get("selector", "")
    gap, bound = search.get("gap_to_best_found"), search.get("gap_bound")
    behind, proven = "", ""
    if gap is not None:
        behind = f"gap to the best found {100 * gap:.2f} %"
    if bound is not None:
        proven = f"proven to be at most {100 * bound:.1f} % from the best possible, by the predictions"
    return _listed(_ANSWERED.get(who, who), behind, proven)


def _other_formats(report: Report) -> list[tuple[str, str]]:
    """Which runtime ran which files, and how far its answers were off."""
    runs: dict[str, list[str]] = {}
    for row in report["artifacts"]:
        if row.get("runtime"):
            off = f"{row['difference']:.0e} of the largest output"
            runs.setdefault(f"ran in {row['runtime']}, differs by {off}", []).append(
                row["path"]
            )
    return [("Also as", f"{', '.join(paths)}: {words}") for words, paths in runs.items()]


def _listed(*texts: str | None) -> str:
    return ", ".join(text for text in texts if text)


def section(title: str, body: str) -> str:
    """A titled card; ``body`` is HTML."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    numeric: Sequence[int] = (),
    css: str = "",
) -> str:
    """Texts as a table that scrolls sideways; the columns of ``numeric`` stand at the right."""

    def cells(tag: str, values: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numeric else ''}>{escape(value)}</{tag}>"
            for i, value in enumerate(values)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll {css}"><table><thead><tr>{cells("th", head)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
