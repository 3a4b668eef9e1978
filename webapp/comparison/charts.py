"""Curves of both sides laid over each other: numbers first, figure JSON second."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404

from webapp.devices.targets import target_profile
from webapp.jobs import knowledge
from webapp.jobs.charts import tradeoff_data
from webapp.jobs.curves import recovery_data, reward_data
from webapp.jobs.events import event_json
from webapp.jobs.figure_parts import base_layout, line_trace
from webapp.jobs.models import Job
from webapp.jobs.ticks import log_range, log_ticks, two_digits
from webapp.projects.studio import candidates_json
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from django.contrib.auth.models import User

    Json = dict[str, Any]

LETTERS = ("A", "B")
ROLES = ("side-a", "side-b")


def comparison_figures(owner: User, *sides: Json) -> dict[str, Json | None]:
    """The charts of the page; ``None`` where a side has no such curve."""
    studies = [Job.objects.filter(pk=side["study"], owner=owner).first() for side in sides]
    is_one_study = sides[0]["study"] == sides[1]["study"]
    builds = [side["name"] for side in sides if side["kind"] == "build"]
    jobs = list(Job.objects.filter(pk__in=builds, owner=owner))
    by_name = {str(job.pk): job for job in jobs}
    recoveries = [by_name.get(side["name"]) for side in sides]
    return {
        "tradeoff": fronts_figure(
            fronts_data(sides, [_known(*each) for each in zip(studies, sides, strict=True)])
        ),
        "recovery": _curves(recoveries, "RECOVER", _recovery),
        "learning": None if is_one_study else _curves(studies, "SEARCH", _learning),
    }


def fronts_data(sides: Sequence[Json], known: Sequence[tuple[list[Json], Json] | None]) -> Json:
    """Where both sides sit, and the best trade-offs known for each; those of one study on one device once."""
    fronts = []
    seen = set()
    for letter, role, side, found in zip(LETTERS, ROLES, sides, known, strict=True):
        place = (side["study"], side["target"]["name"])
        if found is None or place in seen:
            continue
        seen.add(place)
        candidates, baseline = found
        data = tradeoff_data(candidates, baseline)
        front = data["fronts"]["latency"]
        fronts.append(
            {
                "letter": letter,
                "role": role,
                "name": f"Best trade-offs on {side['target']['title']}",
                "x": [data["axes"]["latency"]["x"][i] for i in front],
                "y": [data["accuracy"][i] for i in front],
                "texts": [data["texts"][i] for i in front],
                "original": [baseline["latency_ms"], data["original"]],
            }
        )
    return {
        "fronts": fronts,
        "marks": [_mark(*each) for each in zip(LETTERS, ROLES, sides, strict=True)],
    }


def fronts_figure(data: Json) -> Json:
    """A line a front, a lettered disc a side, a diamond an original."""
    is_one = len(data["fronts"]) < len(LETTERS)
    traces = [_front(front, "front" if is_one else front["role"]) for front in data["fronts"]]
    traces += [_original(front) for front in data["fronts"]]
    traces += [_disc(mark) for mark in data["marks"]]
    places = ", ".join(
        f"{mark['letter']} at {mark['ms']} ms and {mark['y']:.1f} %" for mark in data["marks"]
    )
    layout = base_layout(
        "Latency, ms (log) · lower is better", "Accuracy, %", f"Where both sit: {places}."
    )
    points = [(x, y) for trace in traces for x, y in zip(trace["x"], trace["y"], strict=True)]
    low, high = log_range([x for x, _ in points])
    ticks = log_ticks(low, high)
    layout["xaxis"] |= {"type": "log", "range": [low, high], "tickvals": ticks}
    layout["xaxis"] |= {"ticktext": [f"{tick:g}" for tick in ticks]}
    layout["yaxis"] |= {"range": _near(data), "tickformat": ".1f"}
    return {"data": traces, "layout": layout}


def _near(data: Json) -> list[float]:
    """Around what is compared: fronts reach down to networks that nobody wants."""
    values = [mark["y"] for mark in data["marks"]]
    values += [front["original"][1] for front in data["fronts"]]
    span = max(1.0, max(values) - min(values))
    return [min(values) - 0.6 * span, max(values) + 0.4 * span]


def _known(study: Job | None, side: Json) -> tuple[list[Json], Json] | None:
    """Candidates and original of the side's study on its device, where they can be read."""
    if study is None:
        return None
    try:
        surrogate, inspected = knowledge.surrogate(study), knowledge.inspection(study)
        target = target_profile(owner=study.owner, name=side["target"]["name"])
    except (
        RequestRefusedError,
        Http404,
    ):  # another version's study, or a device that is no more
        return None
    if surrogate is None or inspected is None:
        return None
    return (
        candidates_json(study, surrogate, target),
        knowledge.baseline_json(inspected, surrogate, target),
    )


def _mark(letter: str, role: str, side: Json) -> Json:
    drop = side["values"]["accuracy_drop_points"]["value"]
    known = "measured" if side["is_measured"] else "predicted"
    latency = side["values"]["latency_ms"]
    return {
        "letter": letter,
        "role": role,
        "x": latency["value"],
        "ms": _digits(latency),
        "y": 100 * side["baseline"]["accuracy"] - drop,
        "text": f"{side['title']} on {side['target']['title']}, accuracy {known}",
    }


def _digits(entry: Json) -> str:
    value: float = entry["value"]
    return f"{value:.3g}" if entry["label"] == "measured" else two_digits(value)


def _front(front: Json, role: str) -> Json:
    hover = "%{customdata}<extra></extra>"
    trace = line_trace(
        role, f"{front['letter']}: {front['name']}", front["x"], front["y"], hover
    )
    return trace | {"mode": "lines+markers", "customdata": front["texts"]}


def _original(front: Json) -> Json:
    x, y = front["original"]
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": f"{front['letter']}: original",
        "x": [x],
        "y": [y],
        "text": ["Original"],
        "textposition": "top center",  # at the right edge of a phone there is no room beside it
        "hovertemplate": f"<b>Original</b><br>{y:.1f} %<extra></extra>",
        "meta": {"role": "original"},
    }


def _disc(mark: Json) -> Json:
    return {
        "type": "scatter",
        "mode": "markers+text",
        "name": mark["letter"],
        "x": [mark["x"]],
        "y": [mark["y"]],
        "text": [mark["letter"]],
        "hovertemplate": f"<b>{mark['letter']}</b> {mark['text']}<br>%{{y:.1f}} %<extra></extra>",
        "meta": {"role": f"disc-{mark['letter'].lower()}"},
    }


def _curves(
    jobs: Sequence[Job | None], stage: str, curve: Callable[[list[Json]], Json]
) -> Json | None:
    """One curve a side; ``None`` unless both have one."""
    found = []
    for letter, role, job in zip(LETTERS, ROLES, jobs, strict=True):
        events = job.events.filter(kind="metric", stage=stage) if job else ()
        data = curve([event_json(event) for event in events])
        if not data["x"]:
            return None
        found.append(data | {"letter": letter, "role": role})
    return curves_figure(found)


def curves_figure(curves: Sequence[Json]) -> Json:
    """Both curves; ``curves`` have letter, role, x, y and the titles of the axes."""
    first = curves[0]
    hover = (
        f"%{{fullData.name}}, {first['x_title'].lower()} %{{x}}<br>%{{y:.2f}}<extra></extra>"
    )
    traces = [
        line_trace(c["role"], c["letter"], c["x"], c["y"], hover)
        | {"mode": "lines+text", "text": [*[""] * (len(c["x"]) - 1), c["letter"]]}
        | {"textposition": "top left"}
        for c in curves
    ]
    ends = ", ".join(f"{c['letter']} ends at {c['y'][-1]:.2f}" for c in curves)
    layout = base_layout(first["x_title"], first["y_title"], f"{first['y_title']}: {ends}.")
    layout["yaxis"] |= {"range": _around([y for c in curves for y in c["y"]]), "nticks": 5}
    return {"data": traces, "layout": layout}


def _recovery(events: list[Json]) -> Json:
    data = recovery_data(events, {})
    return {
        "x": data["x"],
        "y": data["accuracy"],
        "x_title": data["unit"].capitalize(),
        "y_title": "Accuracy, %",
    }


def _learning(events: list[Json]) -> Json:
    data = reward_data(events)
    return {
        "x": data["episode"],
        "y": data["average"],
        "x_title": "Episode",
        "y_title": "Average reward",
    }


def _around(values: Sequence[float]) -> list[float]:
    room = max(0.02, 0.12 * (max(values) - min(values)))
    return [min(values) - room, max(values) + room]
