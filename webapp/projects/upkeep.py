"""What is deleted: by its age, on request, and whatever nothing names any more."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Coalesce
from django.utils import timezone

from webapp.accounts.audit import event_keep
from webapp.accounts.models import EventKind
from webapp.devices.models import OwnDevice, Pairing
from webapp.devices.services import own_device_delete
from webapp.jobs.models import ACTIVE, Job
from webapp.jobs.services import job_delete
from webapp.projects import storage
from webapp.projects.models import UPLOAD_KINDS, Project, Study, Transfer
from webapp.projects.services import project_delete, upload_delete_unused
from webapp.projects.transfers import transfer_delete

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User


def projects_expire() -> None:
    """Delete projects that nobody has touched for as long as the settings say."""
    if not settings.RETENTION_DAYS:
        return
    before = timezone.now() - timedelta(days=settings.RETENTION_DAYS)
    last_job = Max(Coalesce("job__finished", "job__created"))
    old = Project.objects.filter(updated__lt=before).annotate(last_job=last_job)
    for project in old.select_related("study__job", "model", "data", "owner"):
        if (project.last_job or project.updated) < before and not _is_busy(project):
            owner = project.owner.get_username()
            project_delete(project=project)
            event_keep(
                kind=EventKind.PROJECT_EXPIRED, account=owner, address="", detail=project.name
            )


def everything_delete(*, owner: User) -> None:
    """Delete all projects, studies, jobs, uploads and devices of a person: rows and files.

    A file that somebody else has sent as well stays theirs.
    """
    for project in Project.objects.filter(owner=owner).select_related("study", "model", "data"):
        project_delete(project=project)
    for job in Job.objects.filter(owner=owner):
        job_delete(job=job)
    for device in OwnDevice.objects.filter(owner=owner):
        own_device_delete(device=device)
    Pairing.objects.filter(owner=owner).delete()
    Study.objects.filter(owner=owner).delete()
    for transfer in Transfer.objects.filter(owner=owner):
        transfer_delete(transfer=transfer)
    for kind in UPLOAD_KINDS.values():
        for upload in kind._default_manager.filter(owner=owner):
            with transaction.atomic():
                upload_delete_unused(upload)


def files_sweep(older_than_s: float) -> None:
    """Delete uploaded bytes that no record names: what a killed process left behind."""
    with storage.places_locked():
        known = {
            sha256
            for kind in UPLOAD_KINDS.values()
            for sha256 in kind._default_manager.values_list("sha256", flat=True)
        }
        known |= {transfer.path.name for transfer in Transfer.objects.all()}
        for path in settings.UPLOAD_ROOT.rglob("*"):
            if path.is_file() and path.name not in known and _age_s(path) > older_than_s:
                path.unlink()


def _is_busy(project: Project) -> bool:
    job = project.study.job
    active = Job.objects.filter(project=project, state__in=ACTIVE)
    return active.exists() or bool(job and job.state in ACTIVE)


def _age_s(path: Path) -> float:
    return time.time() - path.stat().st_mtime
