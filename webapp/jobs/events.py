"""The event log of a job: numbered rows in the database, and a nudge to whoever watches."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from django.db import transaction
from django.db.models import F
from django.utils import timezone
from redis.exceptions import RedisError

from webapp.jobs.lease import LeaseLostError
from webapp.jobs.models import Job, JobEvent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

logger = logging.getLogger(__name__)

MOST_EVENTS_IN_A_NUDGE = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One progress line of the engine, or of the job's keeper."""

    stage: str
    kind: str
    part: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    done: float | None = None
    total: float | None = None
    eta_s: float | None = None


def group(job_id: UUID | str) -> str:
    """The channel group of those who watch the job."""
    return f"job-{job_id}"


class Holder(Protocol):
    """Who may write about a job: its worker, or that of one of its parts."""

    @property
    def job_id(self) -> UUID: ...

    @property
    def rows(self) -> Any:
        """The job's row; none when another holds the lease now."""


def append(lease: Holder, lines: Sequence[Line]) -> list[JobEvent]:
    """Number the lines, store them, tell the watchers.

    Raises:
        LeaseLostError: when the job belongs to another attempt; nothing is stored then.
    """
    if not lines:
        return []
    with transaction.atomic():
        if not lease.rows.update(last_seq=F("last_seq") + len(lines)):
            raise LeaseLostError(str(lease.job_id))
        events = _store(lease.job_id, lines)
    nudge(lease.job_id, events)
    return events


def append_unleased(job_id: UUID, line: Line) -> None:
    """The same for what happens to a job that nobody works on."""
    with transaction.atomic():
        if not Job.objects.filter(pk=job_id).update(last_seq=F("last_seq") + 1):
            return
        events = _store(job_id, [line])
    nudge(job_id, events)


def event_json(event: JobEvent) -> dict[str, Any]:
    """An event as pages and sockets get it."""
    return {
        "seq": event.seq,
        "t": event.t.isoformat(timespec="milliseconds"),
        "stage": event.stage,
        "part": event.part,
        "kind": event.kind,
        "data": event.data,
        "done": event.done,
        "total": event.total,
        "eta_s": event.eta_s,
    }


def nudge(job_id: UUID | str, events: Sequence[JobEvent] = ()) -> None:
    """Tell the watchers that the job moved; who misses it reads the database later."""
    # Many at once are not sent: the watcher sees the gap and reads them from the database.
    shown = events if len(events) <= MOST_EVENTS_IN_A_NUDGE else events[-1:]
    message = {"type": "job.moved", "events": [event_json(event) for event in shown]}
    try:
        async_to_sync(get_channel_layer().group_send)(group(job_id), message)
    except (OSError, RedisError) as error:
        logger.warning("Watchers of job %s were not told: %s", job_id, error)


def _store(job_id: UUID, lines: Sequence[Line]) -> list[JobEvent]:
    last = Job.objects.values_list("last_seq", flat=True).get(pk=job_id)
    now = timezone.now()
    first = last - len(lines) + 1
    return JobEvent.objects.bulk_create(
        JobEvent(
            job_id=job_id,
            seq=first + index,
            t=now,
            stage=line.stage,
            part=line.part,
            kind=line.kind,
            data=line.data,
            done=line.done,
            total=line.total,
            eta_s=line.eta_s,
        )
        for index, line in enumerate(lines)
    )
