"""How much room people use, and how much they may."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.conf import settings

from webapp.bodylimit import amount
from webapp.jobs.models import Job
from webapp.projects.models import Dataset, UploadedModel
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.db.models import QuerySet


def used_bytes(owner: User | None = None) -> int:
    """Bytes on disk of one person's uploads and jobs, or of everybody's; a linked file counts once."""
    sizes = {}
    for path in _files(owner):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # a job that runs cleans up after itself
        sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def quota_check(*, owner: User, length: int | None) -> None:
    """Refuse an upload that would not fit.

    Raises:
        RequestRefusedError: saying how much is used, and what to do.
    """
    coming = length or 0
    limit = settings.USER_QUOTA_BYTES
    if limit and (used := used_bytes(owner)) + coming > limit:
        text = (
            f"You use {amount(used)} of {amount(limit)}; this file has {amount(coming)}. "
            "Delete a project that you no longer need, then send it again."
        )
        raise RequestRefusedError(text, code="quota", status=413)
    limit = settings.TOTAL_QUOTA_BYTES
    if limit and used_bytes() + coming > limit:
        text = "This installation is full: everybody's files together reach its limit. Tell an administrator."
        raise RequestRefusedError(text, code="quota", status=507)


def _files(owner: User | None) -> Iterator[Path]:
    for kind in (UploadedModel, Dataset):
        for upload in _of(kind.objects.all(), owner).only("sha256"):
            yield upload.path
    for job in _of(Job.objects.all(), owner).only("pk"):
        yield from (path for path in job.folder.rglob("*") if not path.is_dir())


def _of(rows: QuerySet[Any], owner: User | None) -> QuerySet[Any]:
    return rows if owner is None else rows.filter(owner=owner)
