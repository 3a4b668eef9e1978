"""What somebody sees who was given a link to a report: that report and, where allowed, its files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.decorators import login_not_required
from django.http import Http404
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from webapp.jobs import artifacts, figures
from webapp.jobs.downloads import artifact_stream
from webapp.jobs.sharing import GONE, share_get, shared_job_json

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse

PRIVATE = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex",
}
"""The address is the key: it is kept from caches, other sites and search engines."""


@login_not_required
@require_GET
def shared_page(request: HttpRequest, token: str) -> HttpResponse:
    share = share_get(token)
    report = artifacts.report(share.job)
    if report is None:
        raise Http404(GONE)
    page = {
        "job": shared_job_json(share, token),
        "report": report,
        **figures.result_context(share.job, report),
    }
    context = {"page": page, "shared": share}
    response = render(request, "result.html", context)
    for name, value in PRIVATE.items():
        response.headers[name] = value
    return response


@login_not_required
@require_GET
def shared_file(_request: HttpRequest, token: str, name: str) -> StreamingHttpResponse:
    share = share_get(token)
    if not share.with_files:
        raise Http404(GONE)
    artifact = get_object_or_404(share.job.artifacts, name=name)
    return artifact_stream(share.job, artifact)
