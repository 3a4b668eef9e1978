"""Users' own devices: made, measured, fetched, deleted; and the kit that is timed on them."""

from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse
from ninja import Router
from ninja.params.functions import Query

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.api import device_schemas as schemas
from webapp.devices import own_views, queries, services, views
from webapp.devices.kit import kit_json
from webapp.devices.kit_csv import table_record
from webapp.devices.models import OwnDevice
from webapp.devices.networks import network_choices
from webapp.requests import UserRequest
from webapp.responses import RequestRefusedError

router = Router(tags=["own devices"])

BYTES = {"schema": {"type": "string", "format": "binary"}}
TEXT = {"schema": {"type": "string"}}
TABLE = {"requestBody": {"required": True, "content": {"text/csv": TEXT}}}
NOT_TEXT = "The table is no text in UTF-8. Save it as CSV."


def answered(kind: str, content: dict[str, Any]) -> dict[str, Any]:
    """How the description of the API says that an answer is a file."""
    return {"responses": {200: {"content": {kind: content}}}}


@router.get("/kit", response=dict[str, Any], summary="The graphs that are timed on a device")
def kit(request: HttpRequest) -> Any:
    return kit_json()


@router.get(
    "/kit/{name}.onnx",
    openapi_extra=answered("application/octet-stream", BYTES),
    summary="One of its graphs",
)
def kit_graph(request: HttpRequest, name: str) -> HttpResponse:
    return views.kit_file(request, name)


@router.get(
    "/networks",
    response=schemas.Networks,
    summary="Your networks that can be timed on a device, by the names that runs give them",
)
def networks(request: UserRequest) -> Any:
    return {"networks": network_choices(request.user)}


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
    description="A name is a graph of the kit (`/kit`) or one of your networks (`/networks`). What cannot "
    "be a measurement is kept, but set aside with the reason.",
)
def record(request: UserRequest, device_id: UUID, values: schemas.Delivery) -> Any:
    runs = [services.Run(run.name, run.runs_ms) for run in values.runs]
    outcome = services.runs_record(
        device=_found(request, device_id), runs=runs, environment=values.environment
    )
    return queries.outcome_json(outcome)


@router.get(
    "/own-devices/{uuid:device_id}/measurements.csv",
    openapi_extra=answered("text/csv", TEXT),
    summary="The same as a table, one line a run",
)
def measurements_csv(request: UserRequest, device_id: UUID) -> HttpResponse:
    return own_views.runs_csv_file(request, _found(request, device_id).key)


@router.get(
    "/own-devices/{uuid:device_id}/kit.zip",
    openapi_extra=answered("application/zip", BYTES),
    summary="The kit to carry to a device: graphs, a table to fill, and how",
)
def kit_zip(
    request: UserRequest,
    device_id: UUID,
    networks: tuple[str, ...] = Query(
        (), alias="with", description="names of your networks to bring along"
    ),
) -> HttpResponse:
    return own_views.kit_download(_found(request, device_id), networks)


@router.post(
    "/own-devices/{uuid:device_id}/times",
    response=schemas.Outcome,
    openapi_extra=TABLE,
    summary="Send the kit's filled table: the request's body, as it is",
    description="One line a graph or network: its name, then the milliseconds of each run.",
)
def times(request: UserRequest, device_id: UUID) -> Any:
    device = _found(request, device_id)
    try:
        text = request.body.decode()
    except UnicodeDecodeError as error:
        raise RequestRefusedError(NOT_TEXT, status=422) from error
    return queries.outcome_json(table_record(device=device, text=text))


def _found(request: UserRequest, device_id: UUID) -> OwnDevice:
    return queries.own_device_get(owner=request.user, device_id=device_id)


def _row(request: UserRequest, device: OwnDevice) -> Any:
    return queries.own_device_row(device, request.user, device.measurements.count())
