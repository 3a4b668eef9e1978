"""Records whose file is gone: from the data folder, or from the store that machines share."""

from __future__ import annotations

from itertools import chain, groupby, islice
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError

from webapp import filestore
from webapp.jobs.models import Artifact, JobFile
from webapp.jobs.publishing import upload_key
from webapp.projects.models import UPLOAD_KINDS
from webapp.supervision.findings import Finding, ok, wrong

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webapp.projects.models import Upload

MOST_NAMED = 20


def files() -> Iterator[Finding]:
    """Whether what the database names is there."""
    try:
        gone = list(islice(_gone(), MOST_NAMED + 1))
    except DatabaseError:
        return  # which is told of the database itself
    if not gone:
        yield ok("Files: all that the database names are there")
        return
    more = ", and more" if len(gone) > MOST_NAMED else ""
    place = "the store of files" if filestore.is_shared() else settings.ADADEEP_HOME
    yield wrong(
        f"Files that are gone: {'; '.join(gone[:MOST_NAMED])}{more}.",
        f"Put them back into {place} from a backup, under these names. Without one: delete the project of an "
        "upload and send its files again; build again what a job has lost.",
    )


def _gone() -> Iterator[str]:
    """Each such file by its place, and what it is to people."""
    uploads = chain.from_iterable(kind._default_manager.all() for kind in UPLOAD_KINDS.values())
    if filestore.is_shared():
        yield from _gone_uploads(uploads, _stored_uploads())
        yield from _gone_from_store()
    else:
        yield from _gone_uploads(uploads, None)
        yield from _gone_from_disk()


def _gone_uploads(uploads: Iterable[Upload], stored: set[str] | None) -> Iterator[str]:
    for upload in uploads:
        key = upload_key(upload.sha256)
        if not (upload.place.is_file() if stored is None else key in stored):
            yield f"{key} ({upload.name})"


def _gone_from_disk() -> Iterator[str]:
    for artifact in Artifact.objects.select_related("job__project"):
        path = artifact.job.place / artifact.path
        if not path.is_file():
            place = path.relative_to(settings.ADADEEP_HOME)
            yield f"{place} ({artifact.name} of {artifact.job.project})"


def _gone_from_store() -> Iterator[str]:
    rows = JobFile.objects.filter(key__startswith="jobs/").order_by("job_id", "path")
    for job_id, of_job in groupby(rows, key=lambda row: row.job_id):
        stored = set(filestore.names(f"jobs/{job_id}"))
        for row in of_job:
            if row.key.rpartition("/")[2] not in stored:
                yield f"{row.key} ({row.path})"


def _stored_uploads() -> set[str]:
    return {
        upload_key(name)
        for p in filestore.prefixes("uploads")
        for name in filestore.names(f"uploads/{p}")
    }
