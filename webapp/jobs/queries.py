"""Jobs as the pages see them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from django.http import Http404
from django.urls import reverse

from compression.errors import CompressionError
from webapp.jobs.artifacts import report
from webapp.jobs.eta import remaining_seconds, stages_left, starts_in_seconds
from webapp.jobs.events import event_json
from webapp.jobs.knowledge import target_of
from webapp.jobs.models import (
    CAN_FINISH,
    DELIVERED,
    UNFINISHED,
    Artifact,
    Job,
    JobEvent,
    JobKind,
)
from webapp.jobs.selectors import selector_json
from webapp.jobs.turns import served_before
from webapp.responses import GONE

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime
    from uuid import UUID

    from django.contrib.auth.models import User

MOST_EVENTS = 5000
MOST_DIGITS = 9
"""Of an event's number: no job tells so much, and databases take no number of any length."""


def job_get(*, owner: User, job_id: UUID) -> Job:
    """The owner's job; a stranger gets 404."""
    job = Job.objects.select_related("project").filter(pk=job_id, owner=owner).first()
    if job is None:
        raise Http404("There is no such job.")
    return job


def job_json(job: Job) -> dict[str, Any]:
    """The job, with its stages, its best result so far and its files."""
    project = job.project
    return {
        "id": str(job.id),
        "kind": job.kind,
        "state": job.state,
        "stage": job.stage,
        "stages": _stages_with_time(job),
        "eta": remaining_seconds(job),
        "message": job.message,
        "reference": job.reference,
        "project": {"id": str(project.id), "name": project.name} if project else None,
        "target": target_json(job.target, target_title(job)),
        "selector": selector_json(job.selector) if job.kind == JobKind.BUILD else None,
        "last_seq": job.last_seq,
        "created": _iso(job.created),
        "started": _iso(job.started),
        "finished": _iso(job.finished),
        "cancel_requested": job.cancel_requested,
        "pause_requested": job.pause_requested,
        "finish_requested": job.finish_requested,
        "can_finish": can_finish(job),
        "queue_position": queue_position(job),
        "starts_in": starts_in_seconds(job),
        "best": best_so_far(job),
        "artifacts": [artifact_json(artifact) for artifact in job.artifacts.all()],
    }


def report_get(job: Job) -> dict[str, Any]:
    """The report of a build that has ended with one.

    Raises:
        Http404: before that, and where the file is gone.
    """
    if job.kind != JobKind.BUILD or job.state not in DELIVERED:
        raise Http404("This job has no result yet. Ask for its state.")
    found = report(job)
    if found is None:
        raise Http404(f"This build's report {GONE}")
    return found


def can_finish(job: Job) -> bool:
    """Whether the job could be told to end soon with the best that it has found."""
    return job.state in UNFINISHED and job.stage in CAN_FINISH and not job.finish_requested


def target_title(job: Job) -> str:
    """The title of the job's device; its name where no profile tells it any more."""
    try:
        return target_of(job).title
    except CompressionError:
        return job.target


def stages_json(job: Job) -> list[dict[str, Any]]:
    """State, seconds and a detail of each stage, in order."""
    waiting = {"state": "waiting", "seconds": None, "detail": ""}
    return [
        {"stage": stage.value, **waiting, **job.stages.get(stage, {})}
        for stage in job.all_stages
    ]


def _stages_with_time(job: Job) -> list[dict[str, Any]]:
    """Each stage that is not done also tells in which range of seconds it probably will be."""
    left = stages_left(job)
    return [{**row, "eta": left.get(row["stage"])} for row in stages_json(job)]


def artifact_json(artifact: Artifact) -> dict[str, Any]:
    """A file that the job offers."""
    return {
        "name": artifact.name,
        "size_bytes": artifact.size_bytes,
        "sha256": artifact.sha256,
        "url": reverse("job-file", args=[artifact.job_id, artifact.name]),
        "format": artifact.format,
        "primary": artifact.primary,
    }


def event_number(said: object) -> int:
    """The number of an event as a page says it; 0, which is before the first, for what is none."""
    text = str(said)
    return int(text) if text.isdecimal() and len(text) <= MOST_DIGITS else 0


def events_after(job: Job, seq: int) -> list[dict[str, Any]]:
    """The job's events with a higher number, in order."""
    events = JobEvent.objects.filter(job=job, seq__gt=seq).order_by("seq")
    return [event_json(event) for event in events[:MOST_EVENTS]]


def best_so_far(job: Job) -> dict[str, Any] | None:
    """Of the candidates that were built for real, else of those that were scored, the best: within a point, fast and small."""
    events = job.events.filter(kind="candidate")
    found: list[dict[str, Any]] = [e.data for e in events if "latency_ms" in e.data]
    built = [data for data in found if data.get("validated")]
    return min(built or found, key=_cost, default=None)


def _cost(candidate: Mapping[str, Any]) -> float:
    """As pages compare candidates while they come (``isBetter`` of ``job-events.js``)."""
    excess = max(0.0, float(candidate["drop_points"]) - 1.0)
    return 10 * excess + math.log2(candidate["latency_ms"]) + math.log2(candidate["size_bytes"])


def queue_position(job: Job) -> int | None:
    """How many jobs are served before this one, as turns are now; ``None`` when it does not wait."""
    return len(served_before(job)) if job.state == "queued" else None


def target_json(name: str, title: str) -> dict[str, str]:
    """The target with its title, and how that reads inside a sentence."""
    inside = f"this {title[5:]}" if title.startswith("This ") else title
    return {"name": name, "title": title, "inside": inside}


def _iso(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="milliseconds") if moment else None
