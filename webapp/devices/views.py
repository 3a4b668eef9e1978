from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from compression.cost import device_names
from compression.device_evidence import evidence
from webapp.devices.charts import evidence_data, evidence_figure
from webapp.devices.queries import device_figures, device_json, devices_json


@require_GET
@ensure_csrf_cookie
def devices_page(request: HttpRequest) -> HttpResponse:
    return render(request, "devices.html", {"page": {"targets": devices_json()}})


@require_GET
@ensure_csrf_cookie
def device_page(request: HttpRequest, name: str) -> HttpResponse:
    if name not in device_names():
        raise Http404(f"There is no device {name}.")
    found = device_json(name)
    data = evidence_data(evidence(name), found["band"])
    page = {"device": found, "evidence": evidence_figure(data) if data else None}
    context = {"page": page, "figures": device_figures(name), "fit": data}
    return render(request, "device.html", context)


@require_GET
def device_list(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"targets": devices_json()})
