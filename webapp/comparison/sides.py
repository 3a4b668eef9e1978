"""One side of a comparison, by its name in the address.

A build is named by its id. A recipe of a study is ``PROJECT@DEVICE``, what is recommended there for the saved
goals; ``PROJECT@DEVICE@original``, nothing changed; or ``PROJECT@DEVICE@3.0x12.5``, a configuration.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.http import Http404
from django.urls import reverse

from selector.request import USUAL
from webapp.comparison.configs import config_of
from webapp.devices.targets import target_profile
from webapp.jobs import artifacts, knowledge
from webapp.jobs.outcome import measured_outcome
from webapp.jobs.queries import job_get, target_json, target_title
from webapp.jobs.selectors import selector_json
from webapp.jobs.services import is_delivered
from webapp.projects import answers
from webapp.projects.queries import project_get
from webapp.projects.studio import layer_text
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from django.contrib.auth.models import User

    from selector.policy import Policy
    from webapp.jobs.models import Job
    from webapp.projects.models import Project

ORIGINAL, RECOMMENDED = "original", "Recommended"
HERE = "this-host"

SHOWN = ("layer", "technique", "level", "stored", "why")
NUMBERS = tuple(
    f"{name}_{when}" for name in ("params", "macs", "ms") for when in ("before", "after")
)


def side_json(*, owner: User, name: str) -> dict[str, Any]:
    """What is compared: its values with bands, the original's, and its layers in order.

    Raises:
        RequestRefusedError: when the name means nothing, or there is nothing to compare yet.
    """
    head, *recipe = name.split("@", 2)
    key = _id(head)
    if recipe:
        return _recipe(project_get(owner=owner, project_id=key), name, *recipe)
    return _build(job_get(owner=owner, job_id=key), name)


def _id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise RequestRefusedError(
            f"{text!r} names nothing that can be compared. Choose two sides on the page.",
            status=404,
        ) from error


def _recipe(project: Project, name: str, device: str, config: str = "") -> dict[str, Any]:
    target = target_profile(owner=project.owner, name=device)
    wanted = {**project.settings, "target": target.name}
    policy, job = answers.policy_of(project), project.study.job
    inspected = (knowledge.inspection(job) if job else None) or {}
    title, chosen = _titled(project, policy, wanted, config)
    found = answers.selection(project, wanted, chosen)
    baseline = knowledge.baseline_json(inspected, policy.surrogate, target)
    prediction = dict(found["prediction"])
    return {
        "name": name,
        "kind": "recipe",
        "title": title,
        "is_measured": False,
        "url": reverse("studio", args=[project.id]),
        "project": {"id": str(project.id), "name": project.name},
        "study": str(job.pk) if job else None,
        "model_sha256": project.model.sha256,
        "target": target_json(target.name, target.title),
        "accuracy_kind": inspected["baseline"]["accuracy_kind"],
        "baseline": baseline | {key: inspected[key] for key in ("params", "macs")},
        "values": _exact(prediction, "params", "macs"),
        "layers": _layers(found["layers"], inspected),
    }


def _titled(
    project: Project, policy: Policy, wanted: dict[str, Any], config: str
) -> tuple[str, list[int]]:
    """What a recipe is called, and its configuration. Only what may be recommended asks for it: deep networks take seconds."""
    if config == ORIGINAL:
        return "Original", policy.surrogate.space.untouched()[0].tolist()
    picked = _read(config) if config else []
    recommended = list(answers.config_of(project, policy, wanted, None))
    if picked and picked != recommended:
        return "Picked recipe", picked
    return RECOMMENDED, recommended


def _read(config: str) -> list[int]:
    try:
        return config_of(config)
    except ValueError as error:
        raise RequestRefusedError("This recipe cannot be read from the address.") from error


def _build(job: Job, name: str) -> dict[str, Any]:
    report = artifacts.report(job)
    if report is None or not is_delivered(job):
        raise Http404("This build has no result yet, so there is nothing to compare.")
    outcome, study = measured_outcome(report), job.study
    inspected = (knowledge.inspection(study) if study else None) or {"layers": []}
    values = outcome["estimate"] | {
        key: report["result"].get(key) for key in ("params", "macs")
    }
    values["accuracy_drop_points"] = _with_interval(report)
    if report["target"] == HERE:
        values["latency_ms"] = _timed(report)
    sides = {key: report["baseline"].get(key) for key in ("params", "macs")}
    return {
        "name": name,
        "kind": "build",
        "title": build_title(job),
        "is_measured": True,
        "url": reverse("job-result", args=[job.id]),
        "project": {"id": str(job.project.id), "name": job.project.name}
        if job.project
        else None,
        "study": str(study.pk) if study else None,
        "model_sha256": report.get("model_sha256", ""),
        "target": target_json(job.target, target_title(job)),
        "accuracy_kind": report["result"].get("accuracy_kind", "accuracy"),
        "baseline": outcome["baseline"] | sides,
        "values": _exact(values, "params", "macs"),
        "layers": _layers(report.get("layers", []), inspected),
    }


def build_title(job: Job, device: str = "") -> str:
    """When a build was asked for, for which device, and who found its recipe where that is not the usual selector."""
    for_device = f" for {device}" if device else ""
    found_by = "" if job.selector == USUAL else f", by {selector_json(job.selector)['inside']}"
    return f"Build of {job.created:%-d %b, %H:%M}{for_device}{found_by}"


def _with_interval(report: Mapping[str, Any]) -> dict[str, Any]:
    """The points lost, with their paired interval."""
    drop = report["accuracy_drop_points"]
    low, high = report.get("accuracy_drop_ci_points", (drop, drop))
    return {"value": drop, "low": low, "high": high, "label": "measured"}


def _timed(report: Mapping[str, Any]) -> dict[str, Any]:
    """Milliseconds here, with what the paired rounds leave open."""
    latency_ms, ratio = (
        report["result"]["host_latency_ms"]["p50"],
        report["ratios"]["host_latency"],
    )
    low, high = report.get("ratio_ranges", {}).get("host_latency", (ratio, ratio))
    ends = {"low": latency_ms * ratio / high, "high": latency_ms * ratio / low}
    return {"value": latency_ms, "label": "measured", **ends}


def _exact(values: dict[str, Any], *counted: str) -> dict[str, Any]:
    """Counts in the shape of the other values; what an older report does not know is left out."""
    known = {key: float(values[key]) for key in counted if values.get(key) is not None}
    others = {key: value for key, value in values.items() if key not in counted}
    return others | {
        key: {"value": value, "low": value, "high": value, "label": "exact"}
        for key, value in known.items()
    }


def _layers(rows: list[dict[str, Any]], inspected: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The layers with what the graph needs: kind in words, shape, and what each reads."""
    facts = {layer["name"]: layer for layer in inspected["layers"]}
    return [
        {key: row.get(key) or "" for key in SHOWN}
        | {key: row[key] for key in NUMBERS if key in row}
        | _place(facts.get(row["layer"]))
        for row in rows
    ]


def _place(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    if facts is None:
        return {"text": "", "shape": [], "reads": None}
    return {
        "text": layer_text(dict(facts)),
        "shape": facts["out_shape"],
        "reads": facts["reads"],
    }
