"""What there is to choose from: samples and devices; and whether the workers answer."""

from typing import Any

from django.http import HttpRequest
from ninja import Router

from webapp.api import schemas
from webapp.devices.evidence import evidence_json
from webapp.devices.queries import device_json, devices_json
from webapp.devices.targets import target_profile
from webapp.jobs.workers import worker_status
from webapp.projects.queries import project_row
from webapp.requests import UserRequest
from webapp.samples.catalogue import samples_json
from webapp.samples.services import sample_open

router = Router(tags=["catalogue"])


@router.get("/status", response=dict[str, Any], summary="Whether the workers answer")
def status(request: HttpRequest) -> Any:
    return {"worker": worker_status()}


@router.get("/devices", response=schemas.Devices, summary="The devices to choose from")
def devices(request: UserRequest) -> Any:
    return {"targets": devices_json(request.user)}


@router.get("/devices/{name}", response=schemas.Device, summary="A device and its sources")
def device(request: UserRequest, name: str) -> Any:
    return device_json(target_profile(owner=request.user, name=name))


@router.get(
    "/devices/{name}/evidence",
    response=schemas.DeviceEvidence,
    summary="Predicted against measured on a device, and where its figures come from",
)
def device_evidence(request: UserRequest, name: str) -> Any:
    return evidence_json(user=request.user, name=name)


@router.get("/samples", response=schemas.Samples, summary="Models with data, ready to open")
def samples(request: HttpRequest) -> Any:
    return {"samples": samples_json()}


@router.post(
    "/samples/{name}/open", response={201: schemas.Project}, summary="A project of a sample"
)
def open_sample(request: UserRequest, name: str) -> Any:
    return project_row(sample_open(owner=request.user, name=name))
