from __future__ import annotations

import logging
import secrets
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET

from webapp.jobs.models import Job, JobState
from webapp.jobs.sandbox import measures
from webapp.jobs.workers import SERVED, served, worker_status
from webapp.projects.queries import project_rows
from webapp.projects.transfers import transfers_json
from webapp.responses import error_page
from webapp.samples.catalogue import samples_json

if TYPE_CHECKING:
    from webapp.requests import UserRequest

logger = logging.getLogger(__name__)


@require_GET
@ensure_csrf_cookie
def home(request: UserRequest) -> HttpResponse:
    page = {
        # A path of the server is no matter of those who reach it from elsewhere.
        "home": str(settings.ADADEEP_HOME) if settings.AUTH_MODE == "local" else "",
        "upload_limit_bytes": settings.UPLOAD_LIMIT_BYTES,
        "samples": samples_json(),
        "projects": project_rows(owner=request.user),
        "transfers": transfers_json(owner=request.user),
    }
    return render(request, "home.html", {"page": page})


@require_GET
@ensure_csrf_cookie
def status_page(request: UserRequest) -> HttpResponse:
    waiting = Job.objects.filter(state=JobState.QUEUED).count()
    context = {
        "measures": measures(),
        "waiting": waiting,
        "database": connection.vendor,
        # Names of machines are no matter of those who only use them.
        "sees_machines": settings.AUTH_MODE == "local" or request.user.is_staff,
        "machines": _machines(),
    }
    return render(request, "status.html", context)


def _machines() -> list[dict[str, str]]:
    """Which machine's workers serve which queues, and what for."""
    return [
        {
            "name": host,
            "queues": ", ".join(queues),
            "tasks": "; ".join(SERVED[queue] for queue in queues),
        }
        for host, queues in sorted(served().items())
    ]


@require_GET
def status(_request: HttpRequest) -> JsonResponse:
    sandbox = {measure.name.lower(): measure.is_active for measure in measures()}
    return JsonResponse({"worker": worker_status(), "sandbox": sandbox})


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    message = (
        str(exception.args[0]) if exception.args and isinstance(exception.args[0], str) else ""
    )
    message = message or "There is nothing at this address."
    return error_page(request, message, status=404, code="not_found")


def server_error(request: HttpRequest) -> HttpResponse:
    reference = secrets.token_hex(3).upper()
    logger.error("Reference %s: %s %s", reference, request.method, request.path)
    message = f"Something we did not foresee happened. Your files are untouched. Reference {reference}."
    return error_page(request, message, status=500, code="fault")


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    message = "This page is too old to send changes. Reload it and try again."
    logger.info("CSRF check failed at %s: %s", request.path, reason)
    return error_page(request, message, status=403, code="csrf")
