"""How much room people use, and how much they may."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db.models import F, Sum

from webapp import filestore
from webapp.bodylimit import amount, no_room
from webapp.jobs.models import Job, JobFile
from webapp.projects.models import UPLOAD_KINDS, Transfer
from webapp.projects.storage import places_locked
from webapp.reservations import (
    Reservation,
    quota_reserve,
    quota_reserved_bytes,
    reserved_bytes,
)
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from django.contrib.auth.models import User
    from django.db.models import QuerySet


def used_bytes(owner: User | None = None) -> int:
    """Bytes of one person's uploads and jobs, or of everybody's; what is kept once counts once.

    Of uploads on their way what has come counts here, the rest in ``coming_bytes``.
    """
    if filestore.is_shared():
        return _stored_bytes(owner)
    sizes = {}
    for path in _files(owner):
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # a job that runs cleans up after itself
        sizes[status.st_dev, status.st_ino] = status.st_size
    return sum(sizes.values())


def coming_bytes(owner: User | None = None) -> int:
    """What uploads on their way have announced and not sent yet; of those in one request, all."""
    return announced_bytes(owner) + quota_reserved_bytes(owner.pk if owner else None)


def announced_bytes(owner: User | None = None) -> int:
    """The same of uploads in chunks alone."""
    begun = _of(Transfer.objects.filter(upload_id=None), owner)
    return begun.aggregate(total=Sum(F("size_bytes") - F("received_bytes")))["total"] or 0


def room_check(*, length: int) -> None:
    """Refuse a transfer that the disk has no room for beside the others on their way.

    Raises:
        RequestRefusedError: saying how much is left.
    """
    free = shutil.disk_usage(settings.UPLOAD_ROOT).free
    # A body that comes at once takes its room twice, as in ``webapp.bodylimit``.
    coming = announced_bytes() + 2 * reserved_bytes()
    if free < length + coming + settings.UPLOAD_SPARE_BYTES:
        raise RequestRefusedError(no_room(free, coming), code="disk_full", status=507)


def upload_quota_check(*, owner: User, length: int) -> None:
    """Refuse an upload that would not fit.

    Raises:
        RequestRefusedError: saying how much is used, and what to do.
    """
    _check(owner, length, f"this file has {amount(length)}", "then send it again")


def upload_quota_reserve(*, owner: User, length: int) -> Reservation:
    """Room for a file that comes in one request, before its first byte is read.

    Raises:
        RequestRefusedError: as above.
    """
    with places_locked():
        upload_quota_check(owner=owner, length=length)
        return quota_reserve(owner.pk, length)


def job_quota_check(*, owner: User) -> None:
    """Refuse to start a job where nothing is left for what it makes.

    Raises:
        RequestRefusedError: as above.
    """
    _check(owner, 0, "nothing is left for what this makes", "then try again")


def _check(owner: User, size: int, why: str, what_then: str) -> None:
    limit = settings.USER_QUOTA_BYTES
    if limit and (used := used_bytes(owner) + coming_bytes(owner)) + size > limit:
        text = (
            f"You use {amount(used)} of {amount(limit)}, uploads under way included; {why}. "
            f"Delete a project that you no longer need, {what_then}."
        )
        raise RequestRefusedError(text, code="quota", status=413)
    limit = settings.TOTAL_QUOTA_BYTES
    if limit and used_bytes() + coming_bytes() + size > limit:
        text = "This installation is full: everybody's files together reach its limit. Tell an administrator."
        raise RequestRefusedError(text, code="quota", status=507)


def _stored_bytes(owner: User | None) -> int:
    """The same in the store that machines share: this one has copies of a part of it."""
    sizes: dict[str, int] = {}
    for kind in UPLOAD_KINDS.values():
        rows = _of(kind._default_manager.all(), owner)
        sizes |= rows.values_list("sha256", "size_bytes")
    files = JobFile.objects.filter(key__startswith="jobs/")
    files = files if owner is None else files.filter(job__owner=owner)
    sizes |= files.values_list("key", "size_bytes")
    begun = _of(Transfer.objects.filter(upload_id=None), owner)
    coming: int = sum(begun.values_list("received_bytes", flat=True))
    return coming + sum(sizes.values())


def _files(owner: User | None) -> Iterator[Path]:
    for kind in UPLOAD_KINDS.values():
        for upload in _of(kind._default_manager.all(), owner).only("sha256"):
            yield upload.place
    for transfer in _of(Transfer.objects.filter(upload_id=None), owner).only("pk"):
        yield transfer.path
    for job in _of(Job.objects.all(), owner).only("pk"):
        # No deeper: a stage's folder holds files alone, and what is temporary may be made endlessly deep.
        found = (*job.place.glob("*"), *job.place.glob("*/*"))
        yield from (path for path in found if not path.is_dir())


def _of(rows: QuerySet[Any], owner: User | None) -> QuerySet[Any]:
    return rows if owner is None else rows.filter(owner=owner)
