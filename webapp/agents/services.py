"""Asking a connected device to measure, and what becomes of its answers."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from compression.cost import band
from compression.measured_power import Reading, absurd_power
from webapp.agents import lease
from webapp.agents.graphs import POWERED, REFERENCE, task_graphs
from webapp.agents.lease import TaskLease
from webapp.agents.models import OPEN, Agent, DeviceTask, TaskKind, TaskState
from webapp.agents.results import result_read
from webapp.devices.fitting import known_profile, prior_profile
from webapp.devices.networks import finalists
from webapp.devices.services import Run, own_device_lock, runs_record
from webapp.jobs.models import DELIVERED, UNFINISHED
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.agents.results import TaskResult
    from webapp.devices.models import OwnDevice
    from webapp.devices.services import Outcome
    from webapp.jobs.models import Job

WAITS_FOR = timedelta(hours=24)
SECONDS = {TaskKind.CALIBRATE: 30.0, TaskKind.VALIDATE: 15.0, TaskKind.FINALISTS: 30.0}
"""Timed runs of a task, without warm-up, loading and power."""

MOST_DRIFT = 1.15

SILENT = "The device went silent while it measured. Does it sleep, or run out of memory?"
NOT_CONNECTED = "This device is not connected. Its page says how to connect it by agent."
NO_RESULT = "This build has no result to measure."
NO_FINALISTS = (
    "This study has no built candidates to measure: it is not that far, an older version made it, or they "
    "are too large to keep. A build can be measured instead."
)
FILE_GONE = "A network of this task is no longer on the server's disk. Build it again."
CANCELLED = "Stopped on request."
BUILD_FAILED = "The build did not finish."


def calibration_start(*, device: OwnDevice) -> DeviceTask:
    """Have the agent time the kit; one that waits already is not asked for twice."""
    return _task(device, TaskKind.CALIBRATE, None)


def validation_start(*, device: OwnDevice, job: Job) -> DeviceTask:
    """Have the agent time a build's original and result in turns; a build that runs is waited for.

    The build does not wait: it is delivered with its predictions whatever the device does.

    Raises:
        RequestRefusedError: there is nothing to measure, or nobody to do it.
    """
    if job.state not in (*UNFINISHED, *DELIVERED):
        raise RequestRefusedError(NO_RESULT, status=409)
    return _task(device, TaskKind.VALIDATE, job)


def finalists_start(*, device: OwnDevice, job: Job) -> DeviceTask:
    """Have the agent time a study's original and best built candidates in turns.

    Nothing waits for it: the study's predictions stand until the times are there.

    Raises:
        RequestRefusedError: there is nothing to measure, or nobody to do it.
    """
    if job.state not in DELIVERED or not finalists(job, 1):
        raise RequestRefusedError(NO_FINALISTS, status=409)
    return _task(device, TaskKind.FINALISTS, job)


def task_cancel(*, task: DeviceTask) -> None:
    """Stop a task: what an agent still sends for it is dropped."""
    lease.give_up(DeviceTask.objects.filter(pk=task.pk), CANCELLED)


def task_hand_out(*, agent: Agent) -> dict[str, Any] | None:
    """The next task as its agent reads it, leased; ``None`` when nothing waits."""
    task = lease.task_claim(agent)
    if task is None:
        return None
    held = TaskLease(agent.device_id, task.pk, task.attempt)
    try:
        graphs = task_graphs(task, agent)
    except RequestRefusedError as error:
        held.finish(TaskState.FAILED, message=str(error))
        return None
    except FileNotFoundError:
        held.finish(TaskState.FAILED, message=FILE_GONE)
        return None
    held.write(payload={"graphs": graphs, "band": _band(task.device)})
    calibrates = task.kind == TaskKind.CALIBRATE
    return {
        "id": str(task.pk),
        "attempt": task.attempt,
        "kind": task.kind,
        "graphs": graphs,
        "reference": REFERENCE if calibrates else graphs[0]["name"],
        "powered": POWERED if calibrates else [graph["name"] for graph in graphs],
        "seconds": SECONDS[TaskKind(task.kind)],
        "beat_every_s": settings.LEASE_HEARTBEAT_S,
    }


def result_take(*, held: TaskLease, body: bytes) -> None:
    """Keep what an agent measured, and calibrate its device. Sent twice it changes nothing.

    Raises:
        TaskGoneError: the task belongs to another attempt, or has ended otherwise.
        RequestRefusedError: this is no answer to the task; the task goes back, and that counts.
    """
    if held.is_done():
        return
    task = held.task()
    try:
        _keep(held, task, result_read(task, body))
    except RequestRefusedError as error:
        lease.take_back(task, f"The agent's answer was refused: {error}")
        raise


def tasks_reap() -> None:
    """Take tasks from agents that went silent, and give up what nobody will do any more."""
    for task in lease.lost_tasks():
        lease.take_back(task, SILENT)
    waiting = DeviceTask.objects.filter(state=TaskState.WAITING)
    hours = WAITS_FOR.total_seconds() / 3600
    lease.give_up(
        waiting.filter(deadline__lt=timezone.now()),
        f"The device did not come within {hours:.0f} hours.",
    )
    lease.give_up(
        waiting.filter(job__isnull=False).exclude(job__state__in=(*UNFINISHED, *DELIVERED)),
        BUILD_FAILED,
    )


@transaction.atomic
def _task(device: OwnDevice, kind: TaskKind, job: Job | None) -> DeviceTask:
    if not Agent.objects.filter(device=device).exists():
        raise RequestRefusedError(NOT_CONNECTED, status=409)
    own_device_lock(device)  # two clicks at once shall not make two tasks
    same = DeviceTask.objects.filter(device=device, kind=kind, job=job, state__in=OPEN)
    return same.first() or DeviceTask.objects.create(
        device=device, kind=kind, job=job, deadline=timezone.now() + WAITS_FOR
    )


@transaction.atomic
def _keep(held: TaskLease, task: DeviceTask, result: TaskResult) -> None:
    # First the conditional write: of two that send at once, one alone records its runs.
    state = TaskState.DONE if _is_whole(task, result) else TaskState.FAILED
    held.finish(state, result=result.model_dump())
    DeviceTask.objects.filter(pk=task.pk).update(message=_recorded(task, result))


def _recorded(task: DeviceTask, result: TaskResult) -> str:
    """Give the runs to the device; what a person should know of them."""
    said = _failures(task, result)
    usual = [runs for runs in result.runs if runs.threads == task.device.threads]
    if usual:
        outcome = runs_record(
            device=task.device,
            runs=[Run(runs.name, runs.runs_ms) for runs in usual],
            environment=_environment(task, result),
        )
        said += [f"Set aside: {reason}" for reason in outcome.refused.values()]
        said += _power_faults(task.device, result)
        if task.kind == TaskKind.CALIBRATE:
            said += _improvement(outcome)
    if result.drift and result.drift.last_ms > MOST_DRIFT * result.drift.first_ms:
        slower = result.drift.last_ms / result.drift.first_ms - 1
        said.append(
            f"The device got {100 * slower:.0f} % slower while it measured: let it cool down, then measure again."
        )
    return " ".join(said)


def _is_whole(task: DeviceTask, result: TaskResult) -> bool:
    """Whether the task is done by that; of a pair, one network alone says nothing."""
    is_pair = task.kind == TaskKind.VALIDATE
    return bool(result.runs) and not (is_pair and result.failed)


def _failures(task: DeviceTask, result: TaskResult) -> list[str]:
    """What did not run by its name for people, once for each reason."""
    titles = {row["name"]: row["title"] for row in task.payload["graphs"]}
    by_reason: dict[str, list[str]] = {}
    for failure in result.failed:
        by_reason.setdefault(failure.reason, []).append(titles[failure.name])
    return [f"{', '.join(names)} did not run: {reason}" for reason, names in by_reason.items()]


def _power_faults(device: OwnDevice, result: TaskResult) -> list[str]:
    """Power that cannot be this device's; it takes no part in its energy."""
    told = (result.power or {}).values()
    readings = [Reading(each.source, each.active_w - each.idle_w) for each in told]
    prior = prior_profile(device)
    return list(filter(None, dict.fromkeys(absurd_power(prior, each) for each in readings)))


def _band(device: OwnDevice) -> list[float]:
    """Between which factors on the predictions that go out with a task the times are expected."""
    return list(band(known_profile(device))[:2])


def _improvement(outcome: Outcome) -> list[str]:
    if outcome.error_before is None or outcome.error_after is None:
        return []
    return [
        f"Half of the times are predicted within {100 * outcome.error_after:.0f} %; "
        f"before it were {100 * outcome.error_before:.0f} %."
    ]


def _environment(task: DeviceTask, result: TaskResult) -> dict[str, Any]:
    agent = Agent.objects.filter(device=task.device_id).first()
    return {
        "agent": agent.facts if agent else {},
        "task": str(task.pk),
        "drift": result.drift.model_dump() if result.drift else None,
        "power": result.model_dump()["power"],
    }
