"""The charts of a job and of its result, from its events, its study and its report."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from webapp.jobs import knowledge
from webapp.jobs.charts import job_figures
from webapp.jobs.events import event_json
from webapp.jobs.models import Job, JobKind
from webapp.jobs.outcome import outcome_json
from webapp.jobs.result_charts import classes_data, classes_figure, layers_data, layers_figure
from webapp.jobs.sensitivity import (
    probe_events,
    probe_rows,
    sensitivity_data,
    sensitivity_figure,
)
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from selector.surrogate import Surrogate

CHARTED = ("metric", "candidate")


def job_charts(job: Job) -> dict[str, Any]:
    """The charts of the job page, with the original's numbers on the job's target."""
    events = [event_json(event) for event in job.events.filter(kind__in=CHARTED)]
    original, outcome = original_json(job), outcome_json(job)
    budgets = outcome["wanted"]["budgets"] if outcome else None
    if budgets is None and job.project:
        budgets = job.project.settings["budgets"]
    return {
        **job_figures(events, baseline=original, budgets=budgets),
        "sensitivity": _sensitivity(job, events),
        "baseline": original,
        "budgets": budgets,
        "outcome": outcome,
    }


def original_json(job: Job) -> dict[str, Any] | None:
    """What the original costs, as soon as PROBE knows, with bands and labels; before, its accuracy."""
    study = _study(job)
    inspected = knowledge.inspection(study) if study else None
    if study is None or inspected is None:
        return None
    surrogate, target = _predictions(study), knowledge.target_of(job)
    if surrogate is None:
        return {key: inspected["baseline"][key] for key in ("accuracy", "accuracy_kind")}
    bands = knowledge.bands_json(surrogate, target)
    return {
        **knowledge.baseline_json(inspected, surrogate, target),
        "bands": {"latency_ms": bands["latency"], "energy_mj": bands["energy"]},
        "labels": {
            "latency_ms": bands["labels"]["latency"],
            "energy_mj": bands["labels"]["energy"],
        },
    }


def result_charts(
    report: Mapping[str, Any], techniques: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The charts of the result page; ``None`` where the report has no numbers."""
    layers, classes = report.get("layers"), report.get("per_class")
    return {
        "layers": layers_figure(layers_data(layers, techniques, "ms")) if layers else None,
        "parameters": layers_figure(layers_data(layers, techniques, "params"))
        if layers
        else None,
        "classes": classes_figure(classes_data(classes)) if classes else None,
    }


def result_context(job: Job, report: Mapping[str, Any]) -> dict[str, Any]:
    """What the result page needs besides the report."""
    study = _study(job)
    inspected = knowledge.inspection(study) if study else None
    surrogate = _predictions(study) if study else None
    techniques = knowledge.techniques_json(inspected) if inspected else {}
    context: dict[str, Any] = {
        "figures": result_charts(report, techniques),
        "techniques": techniques,
        "best_log2": None,
    }
    if surrogate:
        latency, energy, storage = surrogate.best_log2(knowledge.target_of(job)).tolist()
        context["best_log2"] = {"latency": latency, "energy": energy, "storage": storage}
    return context


def _sensitivity(job: Job, events: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """A study's probes, as far as they are; a build has none of its own."""
    inspected = knowledge.inspection(job) if job.kind == JobKind.STUDY else None
    if inspected is None:
        return None
    surrogate = _predictions(job)
    rows = probe_rows(surrogate.tables) if surrogate else probe_events(events)
    layers = [layer["name"] for layer in inspected["layers"]]
    looks = knowledge.techniques_json(inspected)
    return sensitivity_figure(sensitivity_data(rows, layers, looks)) if rows else None


def _predictions(study: Job) -> Surrogate | None:
    """The study's predictions; without those that another version wrote, the page shows the rest."""
    try:
        return knowledge.surrogate(study)
    except RequestRefusedError:
        return None


def _study(job: Job) -> Job | None:
    return job if job.kind == JobKind.STUDY else job.study
