"""The page on which a browser measures itself, and the link by which another browser gets there."""

from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.devices.browsers import browser_measured, measure_page_json, measured_json
from webapp.devices.middleware import PAIRED_COOKIE
from webapp.devices.pairing import (
    PAIRED_LASTS,
    pairing_check,
    pairing_links,
    pairing_redeem,
    phone_json,
)
from webapp.requests import UserRequest, json_body


@require_GET
@ensure_csrf_cookie
def measure_page(request: HttpRequest) -> HttpResponse:
    """With the kit alone; a project's page has its networks besides."""
    phone = phone_json(request, reverse("api-browser-pair"))
    page = {**measure_page_json(), "networks": [], "project": None, "phone": phone}
    return render(request, "measure.html", {"page": page})


@require_POST
def browser_runs(request: UserRequest) -> JsonResponse:
    device, outcome = browser_measured(owner=request.user, values=json_body(request))
    return JsonResponse(measured_json(device, outcome), status=201)


@require_POST
def browser_pair(request: UserRequest) -> JsonResponse:
    page = reverse("measure")
    links = pairing_links(owner=request.user, page=page, request=request)
    return JsonResponse({"links": links}, status=201)


@login_not_required
@require_http_methods(["GET", "POST"])
def pair(request: HttpRequest, token: str) -> HttpResponse:
    """Another browser opens its link; only pressing the button ends it."""
    if request.method == "GET":
        pairing_check(token=token)
        return render(request, "pair.html")
    pairing, secret = pairing_redeem(token=token)
    response = redirect(pairing.page)
    response.set_cookie(
        PAIRED_COOKIE,
        secret,
        max_age=PAIRED_LASTS,
        httponly=True,
        secure=request.is_secure(),
        samesite="Strict",
    )
    return response
