"""Whose job is next, where several wait."""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from typing import TYPE_CHECKING

from webapp.jobs.models import UNFINISHED, Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.types import Stage


def waiting_in_turn() -> Iterator[tuple[Job, Stage]]:
    """Jobs that wait for a worker, with their next stage: first of whoever has the fewest at work, of one person's the oldest.

    So fifty jobs of one person do not make another wait for all fifty.
    """
    running = Job.objects.filter(state=JobState.RUNNING)
    at_work = Counter(running.values_list("owner_id", flat=True))
    waiting = Job.objects.filter(state=JobState.QUEUED).exclude(study__state__in=UNFINISHED)
    for job in sorted(waiting.order_by("queued"), key=lambda job: at_work[job.owner_id]):
        yield job, _next_stage(job)


def served_before(job: Job) -> list[Job]:
    """Those that wait and whose turn comes earlier; all of them for a build whose study still goes on, which has no turn yet."""
    in_turn = (waiting for waiting, _ in waiting_in_turn())
    return list(takewhile(lambda waiting: waiting != job, in_turn))


def _next_stage(job: Job) -> Stage:
    """As the row tells it: the files may lie on another machine."""
    todo = (s for s in job.all_stages if job.stages.get(s, {}).get("state") != "done")
    return next(todo, job.all_stages[-1])
