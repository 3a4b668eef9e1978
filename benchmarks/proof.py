"""Tables and pictures of what ``benchmarks.referee`` measured, written into RESULTS.md between its markers.

``python -m benchmarks.proof``. Reads ``results/proof/NAME.json``, keeps what was predicted apart from what was measured.
"""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

from benchmarks.demands import demands
from benchmarks.proof_picture import draw
from benchmarks.referee import RESULTS, complete, hypervolume, pareto
from benchmarks.task import ROOT, get, names
from compression.technique_names import title_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

PAGE = ROOT / "benchmarks" / "RESULTS.md"
BEGIN, END = "<!-- proof: written by benchmarks.proof -->", "<!-- end of proof -->"
WITHIN = 1.0
"""Points that may be lost in the comparison of the best."""

COLUMNS = {"latency": "latency", "file": "file", "zip": "zip"}
GROUPS = {
    "demand": "What was asked for",
    "by hand": "Picked by hand",
    "thorough": "With more time than the other tools were given",
    "selector": "Other selectors, same study",
    "ablation": "One part of the method left out, four equal goals, one point",
    "alone": "One technique alone, four equal goals, one point",
}
DEVICES_OF = ("everything", "frugal", "even")
"""Whose recipe is shown on the paper's devices."""

Row = dict[str, Any]


def section(name: str, found: Row) -> str:
    """All tables of a task."""
    order = list(demands(get(name)))
    rows = sorted(found["rows"], key=lambda row: _place(order, row))
    parts = [
        f"### {found['title']}",
        _introduction(found),
    ]
    parts.append(_verdict(rows))
    if complete(rows):
        parts.append(f"![Time and size of every row](results/proof/{name}.svg)")
    for group, title in GROUPS.items():
        chosen = [row for row in rows if row["group"] == group]
        if chosen:
            parts.append(f"**{title}.**\n\n{_ours(chosen)}")
    if devices := _devices(rows):
        parts.append(devices)
    peers = [row for row in rows if row["group"] == "peer"]
    if peers:
        parts.append(f"**Other tools, same arrays, same fine-tuning.**\n\n{_peers(peers)}")
    return "\n\n".join(parts)


def _place(order: list[str], row: Row) -> int:
    """Demands as they are defined, then other tools by name."""
    return order.index(row["demand"]) if row.get("demand") in order else len(order)


def _introduction(found: Row) -> str:
    base, machine = found["base"], found["machine"]
    times = "Times were not measured yet"
    if machine:
        features = ", ".join(machine["features"]) or "no vector features known"
        times = f"Times on {machine['processor']} ({features})"
    return (
        f"Original: {base['accuracy']:.2%} of {base['n']:,} test examples, {base['bytes']:,} bytes. "
        f"{times}."
    )


def _verdict(rows: Sequence[Row]) -> str:
    """The best of each side within a point, and the volumes; what was not timed has neither time nor volume."""
    sides = {
        "ours, all demands": [row for row in rows if row["group"] == "demand"],
        "ours, in one model": [row for row in rows if row.get("demand") == "everything"],
        "other tools": [row for row in rows if row["group"] == "peer"],
    }
    lines = [
        _line(f"at most {WITHIN:g} point lost", *COLUMNS.values(), "volume"),
        _line(*["---"] * (len(COLUMNS) + 2)),
    ]
    for side, own in sides.items():
        kept = [row for row in own if row.get("drop_points", math.inf) <= WITHIN]
        best = [_best(kept, column) for column in COLUMNS]
        volume = f"{hypervolume(own):.2f}" if complete(own) else "–"
        lines.append(_line(side, *best, volume))
    return "\n".join(lines)


def _best(rows: Sequence[Row], column: str) -> str:
    known = [row for row in rows if column in row]
    if not known:
        return "–"
    row = max(known, key=lambda each: float(each[column]))
    return f"{row[column]:.2f}x ({row['name']})"


def _ours(rows: Sequence[Row]) -> str:
    head = ("demand", "limits", *MEASURED_HEAD, "recipe", "CPU-s, study + build")
    return _table(head, rows, lambda row: (*_asked(row), *_measured(row), *_made(row)))


def _peers(rows: Sequence[Row]) -> str:
    head = ("tool", "way", *MEASURED_HEAD, "CPU-s")
    return _table(
        head,
        rows,
        lambda row: (
            f"{row['tool']} {row.get('version', '')}",
            f"{row['name']}: {row['text']}",
            *_measured(row),
            f"{row['build']['cpu_s']:.0f}",
        ),
    )


MEASURED_HEAD = ("points lost, 95 %", "file", "zip", "latency, 5–95 %")


def _measured(row: Row) -> tuple[str, ...]:
    if "error" in row:
        return (f"**failed**: {_plain(row['error'])}", "–", "–", "–")
    if "drop_points" not in row:
        return ("–", "–", "–", "–")
    low, high = row["drop_ci"]
    time = "–"
    if "latency" in row:
        time = "{:.2f}x, {:.2f}–{:.2f}".format(row["latency"], *row["latency_range"])
    return (
        f"{row['drop_points']:+.2f}, {low:+.2f} to {high:+.2f}",
        f"{row['file']:.2f}x",
        f"{row['zip']:.2f}x",
        time,
    )


def _asked(row: Row) -> tuple[str, str]:
    status = row.get("status", "failed")
    words = status if status == "met" else f"**{status}**"
    return row["text"], f"{words}, stopped by {by}" if (by := row.get("stopped_by")) else words


def _made(row: Row) -> tuple[str, str]:
    if "recipe" not in row:
        return "–", "–"
    return recipe_words(
        row["recipe"]
    ), f"{row['study']['cpu_s']:.0f} + {row['build']['cpu_s']:.0f}"


def recipe_words(recipe: Iterable[Row]) -> str:
    """The combination, layer by layer; the whole network is ``*``."""
    layers: dict[str, list[str]] = {}
    for step in recipe:
        values = [_value(value) for value in step["params"].values()]
        words = title_of(step["technique"]) + (f" {' '.join(values)}" if values else "")
        layers.setdefault(step["layer"], []).append(words)
    said = (f"{layer}: {' + '.join(words)}" for layer, words in layers.items())
    return _plain("; ".join(said)) or "nothing"


def _value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _devices(rows: Sequence[Row]) -> str:
    """What is predicted on the paper's devices."""
    shown = [row for name in DEVICES_OF for row in rows if row.get("demand") == name]
    row = next((row for row in shown if row.get("devices")), None)
    if row is None:
        return ""
    lines = [
        f"**Predicted, not measured**, for the recipe of “{row['text']}”: ratio to the original with the 90 % band of the result.",
        "",
        _line("device", "latency", "energy"),
        _line("---", "---", "---"),
    ]
    for each in row["devices"]:
        ratios = [
            "{1:.1f}x ({0:.1f} to {2:.1f})".format(*each[key]) for key in ("latency", "energy")
        ]
        lines.append(_line(each["title"], *ratios))
    return "\n".join(lines)


def _table(
    head: Sequence[str], rows: Sequence[Row], cells: Callable[[Row], Sequence[str]]
) -> str:
    lines = [_line(*head), _line(*["---"] * len(head))]
    return "\n".join([*lines, *(_line(*cells(row)) for row in rows)])


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _plain(text: str) -> str:
    """Without what would end a cell."""
    return text.replace("|", "/").replace("\n", " ")


def page(old: str, body: str) -> str:
    """RESULTS.md with another text between the markers."""
    before, _, rest = old.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{body}\n{END}{after}"


def main() -> None:
    sections = []
    for name in names():
        path = RESULTS / f"{name}.json"
        if path.is_file():
            found = json.loads(path.read_text("utf-8"))
            rows = found["rows"]
            if complete(rows):
                draw(found["title"], rows, pareto(rows), RESULTS / f"{name}.svg")
            sections.append(section(name, found))
    PAGE.write_text(page(PAGE.read_text("utf-8"), "\n\n".join(sections)), "utf-8")


if __name__ == "__main__":
    main()
