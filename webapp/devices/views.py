from django.http import FileResponse, Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from compression.device_evidence import evidence
from webapp.devices.charts import evidence_data, evidence_figure
from webapp.devices.kit import kit_graphs, kit_json
from webapp.devices.queries import device_figures, device_json, devices_json
from webapp.devices.targets import target_profile
from webapp.requests import UserRequest


@require_GET
@ensure_csrf_cookie
def devices_page(request: UserRequest) -> HttpResponse:
    return render(request, "devices.html", {"page": {"targets": devices_json(request.user)}})


@require_GET
@ensure_csrf_cookie
def device_page(request: UserRequest, name: str) -> HttpResponse:
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
def kit_file(_request: HttpRequest, name: str) -> FileResponse:
    graph = kit_graphs().get(name)
    if graph is None:
        raise Http404(f"The kit has no graph {name}.")
    return FileResponse(graph.path.open("rb"), content_type="application/octet-stream")
