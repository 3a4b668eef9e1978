from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING, Any

from celery.signals import heartbeat_sent, worker_ready
from django.db import transaction
from django.utils import timezone
from kombu.exceptions import OperationalError

from compression.types import Stage
from selector.errors import BadRequestError
from selector.jobfolder import JobFolder
from selector.plan import PARTED_STAGES, read_rounds
from webapp.celery import app
from webapp.filestore import StoreError
from webapp.jobs import artifacts, folders, part_lease, publishing, shift
from webapp.jobs.events import Line, append, nudge
from webapp.jobs.lease import CANCELLED_TEXT, Lease, LeaseLostError, claim
from webapp.jobs.models import UNFINISHED, Job, JobKind, JobState
from webapp.jobs.runner import (
    INFEASIBLE,
    MISSED,
    StageCancelledError,
    StageFailedError,
    StagePausedError,
    run_parts,
    run_stage,
)
from webapp.jobs.turns import waiting_in_turn
from webapp.jobs.workers import answering, hosts, sign_of_life
from webapp.logs import about_job

if TYPE_CHECKING:
    from uuid import UUID

logger = logging.getLogger(__name__)

NO_STUDY = "The study of this model did not finish. Retry the study first, then build again."
QUICK, ENGINE, GPU = "quick", "engine", "gpu"
QUEUES = (QUICK, ENGINE)
GPU_STAGES = (Stage.RECOVER,)
"""Fine-tuning, which is what a graphics card does faster."""

ALSO_GPU_STAGES = (Stage.VALIDATE,)
"""Stages in parts that fine-tune: machines with a graphics card help with them."""

WHOLE = "1/1"
"""The part of an event that is about its whole stage."""

ENDS = {MISSED: JobState.MISSED, INFEASIBLE: JobState.INFEASIBLE}


def queue_of(stage: Stage) -> str:
    """Inspection is short, and somebody looks at the page: it never waits behind the rest."""
    if stage == Stage.INSPECT:
        return QUICK
    return GPU if stage in GPU_STAGES and answering(GPU) else ENGINE


@heartbeat_sent.connect
@worker_ready.connect
def give_sign_of_life(**_: Any) -> None:
    for queue in filter(None, os.environ.get("WORKER_QUEUES", "").split(",")):
        sign_of_life(queue)


@app.task(name="jobs.ping", ignore_result=False)
def ping() -> str:
    return "pong"


@app.task(name="jobs.run", bind=True)
def run(self: Any, job_id: str) -> None:
    """Work on a job as far as this queue goes: on the one whose turn it is, of those that wait here.

    Each message brings one job on, not always the one it names. A late or second delivery finds no lease.
    """
    lease = _claim_in_turn((self.request.delivery_info or {}).get("routing_key")) or claim(
        job_id
    )
    if lease is None:
        logger.info("Job %s is not to be had: done, cancelled or in other hands", job_id)
        return
    with about_job(str(lease.job_id)):
        try:
            _advance(lease)
        except LeaseLostError:
            logger.warning("Attempt %s lost its lease", lease.attempt)
        nudge(lease.job_id)


def _claim_in_turn(queue: str | None) -> Lease | None:
    for job, stage in waiting_in_turn() if queue else ():
        if queue_of(stage) == queue and (lease := claim(job.pk)):
            return lease
    return None


@app.task(name="jobs.help")
def help_out(job_id: str, stage: str) -> None:
    """Do parts of a stage beside the job's own worker. A late or second delivery finds none."""
    job = Job.objects.filter(pk=job_id, state=JobState.RUNNING, stage=stage).first()
    if job is None:
        return
    with about_job(job_id):
        try:
            if turn := shift.helper(job, stage):
                run_parts(turn.job, Stage(stage), turn)
        except StoreError as error:
            logger.warning("Help at %s ended: %s", stage, error)
        except (LeaseLostError, StageCancelledError, StagePausedError):
            logger.info("Help at %s is not wanted any more", stage)
        except StageFailedError as error:
            # The job's own worker does the part again, and fails the job if it must.
            logger.warning("Help at %s failed: %s", stage, error)


def send(job_id: UUID | str) -> None:
    """Put the job on the queue of its next stage, after the transaction; waiting builds wait on."""
    transaction.on_commit(lambda: send_now(job_id))


def send_now(job_id: UUID | str) -> bool:
    """The same at once; false where no broker takes it."""
    job = Job.objects.select_related("study").filter(pk=job_id, state=JobState.QUEUED).first()
    if job is None or (job.study and job.study.state in UNFINISHED):
        return True
    todo = pending_stages(job)
    queue = queue_of(todo[0]) if todo else ENGINE
    Job.objects.filter(pk=job.pk).update(sent=timezone.now())
    try:
        run.apply_async((str(job.id),), queue=queue)
    except OperationalError as error:
        # Who asked need not know: what waits is sent again after ``REQUEUE_S``.
        logger.warning("The broker does not take a message: %s", error)
        return False
    return True


def pending_stages(job: Job) -> list[Stage]:
    """The stages that have left no result."""
    return [stage for stage in job.all_stages if not folders.is_done(job, stage)]


def _advance(lease: Lease) -> None:
    job = Job.objects.select_related("study").get(pk=lease.job_id)
    nudge(job.id)
    try:
        publishing.bring(job, lease)
        end = _run_stages(job, lease)
    except StoreError as error:
        _finish(job, lease, JobState.FAILED, str(error))
    except StageCancelledError:
        _finish(job, lease, JobState.CANCELLED, CANCELLED_TEXT)
    except StagePausedError:
        _rest(job, lease)
    except StageFailedError as error:
        if job.stage:
            _note_stage(job, lease, Stage(job.stage), {"state": "failed", "detail": str(error)})
        _finish(job, lease, JobState.FAILED, str(error), error.reference)
    else:
        if end is None:
            lease.hand_over()
            send(job.id)
        else:
            artifacts.register(job, lease)
            _finish(job, lease, end)


def _run_stages(job: Job, lease: Lease) -> JobState | None:
    """The job's end, or ``None`` when the next stage belongs to another queue."""
    if job.kind == JobKind.BUILD:
        if job.study is None or job.study.state != JobState.DONE:
            raise StageFailedError(NO_STUDY)
        with publishing.kept_alive(lease):
            folders.link_study(job, job.study)
            folders.write_past(job, job.study.builds.order_by("created"))
    _note_left(job, lease)
    # The last stage is asked even when all are done: its exit code says how the job ended.
    todo = pending_stages(job) or [job.all_stages[-1]]
    code, here = 0, queue_of(todo[0])
    for stage in todo:
        if queue_of(stage) != here:
            return None
        code = _run_one(job, lease, stage)
    return ENDS.get(code, JobState.DONE) if job.kind == JobKind.BUILD else JobState.DONE


def _note_left(job: Job, lease: Lease) -> None:
    """A worker that died just after a stage left its result could not say any more that it is done."""
    for stage in job.all_stages:
        noted = job.stages.get(stage.value, {}).get("state")
        if noted == "running" and folders.is_done(job, stage):
            said = job.events.filter(stage=stage, kind="done", part=WHOLE)
            if not said.exists():
                append(lease, [Line(stage=stage, kind="done", part=WHOLE, done=1, total=1)])
            _note_stage(job, lease, stage, {"state": "done"})


def _run_one(job: Job, lease: Lease, stage: Stage) -> int:
    started = timezone.now()
    job.stage = stage
    lease.write(stage=stage)
    _note_stage(
        job, lease, stage, {"state": "running", "started": started.isoformat(), "detail": ""}
    )
    try:
        code = (
            _run_shared(job, lease, stage)
            if stage in PARTED_STAGES
            else run_stage(job, lease, stage)
        )
    finally:
        # Also what a stage left that was stopped or failed: it may go on elsewhere.
        publishing.publish(job, lease)
    seconds = round((timezone.now() - started).total_seconds(), 1)
    _note_stage(job, lease, stage, {"state": "done", "seconds": seconds})
    return code


def _run_shared(job: Job, lease: Lease, stage: Stage) -> int:
    """Do a stage in parts, with the help of whoever is free; alone it is one process all the same."""
    try:
        rounds = read_rounds(JobFolder(job.folder), stage)
    except BadRequestError as error:
        raise StageFailedError(str(error)) from error
    part_lease.plan_parts(job, stage, rounds)
    _call_for_help(job, stage, helpers=rounds.at_once - 1)
    return run_parts(job, stage, shift.Shift(job=job, stage=stage, lead=lease))


def _call_for_help(job: Job, stage: Stage, *, helpers: int) -> None:
    cards = len(hosts(GPU)) if stage in ALSO_GPU_STAGES else 0
    try:
        for queue in [ENGINE] * helpers + [GPU] * min(helpers, cards):
            help_out.apply_async((str(job.id), stage.value), queue=queue)
    except OperationalError as error:
        # It takes longer alone, and that is all.
        logger.warning("The broker calls no helpers for %s: %s", stage, error)


def _note_stage(job: Job, lease: Lease, stage: Stage, fields: dict[str, object]) -> None:
    job.stages[stage.value] = {**job.stages.get(stage.value, {}), **fields}
    lease.write(stages=job.stages)
    nudge(job.id)


def _rest(job: Job, lease: Lease) -> None:
    """Give the worker free. What stages, parts and checkpoints left is where the job goes on."""
    _note_stage(job, lease, Stage(job.stage), {"state": "waiting", "detail": "Paused"})
    text = f"Paused on request at {job.stage.capitalize()}. What was finished is kept."
    append(lease, [Line(stage=job.stage, kind="log", data={"level": "info", "text": text})])
    # Not paused outright: while the engine stopped, the job may have been cancelled or resumed.
    lease.hand_over()
    send(job.id)


def _finish(
    job: Job, lease: Lease, state: JobState, message: str = "", reference: str = ""
) -> None:
    level = "error" if state == JobState.FAILED else "info"
    data = {"level": level, "text": _last_words(job, message)}
    append(lease, [Line(stage=job.stage, kind="log", data=data)])
    lease.finish(state, message=message, reference=reference)
    for build in Job.objects.filter(study=job, state=JobState.QUEUED):
        send(build.id)


def _last_words(job: Job, message: str) -> str:
    """The line that ends the log; what the engine has just said is not said again."""
    said = job.events.filter(kind="error").last()
    if message and said is not None and said.data.get("message") == message:
        return "Stopped. Your files and goals are kept."
    return message or "Finished."
