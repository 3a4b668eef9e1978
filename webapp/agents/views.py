from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.agents import connections, queries, services
from webapp.agents.archive import agent_archive, agent_commands
from webapp.devices.agent.protocol import ARCHIVE
from webapp.devices.queries import own_device_get
from webapp.jobs.queries import job_get

if TYPE_CHECKING:
    from uuid import UUID

    from webapp.requests import UserRequest


@login_not_required
@require_GET
def archive(_request: HttpRequest) -> HttpResponse:
    """The agent; it holds no secret, so that a device without a browser can fetch it."""
    return HttpResponse(
        agent_archive(),
        content_type="application/zip",
        headers={"Content-Disposition": f'attachment; filename="{ARCHIVE}"'},
    )


@require_http_methods(["GET", "POST", "DELETE"])
def agent(request: UserRequest, device_id: UUID) -> JsonResponse:
    """How a device's agent does; POST makes a token, which is shown once; DELETE ends it."""
    device = own_device_get(owner=request.user, device_id=device_id)
    commands = []
    if request.method == "POST":
        commands = agent_commands(request, connections.agent_connect(device=device))
        note(request, EventKind.DEVICE_CONNECTED, device.title)
    elif request.method == "DELETE":
        connections.agent_disconnect(device=device)
        note(request, EventKind.DEVICE_DISCONNECTED, device.title)
    return JsonResponse({**queries.agent_json(device), "commands": commands})


@require_GET
def connected_devices(request: UserRequest) -> JsonResponse:
    return JsonResponse({"devices": queries.connected_devices(request.user)})


@require_POST
def calibrate(request: UserRequest, device_id: UUID) -> JsonResponse:
    device = own_device_get(owner=request.user, device_id=device_id)
    return JsonResponse(queries.task_json(services.calibration_start(device=device)))


@require_POST
def cancel(request: UserRequest, task_id: UUID) -> JsonResponse:
    task = queries.device_task(owner=request.user, task_id=task_id)
    services.task_cancel(task=task)
    task.refresh_from_db()
    return JsonResponse(queries.task_json(task))


@require_GET
def build_tasks(request: UserRequest, job_id: UUID) -> JsonResponse:
    """What devices measured of a build, and which are there to ask."""
    job = job_get(owner=request.user, job_id=job_id)
    return JsonResponse(queries.measured_build(request.user, job))


@require_POST
def validate(request: UserRequest, job_id: UUID, device_id: UUID) -> JsonResponse:
    job = job_get(owner=request.user, job_id=job_id)
    device = own_device_get(owner=request.user, device_id=device_id)
    services.validation_start(device=device, job=job)
    return JsonResponse(queries.measured_build(request.user, job))


@require_http_methods(["GET", "POST"])
def finalists(request: UserRequest, job_id: UUID, device_id: UUID) -> JsonResponse:
    """What a device measured of a study's built candidates; POST asks it to."""
    job = job_get(owner=request.user, job_id=job_id)
    device = own_device_get(owner=request.user, device_id=device_id)
    if request.method == "POST":
        services.finalists_start(device=device, job=job)
    return JsonResponse(queries.finalists_json(device, job))
