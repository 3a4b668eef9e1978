"""How long a job still takes: what the engine says of its stage, and what stages took before."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from compression.types import Stage
from selector.jobfolder import CHOSEN_RECIPE, JobFolder
from selector.plan import recovery_per_validation
from webapp.jobs.models import DELIVERED, Job, JobKind, JobState, PartState
from webapp.jobs.turns import served_before

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from webapp.jobs.models import JobEvent

# Seconds on two cores for the digits sample, until this installation has jobs of its own.
FIRST_GUESS_S = {
    "INSPECT": 4.0,
    "PROBE": 30.0,
    "SEARCH": 24.0,
    "VALIDATE": 85.0,
    "RECOVER": 110.0,
    "EXPORT": 6.0,
    "MEASURE": 8.0,
    "PACKAGE": 7.0,
}
LOW, HIGH = 0.7, 1.3
RECENT_JOBS = 5
MOST_PACE = 50.0
DOUBT_S = 10.0
"""Seconds of work that count as usual beside what a job took: one stage of four seconds tells little."""

LEAST_LEFT = 0.1
"""Of a stage's usual time, when that has passed and the stage says nothing of itself."""

Ranges = dict[str, dict[str, float]]


def remaining_seconds(job: Job) -> dict[str, float] | None:
    """The range in which the job probably ends, waiting included; ``None`` when it has ended."""
    if not job.is_active:
        return None
    return _range(_waiting_s(job) + _working_s(job))


def stages_left(job: Job) -> Ranges:
    """The same of each stage that is not done, without the wait before the job."""
    if not job.is_active:
        return {}
    return {stage: _range(seconds) for stage, seconds in _left_s(job).items()}


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
    return sum(_left_s(job).values())


def _left_s(job: Job) -> dict[str, float]:
    """What each stage that is not done still takes."""
    usual = usual_seconds(job)
    pace = _pace(job, usual)
    left: dict[str, float] = {}
    for stage in job.all_stages:
        if job.stages.get(stage, {}).get("state") == "done":
            continue
        # The selector trains as long on a large network as on a small one, if the machine is as fast.
        expected_s = usual[stage] * (pace**0.5 if stage == Stage.SEARCH else pace)
        is_current = stage == job.stage
        left[stage.value] = _current_stage_s(job, expected_s) if is_current else expected_s
    return left


def usual_seconds(job: Job) -> dict[str, float]:
    """What each stage is expected to take before the job has told its own pace.

    For a build: what builds of the same study took that had the same selector and were as free to try again, else
    what its study makes likely.
    For a study: what the last ones took.
    """
    ended = Job.objects.filter(kind=job.kind, state__in=DELIVERED).order_by("-finished")
    if not job.study_id:
        return FIRST_GUESS_S | _medians(ended[:RECENT_JOBS])
    alike = [
        other
        for other in ended.filter(study=job.study_id, selector=job.selector)[: 2 * RECENT_JOBS]
        if _is_picked(other) == _is_picked(job)
    ]
    return _after_its_study(job) | _medians(alike[:RECENT_JOBS])


def _medians(jobs: Any) -> dict[str, float]:
    stages = [job.stages for job in jobs]
    found = {}
    for stage in FIRST_GUESS_S:
        seconds = [s[stage]["seconds"] for s in stages if s.get(stage, {}).get("seconds")]
        if seconds:
            found[stage] = median(seconds)
    return found


def _after_its_study(job: Job) -> dict[str, float]:
    """The same network on the same machine: a build trains as its study did, for as many steps as the plan says."""
    study = job.study
    took: float | None = study.stages.get(Stage.VALIDATE, {}).get("seconds") if study else None
    if study is None or not took:
        return dict(FIRST_GUESS_S)
    pace = (took + DOUBT_S) / (FIRST_GUESS_S["VALIDATE"] + DOUBT_S)
    folder = JobFolder(study.place)
    recovery_s = took * recovery_per_validation(folder, picked=_is_picked(job))
    return {stage: pace * s for stage, s in FIRST_GUESS_S.items()} | {"RECOVER": recovery_s}


def _is_picked(job: Job) -> bool:
    """Whether somebody picked the recipe, which is then the only one to be built."""
    return (job.place / CHOSEN_RECIPE).is_file()


def _pace(job: Job, usual: Mapping[str, float]) -> float:
    """How many times longer than usual this job takes so far: a larger network, a busier machine.

    A stage that runs counts once it has outlasted what is usual.
    """
    seconds = {
        stage: float(state["seconds"])
        for stage, state in job.stages.items()
        if state.get("state") == "done" and state.get("seconds")
    }
    elapsed_s = _elapsed_s(job) or 0.0
    if job.stage in usual and job.stage not in seconds and elapsed_s > usual[job.stage]:
        seconds[job.stage] = elapsed_s
    expected_s = sum(usual[stage] for stage in seconds)
    pace = (sum(seconds.values()) + DOUBT_S) / (expected_s + DOUBT_S)
    return min(MOST_PACE, max(1 / MOST_PACE, pace))


def _current_stage_s(job: Job, usual_s: float) -> float:
    parts = list(job.parts.filter(stage=job.stage).values_list("state", flat=True))
    if parts:
        return _shared_stage_s(job, usual_s, parts)
    last: JobEvent | None = job.events.filter(stage=job.stage, eta_s__isnull=False).last()
    if last is None or last.eta_s is None:
        return _usual_left_s(job, usual_s)
    return max(0.0, last.eta_s - (timezone.now() - last.t).total_seconds())


def _usual_left_s(job: Job, usual_s: float) -> float:
    elapsed_s = _elapsed_s(job) or 0.0
    return max(usual_s - elapsed_s, LEAST_LEFT * usual_s)


def _shared_stage_s(job: Job, usual_s: float, parts: Sequence[str]) -> float:
    """By what its parts took, but for the first, which prepares what all share; and by how many run at once.

    What the engine says they took counts, not when they ended: a job may have rested in between.
    """
    done = job.events.filter(stage=job.stage, kind="done").exclude(part__in=("", "1/1"))
    took = [row["data"].get("seconds") for row in done.values("part", "data")]
    later = [float(seconds) for seconds in took[1:] if seconds is not None]
    if not later:
        return _usual_left_s(job, usual_s)
    part_s = sum(later) / len(later)
    left, at_once = len(parts) - parts.count(PartState.DONE), parts.count(PartState.RUNNING)
    last = job.events.filter(stage=job.stage).last()
    since_s = (timezone.now() - last.t).total_seconds() if last and at_once else 0.0
    return part_s * max(0.0, left - min(1.0, since_s / max(part_s, 1e-3))) / max(1, at_once)


def _elapsed_s(job: Job) -> float | None:
    """Since the stage began."""
    started = job.stages.get(job.stage, {}).get("started")
    if not started:
        return None
    return (timezone.now() - datetime.fromisoformat(started)).total_seconds()
