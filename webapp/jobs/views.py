from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.jobs import figures, queries, sharing
from webapp.jobs.downloads import artifact_stream
from webapp.jobs.outcome import outcome_json
from webapp.jobs.services import (
    job_cancel,
    job_finish,
    job_pause,
    job_resume,
    job_retry,
)
from webapp.requests import json_body

if TYPE_CHECKING:
    from collections.abc import Callable
    from uuid import UUID

    from django.http import StreamingHttpResponse

    from webapp.requests import UserRequest


@require_GET
@ensure_csrf_cookie
def job_page(request: UserRequest, job_id: UUID) -> HttpResponse:
    job = queries.job_get(owner=request.user, job_id=job_id)
    page = {"job": queries.job_json(job), "outcome": outcome_json(job)}
    return render(request, "job.html", {"page": page})


@require_GET
@ensure_csrf_cookie
def result_page(request: UserRequest, job_id: UUID) -> HttpResponse:
    job = queries.job_get(owner=request.user, job_id=job_id)
    report = queries.report_get(job)
    page = {
        "job": queries.job_json(job),
        "report": report,
        **figures.result_context(job, report),
    }
    return render(request, "result.html", {"page": page})


@require_GET
def job_detail(request: UserRequest, job_id: UUID) -> JsonResponse:
    return JsonResponse(queries.job_json(queries.job_get(owner=request.user, job_id=job_id)))


@require_GET
def job_events(request: UserRequest, job_id: UUID) -> JsonResponse:
    job = queries.job_get(owner=request.user, job_id=job_id)
    after = queries.event_number(request.GET.get("after"))
    events = queries.events_after(job, after)
    return JsonResponse({"events": events, "job": queries.job_json(job)})


@require_GET
def job_figures(request: UserRequest, job_id: UUID) -> JsonResponse:
    return JsonResponse(figures.job_charts(queries.job_get(owner=request.user, job_id=job_id)))


@require_POST
def cancel(request: UserRequest, job_id: UUID) -> JsonResponse:
    return _changed(request, job_id, job_cancel)


@require_POST
def retry(request: UserRequest, job_id: UUID) -> JsonResponse:
    return _changed(request, job_id, job_retry)


@require_POST
def pause(request: UserRequest, job_id: UUID) -> JsonResponse:
    return _changed(request, job_id, job_pause)


@require_POST
def resume(request: UserRequest, job_id: UUID) -> JsonResponse:
    return _changed(request, job_id, job_resume)


@require_POST
def finish(request: UserRequest, job_id: UUID) -> JsonResponse:
    return _changed(request, job_id, job_finish)


@require_GET
def job_log(request: UserRequest, job_id: UUID) -> HttpResponse:
    """The job's log as text: what the page shows."""
    job = queries.job_get(owner=request.user, job_id=job_id)
    lines = [
        f"{event.t:%Y-%m-%d %H:%M:%S} {event.stage:9} {event.data.get('text') or event.data.get('message')}"
        for event in job.events.filter(kind__in=("log", "error"))
    ]
    response = HttpResponse("\n".join([*lines, ""]), content_type="text/plain; charset=utf-8")
    response["Content-Disposition"] = f'attachment; filename="job-{job.id}.log"'
    return response


@require_GET
def file_download(request: UserRequest, job_id: UUID, name: str) -> StreamingHttpResponse:
    job = queries.job_get(owner=request.user, job_id=job_id)
    artifact = get_object_or_404(job.artifacts, name=name)
    return artifact_stream(job, artifact)


@require_http_methods(["GET", "POST"])
def shares(request: UserRequest, job_id: UUID) -> JsonResponse:
    job = queries.job_get(owner=request.user, job_id=job_id)
    if request.method == "GET":
        return JsonResponse(sharing.shares_json(job))
    values = json_body(request)
    share = sharing.share_create(
        job=job, days=values.get("days", 7), with_files=values.get("with_files", False)
    )
    note(request, EventKind.REPORT_SHARED, str(job))
    return JsonResponse(sharing.share_json(share), status=201)


@require_http_methods(["DELETE"])
def share(request: UserRequest, job_id: UUID, share_id: UUID) -> HttpResponse:
    sharing.share_delete(
        job=queries.job_get(owner=request.user, job_id=job_id), share_id=share_id
    )
    return HttpResponse(status=204)


def _changed(request: UserRequest, job_id: UUID, change: Callable[..., None]) -> JsonResponse:
    """The job as it is after a change that its owner asked for."""
    change(job=queries.job_get(owner=request.user, job_id=job_id))
    return JsonResponse(queries.job_json(queries.job_get(owner=request.user, job_id=job_id)))
