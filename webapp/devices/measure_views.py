"""The page on which a browser measures itself."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_POST

from webapp.devices.browsers import browser_measured, measure_page_json, measured_json
from webapp.requests import UserRequest, json_body


@require_GET
@ensure_csrf_cookie
def measure_page(request: HttpRequest) -> HttpResponse:
    """With the kit alone; a project's page has its networks besides."""
    page = {**measure_page_json(), "networks": [], "project": None}
    return render(request, "measure.html", {"page": page})


@require_POST
def browser_runs(request: UserRequest) -> JsonResponse:
    device, outcome = browser_measured(owner=request.user, values=json_body(request))
    return JsonResponse(measured_json(device, outcome), status=201)
