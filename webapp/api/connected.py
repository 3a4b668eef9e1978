"""Connected devices: their agents, and what they measure of studies and builds."""

from typing import Any
from uuid import UUID

from ninja import Router

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.agents import connections, queries, services
from webapp.agents.archive import agent_commands
from webapp.api import device_schemas as schemas
from webapp.devices.models import OwnDevice
from webapp.devices.queries import own_device_get
from webapp.jobs.models import Job
from webapp.jobs.queries import job_get
from webapp.requests import UserRequest

router = Router(tags=["connected devices"])


@router.get(
    "/connected-devices",
    response=schemas.ConnectedDevices,
    summary="Your devices that have an agent, with what it does now",
)
def connected_devices(request: UserRequest) -> Any:
    return {"devices": queries.connected_devices(request.user)}


@router.get(
    "/own-devices/{uuid:device_id}/agent",
    response=schemas.Agent,
    summary="How a device's agent does, and what it measured last",
)
def agent(request: UserRequest, device_id: UUID) -> Any:
    return queries.agent_json(_device(request, device_id))


@router.post(
    "/own-devices/{uuid:device_id}/agent",
    response={201: schemas.NewAgent},
    summary="Connect a device: a token for its agent, and how to start it there",
    description="The token opens nothing but the device's own tasks. A token that was made before ends.",
)
def connect(request: UserRequest, device_id: UUID) -> Any:
    device = _device(request, device_id)
    token = connections.agent_connect(device=device)
    note(request, EventKind.DEVICE_CONNECTED, device.title)
    commands = agent_commands(request, token)
    return {**queries.agent_json(device), "token": token, "commands": commands}


@router.delete(
    "/own-devices/{uuid:device_id}/agent",
    response={204: None},
    summary="End the agent's token; what waits for it is given up",
)
def disconnect(request: UserRequest, device_id: UUID) -> None:
    device = _device(request, device_id)
    connections.agent_disconnect(device=device)
    note(request, EventKind.DEVICE_DISCONNECTED, device.title)


@router.post(
    "/own-devices/{uuid:device_id}/calibrate",
    response=schemas.DeviceTask,
    summary="Have the agent time the kit",
    description="A task that waits already is not made twice; the answer is that one. This holds for all tasks.",
)
def calibrate(request: UserRequest, device_id: UUID) -> Any:
    device = _device(request, device_id)
    return queries.task_json(services.calibration_start(device=device))


@router.get(
    "/device-tasks/{uuid:task_id}",
    response=schemas.DeviceTask,
    summary="What a device was asked to measure, and what came out",
)
def task(request: UserRequest, task_id: UUID) -> Any:
    return queries.task_json(queries.device_task(owner=request.user, task_id=task_id))


@router.post(
    "/device-tasks/{uuid:task_id}/cancel", response=schemas.DeviceTask, summary="Stop a task"
)
def cancel(request: UserRequest, task_id: UUID) -> Any:
    services.task_cancel(task=queries.device_task(owner=request.user, task_id=task_id))
    return task(request, task_id)


@router.get(
    "/jobs/{uuid:job_id}/device-tasks",
    response=schemas.MeasuredBuild,
    summary="What devices measured of a build",
)
def measured_build(request: UserRequest, job_id: UUID) -> Any:
    return queries.measured_build(request.user, _job(request, job_id))


@router.post(
    "/jobs/{uuid:job_id}/device-tasks/{uuid:device_id}",
    response=schemas.DeviceTask,
    summary="Have a device time a build's original and result in turns",
    description="Also of a build that has not ended yet: the device waits for it.",
)
def validate(request: UserRequest, job_id: UUID, device_id: UUID) -> Any:
    job, device = _job(request, job_id), _device(request, device_id)
    return queries.task_json(services.validation_start(device=device, job=job))


@router.get(
    "/jobs/{uuid:job_id}/finalists/{uuid:device_id}",
    response=schemas.Finalists,
    summary="What a device measured of the candidates that a study built",
)
def finalists(request: UserRequest, job_id: UUID, device_id: UUID) -> Any:
    return queries.finalists_json(_device(request, device_id), _job(request, job_id))


@router.post(
    "/jobs/{uuid:job_id}/finalists/{uuid:device_id}",
    response=schemas.Finalists,
    summary="Have a device time a study's original and its best built candidates in turns",
)
def measure_finalists(request: UserRequest, job_id: UUID, device_id: UUID) -> Any:
    job, device = _job(request, job_id), _device(request, device_id)
    services.finalists_start(device=device, job=job)
    return queries.finalists_json(device, job)


def _device(request: UserRequest, device_id: UUID) -> OwnDevice:
    return own_device_get(owner=request.user, device_id=device_id)


def _job(request: UserRequest, job_id: UUID) -> Job:
    return job_get(owner=request.user, job_id=job_id)
