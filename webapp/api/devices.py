"""Users' own devices: made, measured, fetched, deleted."""

from typing import Any
from uuid import UUID

from ninja import Router

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.api import device_schemas as schemas
from webapp.devices import queries, services
from webapp.devices.models import OwnDevice
from webapp.requests import UserRequest

router = Router(tags=["own devices"])


@router.get(
    "/own-devices",
    response=schemas.OwnDevices,
    summary="Your devices, measured or not, and those that others share",
)
def own_devices(request: UserRequest) -> Any:
    return {"devices": queries.own_device_rows(request.user)}


@router.post(
    "/own-devices",
    response={201: schemas.OwnDevice},
    summary="A device of yours; it is a target once something was measured",
)
def create(request: UserRequest, values: schemas.NewDevice) -> Any:
    device = services.own_device_create(owner=request.user, **values.model_dump())
    return _row(request, device)


@router.get("/own-devices/{uuid:device_id}", response=schemas.OwnDevice, summary="A device")
def own_device(request: UserRequest, device_id: UUID) -> Any:
    return _row(request, _found(request, device_id))


@router.put(
    "/own-devices/{uuid:device_id}",
    response=schemas.OwnDevice,
    summary="Rename it, or share it with everybody who has an account here",
)
def change(request: UserRequest, device_id: UUID, values: schemas.DeviceSettings) -> Any:
    device = _found(request, device_id)
    if values.title is not None:
        services.own_device_rename(device=device, title=values.title)
    if values.shared is not None:
        services.own_device_share(device=device, shared=values.shared)
        if values.shared:
            note(request, EventKind.DEVICE_SHARED, device.title)
    return _row(request, device)


@router.delete(
    "/own-devices/{uuid:device_id}",
    response={204: None},
    summary="Delete it with its measurements; builds keep its profile",
)
def delete(request: UserRequest, device_id: UUID) -> None:
    device = _found(request, device_id)
    services.own_device_delete(device=device)
    note(request, EventKind.DEVICE_DELETED, device.title)


@router.get(
    "/own-devices/{uuid:device_id}/measurements",
    response=schemas.Measurements,
    summary="Everything that was timed on it, as it came",
)
def measurements(request: UserRequest, device_id: UUID) -> Any:
    return {"measurements": queries.measurements_json(_found(request, device_id))}


@router.post(
    "/own-devices/{uuid:device_id}/measurements",
    response=schemas.Outcome,
    summary="Record runs and calibrate the device by all that it has",
    description="A name is a graph of the kit (`/devices/kit/kit.json`), `model:ID` or `artifact:ID`. What cannot "
    "be a measurement is kept, but set aside with the reason.",
)
def record(request: UserRequest, device_id: UUID, values: schemas.Delivery) -> Any:
    runs = [services.Run(run.name, run.runs_ms) for run in values.runs]
    outcome = services.runs_record(
        device=_found(request, device_id), runs=runs, environment=values.environment
    )
    return queries.outcome_json(outcome)


def _found(request: UserRequest, device_id: UUID) -> OwnDevice:
    return queries.own_device_get(owner=request.user, device_id=device_id)


def _row(request: UserRequest, device: OwnDevice) -> Any:
    return queries.own_device_row(device, request.user, device.measurements.count())
