from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from compression.device_evidence import evidence
from webapp.devices.charts import evidence_data, evidence_figure
from webapp.devices.kit import kit_graphs, kit_json
from webapp.devices.own_views import own_device_page
from webapp.devices.pairing import phone_json
from webapp.devices.queries import (
    OWN_FAMILY,
    device_figures,
    device_json,
    devices_json,
    own_device_rows,
)
from webapp.devices.targets import own_device_find, prior_choices, target_profile
from webapp.requests import UserRequest


@require_GET
@ensure_csrf_cookie
def devices_page(request: UserRequest) -> HttpResponse:
    targets = [row for row in devices_json(request.user) if row["family"] != OWN_FAMILY]
    phone = phone_json(request, reverse("api-browser-pair"))
    page = {"targets": targets, "own": own_device_rows(request.user), "phone": phone}
    return render(request, "devices.html", {"page": page, "priors": prior_choices()})


@require_GET
@ensure_csrf_cookie
def device_page(request: UserRequest, name: str) -> HttpResponse:
    if own := own_device_find(owner=request.user, name=name):
        return own_device_page(request, own)
    device = target_profile(owner=request.user, name=name)
    found = device_json(device)
    data = evidence_data(evidence(name), found["band"])
    page = {"device": found, "evidence": evidence_figure(data) if data else None}
    context = {"page": page, "figures": device_figures(device), "fit": data}
    return render(request, "device.html", context)


@require_GET
def device_list(request: UserRequest) -> JsonResponse:
    return JsonResponse({"targets": devices_json(request.user)})


@require_GET
def kit_list(_request: HttpRequest) -> JsonResponse:
    return JsonResponse(kit_json())


@require_GET
def kit_file(_request: HttpRequest, name: str) -> HttpResponse:
    graph = kit_graphs().get(name)
    if graph is None:
        raise Http404(f"The kit has no graph {name}.")
    return HttpResponse(graph.path.read_bytes(), content_type="application/octet-stream")
