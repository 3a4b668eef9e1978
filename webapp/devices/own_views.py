"""Users' own devices: their page, what is sent to them, what is fetched from them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.devices import services
from webapp.devices.charts import calibration_data, calibration_figure
from webapp.devices.fitting import calibration_of, spoken_to
from webapp.devices.kit import kit_graphs
from webapp.devices.kit_csv import parse_times
from webapp.devices.kit_zip import kit_zip
from webapp.devices.models import Means
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
from webapp.devices.targets import own_device_find, own_profile
from webapp.requests import UserRequest, json_body
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from uuid import UUID

    from compression.calibration import Row
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
    if found := calibration_of(device):
        profile = spoken_to(own_profile(device), "you" if mine else device.owner.username)
        page["device"] = device_json(profile)
        rows = found.rows() if mine else tuple(map(_unnamed, found.rows()))
        data = calibration_data(rows, page["device"]["band"])
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
    if device.means != Means.KIT:
        raise RequestRefusedError(
            f"{device.title} is measured by {device.means}, which is another runtime than the kit's. "
            "Add a device of its own for the kit.",
            status=409,
        )
    text = json_body(request).get("text")
    if not isinstance(text, str):
        raise RequestRefusedError("The request needs a text: the contents of times.csv.")
    runs = parse_times(text)
    outcome = services.runs_record(device=device, runs=runs, environment={"means": "table"})
    return JsonResponse(outcome_json(outcome))


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
    response = HttpResponse(measurements_csv(device), content_type="text/csv; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="{device.key}.csv"'
    return response


@require_GET
def kit_zip_file(request: UserRequest, name: str) -> HttpResponse:
    device = _mine(request, name)
    content = kit_zip(device, request.GET.getlist("with"))
    response = HttpResponse(content, content_type="application/zip")
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


def _unnamed(row: Row) -> Row:
    """A row for strangers: what its owner's projects are called is the owner's."""
    return row if row.name in kit_graphs() else row._replace(name="A network of its owner")


def _mine(request: UserRequest, name: str) -> OwnDevice:
    device = own_device_find(owner=request.user, name=name)
    if device is None or device.owner_id != request.user.pk:
        raise Http404("There is no such device of yours.")
    return device
