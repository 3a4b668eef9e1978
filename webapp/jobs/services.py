"""What people and the supervisor do with jobs."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.utils import timezone

from compression.types import BUILD_STAGES
from selector.request import PROFILE_SUFFIX
from webapp.jobs import folders, lease, part_lease, publishing, tasks
from webapp.jobs.events import Line, append_unleased, nudge
from webapp.jobs.models import ACTIVE, CAN_FINISH, DELIVERED, UNFINISHED, Job, JobKind, JobState
from webapp.jobs.turns import waiting_in_turn
from webapp.jobs.workers import fell_silent, holds_messages
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from webapp.jobs.models import JobPart
    from webapp.projects.models import Project

logger = logging.getLogger(__name__)


def job_create(
    *,
    project: Project,
    kind: JobKind,
    request: dict[str, Any],
    files: dict[str, Path],
    extra: dict[str, Any] | None = None,
    profile: str = "",
    key: str = "",
) -> Job:
    """Make the job and its folder, and queue it once the transaction is through.

    ``files`` are linked into the folder by the names given, ``extra`` is written there as JSON, and so is
    ``profile``, the text of the target's profile where it is in no catalogue: what the job knows of the device.
    A folder whose transaction fails is swept later.
    """
    job = Job.objects.create(
        owner=project.owner,
        project=project,
        kind=kind,
        target=request["target"].removesuffix(PROFILE_SUFFIX),
        selector=request["selector"],
        key=key,
        study=project.study.job if kind == JobKind.BUILD else None,
    )
    folders.write_inputs(job, files, {"request.json": request, **(extra or {})})
    if profile:
        (job.folder / request["target"]).write_text(profile, encoding="utf-8")
    publishing.publish_new(job, files)
    tasks.send(job.id)
    return job


def job_cancel(*, job: Job) -> None:
    """Stop a job: at once when it waits or rests, within a second when it runs."""
    Job.objects.filter(pk=job.pk, state__in=UNFINISHED).update(cancel_requested=True)
    lease.settle(job.pk)
    nudge(job.pk)


def job_pause(*, job: Job) -> None:
    """Let a job rest: at once when it waits; when it runs, its worker is free within a second or two.

    Raises:
        RequestRefusedError: when it has ended.
    """
    asked = Job.objects.filter(pk=job.pk, state__in=ACTIVE).update(pause_requested=True)
    if not asked and not Job.objects.filter(pk=job.pk, state=JobState.PAUSED).exists():
        raise RequestRefusedError("This job has ended; there is nothing to pause.", status=409)
    lease.settle(job.pk)
    nudge(job.pk)


def job_resume(*, job: Job) -> None:
    """Go on with a paused job, from its last stage, part or checkpoint; take back a wish to pause.

    Raises:
        RequestRefusedError: when it neither rests nor was asked to.
    """
    taken_back = Job.objects.filter(pk=job.pk, state__in=ACTIVE).update(pause_requested=False)
    if lease.resume(job.pk):
        tasks.send(job.pk)
    elif not taken_back:
        raise RequestRefusedError("This job is not paused.", status=409)
    nudge(job.pk)


def job_finish(*, job: Job) -> None:
    """End a job soon, with the best that it has found: what it is at is cut short, and the rest is done.

    A paused job goes on to do so.

    Raises:
        RequestRefusedError: when there is nothing to keep yet, or nothing to cut short any more.
    """
    asked = Job.objects.filter(
        pk=job.pk, state__in=UNFINISHED, stage__in=CAN_FINISH, finish_requested=False
    ).update(finish_requested=True, pause_requested=False)
    if asked:
        text = "Told to finish with the best so far."
        append_unleased(
            job.pk, Line(stage=job.stage, kind="log", data={"level": "info", "text": text})
        )
    elif not Job.objects.filter(pk=job.pk, finish_requested=True).exists():
        raise RequestRefusedError(_why_not_finished(job), status=409)
    if lease.resume(job.pk):
        tasks.send(job.pk)
    nudge(job.pk)


def _why_not_finished(job: Job) -> str:
    if job.state not in UNFINISHED:
        return "This job has ended; there is nothing to finish."
    if job.stage in BUILD_STAGES:
        return "The best network is being written already; the job is about to end."
    return (
        "Nothing is found yet that could be kept. Finish once the search has begun, or cancel."
    )


def job_retry(*, job: Job) -> None:
    """Go on from the last finished stage of a job that failed or was stopped."""
    again = Job.objects.filter(
        pk=job.pk, state__in=(JobState.FAILED, JobState.CANCELLED)
    ).update(
        state=JobState.QUEUED,
        queued=timezone.now(),
        cancel_requested=False,
        pause_requested=False,
        finish_requested=False,
        lost=0,
        message="",
        reference="",
        finished=None,
    )
    if not again:
        raise RequestRefusedError(
            "This job has not failed; there is nothing to retry.", status=409
        )
    tasks.send(job.pk)
    nudge(job.pk)


def job_delete(*, job: Job) -> None:
    """Remove a job, whatever it does, with its files."""
    job_cancel(job=job)
    Job.objects.filter(pk=job.pk).delete()
    folders.remove(job)


def jobs_reap() -> None:
    """Give lost jobs to another worker, do what was asked of waiting ones, send again what may be lost."""
    taken_back = []
    for job in lease.lost_leases():
        state = lease.take_back(job)
        if state is not None:
            _say_what_happened(job, state)
            taken_back.append(job.pk)
    for part in part_lease.lost_parts():
        if part_lease.take_back_part(part):
            _say_that_part_is_lost(part)
    for job_id in lease.unsettled():
        lease.settle(job_id)
        nudge(job_id)
    if _send([*taken_back, *_stranded_jobs()]):
        _send(_late_jobs())


def jobs_send_waiting() -> None:
    """Send all queued jobs again: a second message does no harm, its claim fails."""
    waiting = Job.objects.filter(state=JobState.QUEUED)
    _send(waiting.order_by("queued").values_list("pk", flat=True))


def _send(job_ids: Iterable[UUID]) -> bool:
    """Whether the broker takes them; where it does not, the rest are sent in the next round."""
    return all(tasks.send_now(job_id) for job_id in job_ids)


def _stranded_jobs() -> list[UUID]:
    """What waits to be fine-tuned, once a worker with a graphics card is gone: for another one, or for the rest."""
    if not fell_silent(tasks.GPU):
        return []
    return [job.pk for job, stage in waiting_in_turn() if stage in tasks.GPU_STAGES]


def _late_jobs() -> list[UUID]:
    """What waits for long, where its queue is empty: the broker lost the message, or took none.

    A queue that holds any has no idle worker. Each message brings on the job whose turn it is, and the last
    one leaves the queue empty: more of them would only pile up.
    """
    since = timezone.now() - timedelta(seconds=settings.REQUEUE_S)
    late = [
        (job, tasks.queue_of(stage)) for job, stage in waiting_in_turn() if job.sent <= since
    ]
    empty = {queue for queue in {queue for _, queue in late} if not holds_messages(queue)}
    return [job.pk for job, queue in late if queue in empty]


def folders_sweep(older_than_s: float) -> None:
    """Delete folders of jobs that are no more (a worker may have written after the deletion).

    What is named otherwise is not ours: file systems and file managers leave things of their own.
    """
    known = set(Job.objects.values_list("pk", flat=True))
    for folder in settings.JOB_ROOT.iterdir():
        job_id = _job_id(folder.name)
        if job_id and job_id not in known and _age_s(folder) > older_than_s:
            folders.remove(Job(pk=job_id))


def is_delivered(job: Job) -> bool:
    return job.state in DELIVERED


def _say_what_happened(job: Job, state: JobState) -> None:
    if state == JobState.QUEUED:
        text = f"The worker restarted; the job went on from {job.stage.capitalize()}."
    elif state == JobState.FAILED:
        text = "The worker stopped too often; the job is given up."
    else:
        text = f"The worker stopped; the job is {state}, as was asked."
    logger.warning("Job %s, attempt %s: %s", job.pk, job.attempt, text)
    line = Line(stage=job.stage, kind="log", data={"level": "warning", "text": text})
    append_unleased(job.pk, line)


def _say_that_part_is_lost(part: JobPart) -> None:
    text = f"A worker was lost; part {part.number} of {part.count} is done again, nothing else."
    logger.warning("Job %s, %s: %s", part.job_id, part.stage, text)
    data = {"level": "warning", "text": text}
    append_unleased(part.job_id, Line(stage=part.stage, kind="log", data=data))


def _job_id(name: str) -> UUID | None:
    """The job whose folder has that name, as it is written and no other way."""
    try:
        job_id = UUID(name)
    except ValueError:
        return None
    return job_id if str(job_id) == name else None


def _age_s(folder: Path) -> float:
    return timezone.now().timestamp() - folder.stat().st_mtime
