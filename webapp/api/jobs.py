"""Studies and builds: their state, events, charts, files."""

from typing import Any
from uuid import UUID

from django.http import HttpResponse, HttpResponseBase
from ninja import Router
from ninja.params.functions import Header, Query

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.api import schemas
from webapp.api.streams import event_stream
from webapp.jobs import figures, queries, services, sharing, views
from webapp.requests import UserRequest

router = Router(tags=["jobs"])

STREAM = "text/event-stream"
STREAMED = {"responses": {200: {"content": {STREAM: {"schema": {"type": "string"}}}}}}
BYTES = {"type": "string", "format": "binary"}
LARGEST_NUMBER = 2**31 - 1


@router.get("/jobs/{uuid:job_id}", response=schemas.Job, summary="A job's state")
def job(request: UserRequest, job_id: UUID) -> Any:
    return queries.job_json(queries.job_get(owner=request.user, job_id=job_id))


@router.get(
    "/jobs/{uuid:job_id}/events",
    response=schemas.Events,
    openapi_extra=STREAMED,
    summary="A job's events after a number",
    description="JSON with at most 5,000 events; with `Accept: text/event-stream` the events as they "
    "happen, until the job has ended. A stream that broke goes on after `Last-Event-ID`.",
)
def job_events(
    request: UserRequest,
    job_id: UUID,
    after: int = Query(0, ge=0, le=LARGEST_NUMBER),
    last_event_id: int = Header(0, alias="Last-Event-ID", ge=0, le=LARGEST_NUMBER),
) -> Any:
    found = queries.job_get(owner=request.user, job_id=job_id)
    after = max(after, last_event_id)
    if STREAM in request.headers.get("Accept", ""):
        return event_stream(found.owner, found.id, after)
    return {"events": queries.events_after(found, after), "job": queries.job_json(found)}


@router.get(
    "/jobs/{uuid:job_id}/figures", response=dict[str, Any], summary="Plotly figures of a job"
)
def job_figures(request: UserRequest, job_id: UUID) -> Any:
    return figures.job_charts(queries.job_get(owner=request.user, job_id=job_id))


@router.get(
    "/jobs/{uuid:job_id}/report", response=dict[str, Any], summary="A build's report.json"
)
def job_report(request: UserRequest, job_id: UUID) -> Any:
    return queries.report_get(queries.job_get(owner=request.user, job_id=job_id))


@router.get(
    "/jobs/{uuid:job_id}/report/figures",
    response=dict[str, Any],
    summary="Plotly figures of a build's result",
)
def report_figures(request: UserRequest, job_id: UUID) -> Any:
    found = queries.job_get(owner=request.user, job_id=job_id)
    return figures.result_context(found, queries.report_get(found))["figures"]


@router.get(
    "/jobs/{uuid:job_id}/log",
    openapi_extra={"responses": {200: {"content": {"text/plain": {"schema": BYTES}}}}},
    summary="A job's log as text",
)
def job_log(request: UserRequest, job_id: UUID) -> HttpResponse:
    return views.job_log(request, job_id)


@router.get(
    "/jobs/{uuid:job_id}/files/{name}",
    openapi_extra={
        "responses": {200: {"content": {"application/octet-stream": {"schema": BYTES}}}}
    },
    summary="One of a build's files",
)
def job_file(request: UserRequest, job_id: UUID, name: str) -> HttpResponseBase:
    return views.file_download(request, job_id, name)


@router.post("/jobs/{uuid:job_id}/cancel", response=schemas.Job, summary="Stop a job")
def cancel(request: UserRequest, job_id: UUID) -> Any:
    services.job_cancel(job=queries.job_get(owner=request.user, job_id=job_id))
    return job(request, job_id)


@router.post("/jobs/{uuid:job_id}/pause", response=schemas.Job, summary="Let a job rest")
def pause(request: UserRequest, job_id: UUID) -> Any:
    services.job_pause(job=queries.job_get(owner=request.user, job_id=job_id))
    return job(request, job_id)


@router.post(
    "/jobs/{uuid:job_id}/resume", response=schemas.Job, summary="Go on with a paused job"
)
def resume(request: UserRequest, job_id: UUID) -> Any:
    services.job_resume(job=queries.job_get(owner=request.user, job_id=job_id))
    return job(request, job_id)


@router.post(
    "/jobs/{uuid:job_id}/finish",
    response=schemas.Job,
    summary="End a job soon, with the best that it has found",
)
def finish(request: UserRequest, job_id: UUID) -> Any:
    services.job_finish(job=queries.job_get(owner=request.user, job_id=job_id))
    return job(request, job_id)


@router.post(
    "/jobs/{uuid:job_id}/retry", response=schemas.Job, summary="Go on with a stopped job"
)
def retry(request: UserRequest, job_id: UUID) -> Any:
    services.job_retry(job=queries.job_get(owner=request.user, job_id=job_id))
    return job(request, job_id)


@router.get(
    "/jobs/{uuid:job_id}/shares", response=schemas.Shares, summary="Links to a report that work"
)
def shares(request: UserRequest, job_id: UUID) -> Any:
    return sharing.shares_json(queries.job_get(owner=request.user, job_id=job_id))


@router.post(
    "/jobs/{uuid:job_id}/shares",
    response={201: schemas.Share},
    summary="A link by which others read a report",
)
def new_share(request: UserRequest, job_id: UUID, wanted: schemas.NewShare) -> Any:
    job = queries.job_get(owner=request.user, job_id=job_id)
    share = sharing.share_create(job=job, **wanted.model_dump())
    note(request, EventKind.REPORT_SHARED, str(job))
    return sharing.share_json(share)


@router.delete(
    "/jobs/{uuid:job_id}/shares/{uuid:share_id}", response={204: None}, summary="Revoke a link"
)
def revoke_share(request: UserRequest, job_id: UUID, share_id: UUID) -> None:
    sharing.share_delete(
        job=queries.job_get(owner=request.user, job_id=job_id), share_id=share_id
    )
