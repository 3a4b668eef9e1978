"""Users' own devices: their page, what is sent to them, what is fetched from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.devices import services
from webapp.devices.charts import calibration_figure
from webapp.devices.evidence import own_evidence
from webapp.devices.kit_csv import table_record
from webapp.devices.kit_zip import kit_zip
from webapp.devices.networks import network_choices
from webapp.devices.queries import (
    device_figures,
    device_json,
    measurement_rows,
    measurements_csv,
    measurements_json,
    outcome_json,
    own_device_get,
    own_device_row,
)
from webapp.devices.targets import own_device_find
from webapp.requests import UserRequest, json_body
from webapp.responses import RequestRefusedError
from webapp.tables import csv_file

if TYPE_CHECKING:
    from collections.abc import Sequence
    from uuid import UUID

    from webapp.devices.models import OwnDevice

SHOWN_MEASUREMENTS = 200
"""Of the newest on the page; the files hold all of them."""


def own_device_page(request: UserRequest, device: OwnDevice) -> HttpResponse:
    mine = device.owner_id == request.user.pk
    row = own_device_row(device, request.user, device.measurements.count())
    page: dict[str, Any] = {"own": row, "device": None, "evidence": None}
    context: dict[str, Any] = {"page": page, "title": device.title, "mine": mine}
    if mine:
        context["choices"] = network_choices(request.user)
        context["rows"] = measurement_rows(device, SHOWN_MEASUREMENTS)
    if found := own_evidence(device, request.user):
        profile, data = found
        page["device"] = device_json(profile)
        page["evidence"] = calibration_figure(data)
        context |= {
            "fit": data,
            "figures": device_figures(profile),
            "note": profile.note,
            "error_before": f"{data.error_before:.0%}",
            "error_after": f"{data.error_after:.0%}",
        }
    return render(request, "own_device.html", context)


@require_POST
def own_device_list(request: UserRequest) -> JsonResponse:
    values = json_body(request)
    device = services.own_device_create(owner=request.user, **new_device_values(values))
    return JsonResponse(own_device_row(device, request.user, 0), status=201)


@require_http_methods(["DELETE"])
def own_device(request: UserRequest, device_id: UUID) -> HttpResponse:
    device = own_device_get(owner=request.user, device_id=device_id)
    services.own_device_delete(device=device)
    note(request, EventKind.DEVICE_DELETED, device.title)
    return HttpResponse(status=204)


@require_POST
def own_device_settings(request: UserRequest, device_id: UUID) -> JsonResponse:
    device = own_device_get(owner=request.user, device_id=device_id)
    values = json_body(request)
    if "title" in values:
        services.own_device_rename(device=device, title=values["title"])
    if "shared" in values:
        services.own_device_share(device=device, shared=values["shared"] is True)
        if values["shared"] is True:
            note(request, EventKind.DEVICE_SHARED, device.title)
    return JsonResponse(own_device_row(device, request.user, device.measurements.count()))


@require_POST
def own_device_times(request: UserRequest, device_id: UUID) -> JsonResponse:
    """The filled table of the kit."""
    device = own_device_get(owner=request.user, device_id=device_id)
    text = json_body(request).get("text")
    if not isinstance(text, str):
        raise RequestRefusedError("The request needs a text: the contents of times.csv.")
    return JsonResponse(outcome_json(table_record(device=device, text=text)))


@require_GET
def runs_json_file(request: UserRequest, name: str) -> JsonResponse:
    device = _mine(request, name)
    rows = {"device": device.title, "measurements": measurements_json(device)}
    response = JsonResponse(rows, json_dumps_params={"indent": 1})
    response["Content-Disposition"] = f'attachment; filename="{device.key}.json"'
    return response


@require_GET
def runs_csv_file(request: UserRequest, name: str) -> HttpResponse:
    device = _mine(request, name)
    return csv_file(device.key, measurements_csv(device))


@require_GET
def kit_zip_file(request: UserRequest, name: str) -> HttpResponse:
    return kit_download(_mine(request, name), request.GET.getlist("with"))


def kit_download(device: OwnDevice, networks: Sequence[str]) -> HttpResponse:
    response = HttpResponse(kit_zip(device, networks), content_type="application/zip")
    response["Content-Disposition"] = 'attachment; filename="adadeep-kit.zip"'
    return response


def new_device_values(values: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a new device; what is missing is refused with a sentence by the service."""
    return {
        "title": values.get("title"),
        "prior": values.get("prior"),
        "runtime": values.get("runtime"),
        "threads": values.get("threads", 1),
        "arithmetic": values.get("arithmetic", "fp32"),
        "means": values.get("means", "kit"),
    }


def _mine(request: UserRequest, name: str) -> OwnDevice:
    device = own_device_find(owner=request.user, name=name)
    if device is None or device.owner_id != request.user.pk:
        raise Http404("There is no such device of yours.")
    return device
