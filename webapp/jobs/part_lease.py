"""Who works on which part of a stage: like the job's own lease, one row a part."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import F, Q
from django.utils import timezone

from webapp.datafolder import this_host
from webapp.jobs.lease import LeaseLostError, Stop, is_alive, stop_requested, this_worker
from webapp.jobs.models import ACTIVE, Job, JobPart, PartState

if TYPE_CHECKING:
    from uuid import UUID

    from compression.types import Stage
    from selector.plan import Rounds

LEFT_TO_THE_LEAD = 2
"""A part that has cost so many workers is left to the one that holds the job, whose losses are counted."""


@dataclass(frozen=True, slots=True)
class PartLease:
    """The right to work on one part, as one numbered attempt. It outlives the loss of the job's own worker."""

    job_id: UUID
    part_id: int
    label: str
    attempt: int

    @property
    def rows(self) -> Any:
        """The job's row, as long as the part is this attempt's and the job goes on."""
        return Job.objects.filter(
            pk=self.job_id,
            state__in=ACTIVE,
            parts__pk=self.part_id,
            parts__attempt=self.attempt,
            parts__state=PartState.RUNNING,
        )

    def beat(self) -> None:
        """Say that this attempt is alive.

        Raises:
            LeaseLostError: when the part belongs to another attempt.
        """
        self._write(heartbeat=timezone.now())

    def stop_requested(self) -> Stop | None:
        """What the user asked for, if anything.

        Raises:
            LeaseLostError: when the part belongs to another attempt, or the job has ended or rests.
        """
        return stop_requested(self.rows, self.label)

    def finish(self) -> None:
        """The part has left its result."""
        self._write(state=PartState.DONE, worker="")

    def give_back(self) -> None:
        """Leave the part to others; nothing happens when they have it already."""
        self._mine.update(state=PartState.WAITING, worker="")

    def _write(self, **fields: Any) -> None:
        if not self._mine.update(**fields):
            raise LeaseLostError(self.label)

    @property
    def _mine(self) -> Any:
        return JobPart.objects.filter(
            pk=self.part_id, attempt=self.attempt, state=PartState.RUNNING
        )


def plan_parts(job: Job, stage: Stage, rounds: Rounds) -> None:
    """Write down the parts of a stage; done twice it changes nothing."""
    job.parts.filter(stage=stage).exclude(count=rounds.count).delete()
    JobPart.objects.bulk_create(
        (
            JobPart(
                job=job,
                stage=stage,
                number=part.index,
                count=rounds.count,
                needs=max(rounds.needed(part.index), default=0),
                apart=rounds.is_apart(part.index),
            )
            for part in rounds.parts
        ),
        ignore_conflicts=True,
    )


def claim_part(job_id: UUID, stage: str, *, is_lead: bool) -> PartLease | None:
    """The first part that waits and can be done; ``None`` when there is none or others were quicker.

    Those apart measure times of one computer: only the machine of the job's own worker does them.
    """
    parts = JobPart.objects.filter(job=job_id, stage=stage)
    waiting = parts.filter(state=PartState.WAITING, job__state__in=ACTIVE)
    if not is_lead:
        waiting = waiting.filter(lost__lt=LEFT_TO_THE_LEAD)
        here = f"{this_host(settings.ADADEEP_HOME)}:"
        waiting = waiting.filter(Q(apart=False) | Q(job__worker__startswith=here))
    missing = parts.exclude(state=PartState.DONE).values_list("apart", "number")
    first_missing = {apart: min(n for a, n in missing if a == apart) for apart, _ in missing}
    for part in waiting.order_by("number"):
        if first_missing.get(part.apart, part.number) <= part.needs:
            continue
        claimed = JobPart.objects.filter(
            pk=part.pk, state=PartState.WAITING, attempt=part.attempt
        ).update(
            state=PartState.RUNNING,
            attempt=F("attempt") + 1,
            worker=this_worker(),
            heartbeat=timezone.now(),
        )
        if claimed:
            return PartLease(job_id, part.pk, part.label, part.attempt + 1)
    return None


def waiting_parts(job_id: UUID, stage: str) -> bool:
    """Whether any part of a stage waits, for somebody or for other parts."""
    return JobPart.objects.filter(
        job=job_id, stage=stage, state=PartState.WAITING, job__state__in=ACTIVE
    ).exists()


def all_parts_done(job_id: UUID, stage: str) -> bool:
    """Whether every part of a stage has left its result."""
    return (
        not JobPart.objects.filter(job=job_id, stage=stage)
        .exclude(state=PartState.DONE)
        .exists()
    )


def lost_parts() -> list[JobPart]:
    """Running parts whose worker went silent, or is known to be dead because it ran here."""
    silent_since = timezone.now() - timedelta(seconds=settings.LEASE_LOST_S)
    here = f"{this_host(settings.ADADEEP_HOME)}:"
    running = JobPart.objects.filter(state=PartState.RUNNING, job__state__in=ACTIVE)
    suspects = running.filter(Q(heartbeat__lt=silent_since) | Q(worker__startswith=here))
    return [
        part for part in suspects if part.heartbeat < silent_since or not is_alive(part.worker)
    ]


def take_back_part(part: JobPart) -> bool:
    """Let others do a lost part; false when it moved on meanwhile."""
    # The heartbeat in the condition: a worker that was only slow and has just beaten keeps its part.
    changed = JobPart.objects.filter(
        pk=part.pk, attempt=part.attempt, state=PartState.RUNNING, heartbeat=part.heartbeat
    ).update(state=PartState.WAITING, attempt=F("attempt") + 1, lost=F("lost") + 1, worker="")
    return bool(changed)


def release_parts_here() -> None:
    """Let others do what ran on this host, when its workers have been stopped in good order."""
    JobPart.objects.filter(
        state=PartState.RUNNING, worker__startswith=f"{this_host(settings.ADADEEP_HOME)}:"
    ).update(state=PartState.WAITING, attempt=F("attempt") + 1, worker="")
