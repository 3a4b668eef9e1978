"""What machines share: it moves into the store once, and is deleted there and here when nobody needs it."""

from __future__ import annotations

import shutil
import time
from itertools import chain
from typing import TYPE_CHECKING

from django.conf import settings

from webapp import filestore
from webapp.jobs import local_copies
from webapp.jobs.models import UNFINISHED, Job
from webapp.jobs.publishing import publish_new, upload_key
from webapp.projects import storage
from webapp.projects.models import UPLOAD_KINDS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webapp.projects.models import Project


def everything_share() -> None:
    """Store what was made before there was a store; done twice it changes nothing."""
    if not filestore.is_shared():
        return
    for kind in UPLOAD_KINDS.values():
        for upload in kind._default_manager.all():
            if upload.place.is_file():
                with upload.place.open("rb") as file:
                    filestore.put(upload_key(upload.sha256), file)
    related = ("project__model", "project__data")
    for job in Job.objects.filter(published=0).select_related(*related):
        if job.place.is_dir():
            publish_new(job, _inputs(job, job.project))


def store_sweep(older_than_s: float) -> None:
    """Delete stored objects that no record names: what a killed process, or a late one, left behind."""
    if not filestore.is_shared():
        return
    jobs = {str(pk) for pk in Job.objects.values_list("pk", flat=True)}
    for name in filestore.prefixes("jobs"):
        if name not in jobs:
            _delete_old(
                (f"jobs/{name}/{file}" for file in filestore.names(f"jobs/{name}")),
                older_than_s,
            )
    with storage.places_locked():
        known = _known_uploads()
        heads = filestore.prefixes("uploads")
        found = (
            f"uploads/{head}/{name}"
            for head in heads
            for name in filestore.names(f"uploads/{head}")
        )
        _delete_old((key for key in found if key.rpartition("/")[2] not in known), older_than_s)


def copies_sweep(unused_for_s: float) -> None:
    """Delete this machine's copies of what is stored: what nobody here has needed for so long, or has any more."""
    if not filestore.is_shared():
        return
    now = time.time()
    unfinished = Job.objects.filter(state__in=UNFINISHED).values_list("pk", flat=True)
    busy = set(map(str, unfinished))
    for folder in settings.JOB_ROOT.iterdir():
        unused_s = local_copies.unused_s(folder, now)
        if folder.name not in busy and unused_s is not None and unused_s > unused_for_s:
            shutil.rmtree(folder, ignore_errors=True)
    with storage.places_locked():
        known = _known_uploads()
        for path in filter(_is_whole, settings.UPLOAD_ROOT.glob("??/*")):
            # One that a job's folder here has as well is a link and takes no room.
            is_unused = path.stat().st_nlink == 1 and _age_s(path, now) > unused_for_s
            if is_unused or path.name not in known:
                path.unlink()


def _known_uploads() -> set[str]:
    kinds = UPLOAD_KINDS.values()
    hashes = (kind._default_manager.values_list("sha256", flat=True) for kind in kinds)
    return set(chain.from_iterable(hashes))


def _is_whole(path: Path) -> bool:
    return not path.suffix  # those on their way have one


def _inputs(job: Job, project: Project | None) -> dict[str, Path]:
    """Those of the job's files that are uploads."""
    if project is None:
        return {}
    uploads = {"model.onnx": project.model}
    named = (
        {**uploads, f"data.{project.data.format}": project.data} if project.data else uploads
    )
    return {
        name: upload.place for name, upload in named.items() if (job.place / name).is_file()
    }


def _delete_old(keys: Iterator[str], older_than_s: float) -> None:
    now = time.time()
    for key in keys:
        if filestore.age_s(key, now) > older_than_s:
            filestore.delete(key)


def _age_s(path: Path, now: float) -> float:
    return now - path.stat().st_mtime
