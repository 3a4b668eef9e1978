"""Who works on a job. Everything here is one conditional update, so two can never both win."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any

import psutil
from django.conf import settings
from django.db import transaction
from django.db.models import F, Q
from django.db.models.functions import Coalesce
from django.utils import timezone

from webapp.datafolder import this_host
from webapp.jobs.models import ACTIVE, Job, JobState

if TYPE_CHECKING:
    from uuid import UUID


class Stop(StrEnum):
    """What a user may ask of a job that runs or waits."""

    CANCEL = "cancel"
    PAUSE = "pause"
    FINISH = "finish"  # soon, with the best so far


CANCELLED_TEXT = "Stopped on request. What was finished is kept."


class LeaseLostError(Exception):
    """Another attempt owns the job now; whatever this one still does must not be written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The right to work on a job, as one numbered attempt."""

    job_id: UUID
    attempt: int

    @property
    def rows(self) -> Any:
        """The job's row, as long as it is this attempt's."""
        return Job.objects.filter(pk=self.job_id, attempt=self.attempt, state=JobState.RUNNING)

    def write(self, **fields: Any) -> None:
        """Change the job.

        Raises:
            LeaseLostError: when it belongs to another attempt.
        """
        if not self.rows.update(**fields):
            raise LeaseLostError(str(self.job_id))

    def beat(self) -> None:
        """Say that this attempt is alive."""
        self.write(heartbeat=timezone.now())

    def stop_requested(self) -> Stop | None:
        """What the user asked for, if anything.

        Raises:
            LeaseLostError: when the job belongs to another attempt, or was deleted.
        """
        return stop_requested(self.rows, str(self.job_id))

    def finish(self, state: JobState, *, message: str = "", reference: str = "") -> None:
        """End the job."""
        self.write(
            state=state,
            message=message,
            reference=reference,
            pause_requested=False,
            finished=timezone.now(),
        )

    def hand_over(self) -> None:
        """Give the rest of the job away: it waits for a worker, or rests or ends as was asked."""
        self.write(state=JobState.QUEUED, queued=timezone.now(), worker="")
        settle(self.job_id)


def claim(job_id: UUID | str) -> Lease | None:
    """The lease of a queued job, or ``None`` when somebody else was quicker or it has ended."""
    now = timezone.now()
    with transaction.atomic():
        claimed = Job.objects.filter(
            pk=job_id, state=JobState.QUEUED, cancel_requested=False, pause_requested=False
        ).update(
            state=JobState.RUNNING,
            attempt=F("attempt") + 1,
            worker=this_worker(),
            heartbeat=now,
            started=Coalesce("started", now),
        )
        if not claimed:
            return None
        job = Job.objects.only("attempt").get(pk=job_id)
    return Lease(job.pk, job.attempt)


def stop_requested(rows: Any, name: str) -> Stop | None:
    """What was asked of the job that ``rows`` still has.

    Raises:
        LeaseLostError: when they have none any more.
    """
    asked = rows.values_list("cancel_requested", "pause_requested", "finish_requested").first()
    if asked is None:
        raise LeaseLostError(name)
    return next((wish for wish, is_asked in zip(Stop, asked, strict=True) if is_asked), None)


def settle(job_id: UUID) -> None:
    """Do at once what was asked of a job that waits: nobody would claim it."""
    waiting = Job.objects.filter(pk=job_id, state__in=(JobState.QUEUED, JobState.PAUSED))
    waiting.filter(cancel_requested=True).update(
        state=JobState.CANCELLED,
        pause_requested=False,
        finished=timezone.now(),
        message=CANCELLED_TEXT,
    )
    waiting.filter(pause_requested=True).update(state=JobState.PAUSED, pause_requested=False)


def unsettled() -> list[UUID]:
    """Jobs that wait with a wish which nobody settled: whoever should have died in between."""
    asked = Q(cancel_requested=True) | Q(pause_requested=True)
    waiting = Job.objects.filter(asked, state__in=(JobState.QUEUED, JobState.PAUSED))
    return list(waiting.values_list("pk", flat=True))


def resume(job_id: UUID) -> bool:
    """Queue a paused job again; false when it is not paused."""
    return bool(
        Job.objects.filter(pk=job_id, state=JobState.PAUSED).update(
            state=JobState.QUEUED, pause_requested=False, queued=timezone.now()
        )
    )


def lost_leases() -> list[Job]:
    """Running jobs whose worker went silent, or is known to be dead because it ran here."""
    silent_since = timezone.now() - timedelta(seconds=settings.LEASE_LOST_S)
    here = f"{this_host(settings.ADADEEP_HOME)}:"
    running = Job.objects.filter(state=JobState.RUNNING)
    suspects = running.filter(Q(heartbeat__lt=silent_since) | Q(worker__startswith=here))
    return [job for job in suspects if _is_lost(job, here)]


def take_back(job: Job) -> JobState | None:
    """Queue a lost job again, or give it up after its last attempt; ``None`` if it moved on or is gone."""
    lost = job.lost + 1
    given_up = lost >= settings.LEASE_ATTEMPTS
    state = JobState.FAILED if given_up else JobState.QUEUED
    if job.cancel_requested:
        state = JobState.CANCELLED
    now = timezone.now()
    message = (
        f"The worker stopped answering {lost} times at {job.stage.capitalize()}. "
        "What was finished is kept; try again with a smaller model or more memory."
    )
    # The heartbeat in the condition: a worker that was only slow and has just beaten keeps its job.
    changed = Job.objects.filter(
        pk=job.pk, attempt=job.attempt, state=JobState.RUNNING, heartbeat=job.heartbeat
    ).update(
        state=state,
        # Raised here too, so that nothing the old attempt still writes can land.
        attempt=F("attempt") + 1,
        lost=lost,
        queued=now,
        worker="",
        finished=None if state in ACTIVE else now,
        message=message if state == JobState.FAILED else "",
    )
    if not changed:
        return None
    settle(job.pk)
    after = Job.objects.filter(pk=job.pk).values_list("state", flat=True).first()
    return JobState(after) if after else None


def release_all_here() -> int:
    """Queue what ran on this host, when its workers have been stopped in good order."""
    running = Job.objects.filter(
        state=JobState.RUNNING, worker__startswith=f"{this_host(settings.ADADEEP_HOME)}:"
    )
    asked = list(running.filter(Q(cancel_requested=True) | Q(pause_requested=True)))
    released = running.update(
        state=JobState.QUEUED, attempt=F("attempt") + 1, queued=timezone.now(), worker=""
    )
    for job in asked:
        settle(job.pk)
    return released


@cache
def _process_name(pid: int) -> str:
    return f"{pid}:{psutil.Process(pid).create_time():.2f}"


def this_worker() -> str:
    """Host, process and its start: enough to see later whether it still lives."""
    return f"{this_host(settings.ADADEEP_HOME)}:{_process_name(os.getpid())}"


def _is_lost(job: Job, here: str) -> bool:
    if not job.worker.startswith(here):
        return True
    silent = job.heartbeat is None or (
        (timezone.now() - job.heartbeat).total_seconds() > settings.LEASE_LOST_S
    )
    return silent or not is_alive(job.worker)


def is_alive(worker: str) -> bool:
    """Whether that process of this host still runs (and is not another with its number)."""
    _, pid, started = worker.rsplit(":", 2)
    try:
        process = psutil.Process(int(pid))
        same = abs(process.create_time() - float(started)) < 1.0
        return bool(same and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
