"""Links by which others read one report: signed, so that none can be guessed; they end, or are revoked."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID

from django.conf import settings
from django.core.signing import BadSignature, Signer
from django.http import Http404
from django.urls import reverse
from django.utils import timezone

from webapp.jobs import artifacts
from webapp.jobs.models import SharedReport
from webapp.jobs.queries import artifact_json, job_json
from webapp.jobs.services import is_delivered
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.jobs.models import Job

DAYS = (1, 7, 30)
GONE = "There is no such report, or its link has ended."

LOCAL = (
    "Only this computer can open such a link: AdaDeep answers no other machine as it runs now. "
    "Print the report, or send report.html, to show it elsewhere."
)


def share_create(*, job: Job, days: object, with_files: object) -> SharedReport:
    """A link to the job's report that ends after so many days.

    Raises:
        RequestRefusedError: for other days than there are to choose, or a job without a report.
    """
    # To Python true is the number 1.
    is_offered = isinstance(days, int) and not isinstance(days, bool) and days in DAYS
    if not is_offered or not isinstance(with_files, bool):
        allowed = ", ".join(map(str, DAYS))
        raise RequestRefusedError(f"A link lasts {allowed} days, and has files or has not.")
    if not is_delivered(job) or artifacts.report(job) is None:
        raise RequestRefusedError("This job has no report to share yet.", status=409)
    now = timezone.now()
    SharedReport.objects.filter(expires__lte=now).delete()
    expires = now + timedelta(days=int(str(days)))
    return SharedReport.objects.create(job=job, with_files=with_files, expires=expires)


def share_delete(*, job: Job, share_id: UUID) -> None:
    """Revoke a link; done twice it changes nothing."""
    job.shares.filter(pk=share_id).delete()


def shares_json(job: Job) -> dict[str, Any]:
    """The links that still work, newest first, and who can open them."""
    live = job.shares.filter(expires__gt=timezone.now())
    return {
        "shares": [share_json(share) for share in live],
        "days": list(DAYS),
        "note": LOCAL if settings.AUTH_MODE == "local" else "",
    }


def share_json(share: SharedReport) -> dict[str, Any]:
    return {
        "id": str(share.id),
        "url": reverse("shared-report", args=[_signer().sign(str(share.id))]),
        "with_files": share.with_files,
        "expires": share.expires.isoformat(timespec="seconds"),
    }


def share_get(token: str) -> SharedReport:
    """The link that a token is for; whoever has none, a false one or one that has ended gets 404."""
    try:
        key = UUID(_signer().unsign(token))
    except (BadSignature, ValueError) as error:
        raise Http404(GONE) from error
    live = SharedReport.objects.select_related("job__project", "job__study")
    open_ones = live.filter(expires__gt=timezone.now(), job__owner__is_active=True)
    share = open_ones.filter(pk=key).first()
    if share is None:
        raise Http404(GONE)
    return share


def shared_job_json(share: SharedReport, token: str) -> dict[str, Any]:
    """The job as a reader may see it: what the report is of, and the files where the owner allows them."""
    job = share.job
    shown = {
        key: value for key, value in job_json(job).items() if key in ("kind", "state", "target")
    }
    files = job.artifacts.all() if share.with_files else []
    return {
        **shown,
        "project": {"name": job.project.name if job.project else ""},
        "artifacts": [
            {**artifact_json(file), "url": reverse("shared-file", args=[token, file.name])}
            for file in files
        ],
    }


def _signer() -> Signer:
    return Signer(salt="shared-report")
