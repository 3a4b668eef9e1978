"""Browsers as devices: the link that takes a phone to the page, and the times that a browser took."""

from typing import Any
from uuid import UUID

from django.http import HttpResponseBase
from django.urls import reverse
from ninja import Router

from webapp.api import device_schemas as schemas
from webapp.api.devices import BYTES, answered
from webapp.devices.browsers import browser_measured, measured_json
from webapp.devices.pairing import pairing_links
from webapp.projects import measuring, views
from webapp.projects.models import Project
from webapp.projects.queries import project_get
from webapp.requests import UserRequest

router = Router(tags=["browsers"])

ONCE = "Good once, for ten minutes. Who opens it may measure itself for you for an hour, and see nothing else of yours."
ONE_DEVICE = "The same title, prior, number of threads and backend is the same device again."


@router.post(
    "/pairings",
    response={201: schemas.Links},
    summary="A link by which another browser, such as a phone's, measures itself for you",
    description=ONCE,
)
def pair(request: UserRequest) -> Any:
    return _links(request, reverse("measure"))


@router.post(
    "/projects/{uuid:project_id}/pairings",
    response={201: schemas.Links},
    summary="The same, with the project's networks besides the kit",
    description=ONCE,
)
def pair_for_project(request: UserRequest, project_id: UUID) -> Any:
    found = _project(request, project_id)
    return _links(request, reverse("measure-project", args=[found.id]))


@router.post(
    "/browser-measurements",
    response={201: schemas.MeasuredBrowser},
    summary="Record what a browser timed of the kit; it is then a target",
    description=ONE_DEVICE,
)
def measure(request: UserRequest, values: schemas.BrowserDelivery) -> Any:
    return measured_json(*browser_measured(owner=request.user, values=values.model_dump()))


@router.get(
    "/projects/{uuid:project_id}/networks",
    response=schemas.NetworkFiles,
    summary="The project's networks that a browser may time: the original, builds, and candidates of the study",
)
def networks(request: UserRequest, project_id: UUID) -> Any:
    found = measuring.networks(_project(request, project_id))
    return {"networks": [measuring.network_json(network) for network in found]}


@router.get(
    "/projects/{uuid:project_id}/networks/{name}",
    openapi_extra=answered("application/octet-stream", BYTES),
    summary="One of them as a file",
)
def network(request: UserRequest, project_id: UUID, name: str) -> HttpResponseBase:
    return views.network_file(request, project_id, name)


@router.post(
    "/projects/{uuid:project_id}/browser-measurements",
    response={201: schemas.MeasuredBrowser},
    summary="Record what a browser timed of the kit and of the project's networks",
    description=ONE_DEVICE,
)
def measure_project(
    request: UserRequest, project_id: UUID, values: schemas.BrowserDelivery
) -> Any:
    offered = measuring.networks(_project(request, project_id))
    device, outcome = browser_measured(
        owner=request.user,
        values=values.model_dump(),
        networks=[network.name for network in offered],
    )
    return measured_json(device, outcome)


def _links(request: UserRequest, page: str) -> Any:
    return {"links": pairing_links(owner=request.user, page=page, request=request)}


def _project(request: UserRequest, project_id: UUID) -> Project:
    return project_get(owner=request.user, project_id=project_id)
