"""How long a job still takes: what the engine says of its stage, and what stages took before."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from webapp.jobs.models import DELIVERED, Job, JobKind, JobState, PartState
from webapp.jobs.turns import served_before

if TYPE_CHECKING:
    from webapp.jobs.models import JobEvent

# Seconds on two cores for the digits sample, until this installation has jobs of its own.
FIRST_GUESS_S = {
    "INSPECT": 4.0,
    "PROBE": 10.0,
    "SEARCH": 30.0,
    "VALIDATE": 60.0,
    "RECOVER": 90.0,
    "EXPORT": 3.0,
    "MEASURE": 4.0,
    "PACKAGE": 4.0,
}
LOW, HIGH = 0.7, 1.3
RECENT_JOBS = 5
MOST_PACE = 50.0
LEAST_LEFT = 0.1
"""Of a stage's usual time, when that has passed and the stage says nothing of itself."""


def remaining_seconds(job: Job) -> dict[str, float] | None:
    """The range in which the job probably ends, waiting included; ``None`` when it has ended."""
    if not job.is_active:
        return None
    return _range(_waiting_s(job) + _working_s(job))


def starts_in_seconds(job: Job) -> dict[str, float] | None:
    """The range in which a job that waits probably starts; ``None`` when it does not wait."""
    return _range(_waiting_s(job)) if job.state == JobState.QUEUED else None


def _range(seconds: float) -> dict[str, float]:
    return {"low_s": round(LOW * seconds, 1), "high_s": round(HIGH * seconds, 1)}


def _waiting_s(job: Job) -> float:
    """What the jobs that are served before it still take, shared by as many workers as work now."""
    if job.state != JobState.QUEUED:
        return 0.0
    running = list(Job.objects.filter(state=JobState.RUNNING))
    left = sum(_working_s(each) for each in running)
    ahead = served_before(job)
    for kind in JobKind:
        alike = [each for each in ahead if each.kind == kind]
        if alike:
            left += len(alike) * _working_s(alike[0])
    return left / max(1, len(running))


def _working_s(job: Job) -> float:
    """What its own stages still take."""
    usual = usual_seconds(job)
    pace = _pace(job, usual)
    left = 0.0
    for stage in job.all_stages:
        if job.stages.get(stage, {}).get("state") == "done":
            continue
        expected_s = pace * usual[stage]
        left += _current_stage_s(job, expected_s) if stage == job.stage else expected_s
    return left


def usual_seconds(job: Job) -> dict[str, float]:
    """What each stage took in the last jobs: builds of the same study, else any of the kind."""
    ended = Job.objects.filter(kind=job.kind, state__in=DELIVERED).order_by("-finished")
    alike = ended.filter(study=job.study_id) if job.study_id else ended.none()
    recent = alike if alike.exists() else ended
    stages: list[dict[str, Any]] = list(recent.values_list("stages", flat=True)[:RECENT_JOBS])
    result = dict(FIRST_GUESS_S)
    for stage in result:
        seconds = [s[stage]["seconds"] for s in stages if s.get(stage, {}).get("seconds")]
        if seconds:
            result[stage] = median(seconds)
    return result


def _pace(job: Job, usual: dict[str, float]) -> float:
    """How many times longer than usual this job's finished stages took: a larger network, a busier machine."""
    seconds = {
        stage: state["seconds"]
        for stage, state in job.stages.items()
        if state.get("state") == "done" and state.get("seconds")
    }
    if not seconds:
        return 1.0
    pace = sum(seconds.values()) / sum(usual[stage] for stage in seconds)
    return float(min(MOST_PACE, max(1 / MOST_PACE, pace)))


def _current_stage_s(job: Job, usual_s: float) -> float:
    parts = list(job.parts.filter(stage=job.stage).values_list("state", flat=True))
    if parts:
        return _shared_stage_s(job, usual_s, parts.count(PartState.DONE) / len(parts))
    last: JobEvent | None = job.events.filter(stage=job.stage, eta_s__isnull=False).last()
    if last is None or last.eta_s is None:
        return _usual_left_s(job, usual_s)
    return max(0.0, last.eta_s - (timezone.now() - last.t).total_seconds())


def _usual_left_s(job: Job, usual_s: float) -> float:
    elapsed_s = _elapsed_s(job) or 0.0
    return max(usual_s - elapsed_s, LEAST_LEFT * usual_s)


def _shared_stage_s(job: Job, usual_s: float, share_done: float) -> float:
    """By how fast its parts have come so far, whoever does them."""
    elapsed_s = _elapsed_s(job)
    if not share_done or elapsed_s is None:
        return _usual_left_s(job, usual_s)
    return elapsed_s / share_done * (1 - share_done)


def _elapsed_s(job: Job) -> float | None:
    """Since the stage began."""
    started = job.stages.get(job.stage, {}).get("started")
    if not started:
        return None
    return (timezone.now() - datetime.fromisoformat(started)).total_seconds()
