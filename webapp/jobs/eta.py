"""How long a job still takes: what the engine says of its stage, and what stages took before."""

from __future__ import annotations

from datetime import datetime
from statistics import median
from typing import TYPE_CHECKING, Any

from django.utils import timezone

from compression.types import Stage
from selector.jobfolder import CHOSEN_RECIPE, JobFolder
from selector.plan import recovery_per_validation, validation_steps
from webapp.jobs.models import DELIVERED, Job, JobKind, JobState, PartState
from webapp.jobs.sandbox import converters
from webapp.jobs.turns import served_before

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from django.db.models import QuerySet

    from webapp.jobs.models import JobEvent, JobPart

# Seconds on two cores for the digits sample, until this installation has jobs of its own.
FIRST_GUESS_S = {
    "INSPECT": 4.0,
    "PROBE": 30.0,
    "SEARCH": 24.0,
    "VALIDATE": 85.0,
    "RECOVER": 110.0,
    "EXPORT": 4.0,
    "MEASURE": 5.0,
    "PACKAGE": 4.0,
}
SHORT = (Stage.EXPORT, Stage.MEASURE, Stage.PACKAGE)
"""Stages of a build that start an engine and do little else."""

FIRST_GUESS_STEPS = 3600
FIRST_GUESS_CANDIDATES = 12
"""Optimiser steps and candidates of that VALIDATE."""

CANDIDATE = 0.65
"""What building and measuring a candidate takes beside its training, of INSPECT's time: both start an engine, read and time a network."""

LEAST_TRAINED = 0.4
"""Of VALIDATE's time, what is training in any case."""

CONVERTER_S = 8.0
"""What PACKAGE takes longer for each converter to another runtime's format that is installed."""

LATER_APART = 0.7
"""What a part that times whole networks takes, of one that times operations."""

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
    usual, told_s = usual_seconds(job), _told_left_s(job)
    pace = _pace(job, usual, told_s)
    left: dict[str, float] = {}
    for stage in job.all_stages:
        if job.stages.get(stage, {}).get("state") == "done":
            continue
        expected_s = usual[stage] * pace ** (0.5 if _is_steady(job, stage) else 1.0)
        if stage == job.stage:
            expected_s = _usual_left_s(job, expected_s) if told_s is None else told_s
        left[stage.value] = expected_s
    return left


def _is_steady(job: Job, stage: Stage) -> bool:
    """Whether a stage takes about as long for a large network as for a small one, if the machine is as fast.

    The selector trains on both alike, candidates of a large one get fewer steps, and short stages mostly start an engine.
    A first study tells of the machine.
    """
    if stage == Stage.VALIDATE:
        return not job.study_id and _ended(job).exists()
    return stage == Stage.SEARCH or stage in SHORT


def usual_seconds(job: Job) -> dict[str, float]:
    """What each stage is expected to take before the job has told its own pace.

    For a build: what builds of the same study took that had the same selector and were as free to try again, else
    what its study makes likely.
    For a study: what the last ones took, and VALIDATE as the steps are that are planned.
    """
    if not job.study_id:
        recent = _ended(job)[:RECENT_JOBS]
        return first_guess_s() | _medians(recent) | {"VALIDATE": _validation_s(job, recent)}
    of_its_study = _ended(job).filter(study=job.study_id, selector=job.selector)
    alike = [
        other
        for other in of_its_study[: 2 * RECENT_JOBS]
        if _is_picked(other) == _is_picked(job)
    ]
    return _after_its_study(job) | _medians(alike[:RECENT_JOBS])


def _ended(job: Job) -> QuerySet[Job]:
    """Jobs of the same kind that are done, the last first."""
    return Job.objects.filter(kind=job.kind, state__in=DELIVERED).order_by("-finished")


def _validation_s(job: Job, recent: Iterable[Job]) -> float:
    """What VALIDATE would have taken in other studies with as many steps of training as this one plans."""
    steps = validation_steps(JobFolder(job.place))
    found = []
    for study in recent:
        took_s = study.stages.get(Stage.VALIDATE, {}).get("seconds")
        if took_s:
            had = validation_steps(JobFolder(study.place))
            found.append(_with_steps(took_s, _trained_s(study, took_s), steps, had))
    guess_s = FIRST_GUESS_S["VALIDATE"]
    trained_s = guess_s - FIRST_GUESS_CANDIDATES * CANDIDATE * FIRST_GUESS_S["INSPECT"]
    return median(found) if found else _with_steps(guess_s, trained_s, steps, FIRST_GUESS_STEPS)


def _with_steps(took_s: float, trained_s: float, steps: int | None, had: int | None) -> float:
    return took_s + trained_s * (steps / had - 1.0) if steps and had else took_s


def first_guess_s() -> dict[str, float]:
    """Of each stage, on this installation."""
    package_s = FIRST_GUESS_S["PACKAGE"] + CONVERTER_S * len(converters())
    return FIRST_GUESS_S | {"PACKAGE": package_s}


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
        return first_guess_s()
    pace = (took + DOUBT_S) / (FIRST_GUESS_S["VALIDATE"] + DOUBT_S)
    folder = JobFolder(study.place)
    recovery_s = _trained_s(study, took) * recovery_per_validation(
        folder, picked=_is_picked(job)
    )
    guess_s = first_guess_s()
    return {stage: pace**0.5 * guess_s[stage] for stage in SHORT} | {"RECOVER": recovery_s}


def _trained_s(study: Job, took_s: float) -> float:
    """What of VALIDATE was training, the rest being what each candidate takes besides."""
    inspect_s = study.stages.get(Stage.INSPECT, {}).get("seconds") or 0.0
    candidates = study.parts.filter(stage=Stage.VALIDATE).count()
    return max(LEAST_TRAINED * took_s, took_s - candidates * CANDIDATE * inspect_s)


def _is_picked(job: Job) -> bool:
    """Whether somebody picked the recipe, which is then the only one to be built."""
    return (job.place / CHOSEN_RECIPE).is_file()


def _pace(job: Job, usual: Mapping[str, float], told_s: float | None) -> float:
    """How many times longer than usual this job takes so far: a larger network, a busier machine.

    A stage that runs counts as long as it says that it will be, with ``told_s`` left; one that says nothing once
    it has outlasted what is usual.
    """
    seconds = {
        stage: float(state["seconds"])
        for stage, state in job.stages.items()
        if state.get("state") == "done" and state.get("seconds")
    }
    if job.stage in usual and job.stage not in seconds:
        elapsed_s = _elapsed_s(job) or 0.0
        if told_s is not None or elapsed_s > usual[job.stage]:
            seconds[job.stage] = elapsed_s + (told_s or 0.0)
    expected_s = sum(usual[stage] for stage in seconds)
    pace = (sum(seconds.values()) + DOUBT_S) / (expected_s + DOUBT_S)
    return min(MOST_PACE, max(1 / MOST_PACE, pace))


def _told_left_s(job: Job) -> float | None:
    """What the stage that runs says of itself: by its parts, else by its own count; ``None`` while it cannot tell."""
    parts = list(job.parts.filter(stage=job.stage).order_by("number"))
    if not parts:
        return _counted_left_s(job)
    return _shared_stage_s(job, parts)


def _counted_left_s(job: Job, **which: str | int) -> float | None:
    """What the engine said last of the stage, or of the part, that it works on."""
    said = job.events.filter(stage=job.stage, eta_s__isnull=False, **which)
    last: JobEvent | None = said.last()
    if last is None or last.eta_s is None:
        return None
    return max(0.0, last.eta_s - (timezone.now() - last.t).total_seconds())


def _usual_left_s(job: Job, usual_s: float) -> float:
    elapsed_s = _elapsed_s(job) or 0.0
    return max(usual_s - elapsed_s, LEAST_LEFT * usual_s)


def _shared_stage_s(job: Job, parts: Sequence[JobPart]) -> float | None:
    """By what its parts took, but for the first, which prepares what all share; and by how many run at once.

    What the engine says they took counts, not when they ended: a job may have rested in between. Those that are apart are
    unlike the others and say themselves what they have left.
    """
    unlike = {parts[0].label, *(part.label for part in parts if part.apart)}
    done = job.events.filter(stage=job.stage, kind="done").exclude(
        part__in=("", "1/1", *unlike)
    )
    took = [row["data"].get("seconds") for row in done.values("data")]
    later = [float(seconds) for seconds in took if seconds is not None]
    apart_s = _apart_left_s(job, parts)
    if not later or apart_s is None:
        return None
    part_s = sum(later) / len(later)
    at_once = sum(part.state == PartState.RUNNING for part in parts)
    left = sum(part.state != PartState.DONE for part in parts if not part.apart)
    last = job.events.filter(stage=job.stage).last()
    since_s = (timezone.now() - last.t).total_seconds() if last and at_once else 0.0
    later_s = part_s * max(0.0, left - min(1.0, since_s / max(part_s, 1e-3)))
    return (later_s + apart_s) / max(1, at_once)


def _apart_left_s(job: Job, parts: Sequence[JobPart]) -> float | None:
    """What the parts that are apart still take, if there are any; ``None`` until the first of them has told."""
    left = [part for part in parts if part.apart and part.state != PartState.DONE]
    if not left:
        return 0.0
    told = {part.number: _attempt_left_s(job, part) for part in left}
    usual_s = _one_apart_s(job, parts, told)
    if usual_s is None:
        return None
    expected = {part.number: usual_s * (LATER_APART if part.needs else 1.0) for part in left}
    return sum(expected[n] if s is None else s for n, s in told.items())


def _one_apart_s(
    job: Job, parts: Sequence[JobPart], told: Mapping[int, float | None]
) -> float | None:
    """What a part of the first round apart takes: as one took that is done, or will have taken that runs."""
    for part in (part for part in parts if part.apart and not part.needs):
        done = job.events.filter(stage=job.stage, part=part.label, kind="done")
        took = [float(row["data"].get("seconds") or 0.0) for row in done.values("data")]
        if took:
            return max(took)  # found done already, it takes nothing
        left_s, began = told.get(part.number), _attempt_began(job, part)
        if left_s is not None and began is not None:
            return left_s + (timezone.now() - began.t).total_seconds()
    return None


def _attempt_left_s(job: Job, part: JobPart) -> float | None:
    """What a part that runs has said of itself since it was begun last: it may have rested, or been lost."""
    began = _attempt_began(job, part)
    if began is None or part.state != PartState.RUNNING:
        return None
    return _counted_left_s(job, part=part.label, seq__gt=began.seq)


def _attempt_began(job: Job, part: JobPart) -> JobEvent | None:
    """Its engine counts from nothing when it begins, which a newer count may have replaced."""
    said = job.events.filter(stage=job.stage, part=part.label)
    found: JobEvent | None = said.filter(kind="progress", done=0).last() or said.first()
    return found


def _elapsed_s(job: Job) -> float | None:
    """Since the stage began."""
    started = job.stages.get(job.stage, {}).get("started")
    if not started:
        return None
    return (timezone.now() - datetime.fromisoformat(started)).total_seconds()
