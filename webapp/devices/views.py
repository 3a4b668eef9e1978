from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from webapp.devices.queries import devices_json


@require_GET
@ensure_csrf_cookie
def devices_page(request: HttpRequest) -> HttpResponse:
    return render(request, "devices.html", {"page": {"targets": devices_json()}})


@require_GET
def device_list(_request: HttpRequest) -> JsonResponse:
    return JsonResponse({"targets": devices_json()})
