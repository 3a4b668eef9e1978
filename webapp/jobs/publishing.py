"""A job's files on their way into the store that machines share. Without a store nothing happens here."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.models import F

from webapp import filestore
from webapp.jobs import local_copies
from webapp.jobs.lease import LeaseLostError
from webapp.jobs.local_copies import Known
from webapp.jobs.models import Job, JobFile

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)
T = TypeVar("T")

PAUSES_S = (1, 2, 5, 10, 20, *[30] * 10)
"""Between two tries: about six minutes in all."""

PUBLISH_S = 30.0
"""How often a running stage stores its checkpoints."""


class Holder(Protocol):
    """Who may write about a job: its worker, or that of one of its parts."""

    @property
    def rows(self) -> Any:
        """The job's row; none when another holds the lease now."""

    def beat(self) -> None:
        """Say that this attempt is alive."""


def publish_new(job: Job, uploads: Mapping[str, Path]) -> None:
    """Store what a new job starts from. Of uploads, which are stored already, only the place is noted."""
    if not filestore.is_shared():
        return
    found = {}
    for name, source in uploads.items():
        status = (job.folder / name).stat()
        found[name] = Known(source.name, status.st_size, status.st_mtime_ns)
    with local_copies.locked(job.place):
        local_copies.note(job.place, found)
    keys = {name: upload_key(source.name) for name, source in uploads.items()}
    _write(Job.objects.filter(pk=job.pk), job, found | _store(job), keys)
    job.refresh_from_db(fields=["published"])


def publish(job: Job, holder: Holder) -> None:
    """Store what is new in the job's folder, for whoever works on it next and for the pages.

    Raises:
        LeaseLostError: when the job belongs to another attempt; nothing is noted then.
        StoreError: when the store does not answer.
    """
    if not filestore.is_shared():
        return
    with kept_alive(holder):
        found = _patiently(lambda: _store(job))
    if found:
        _write(holder.rows, job, found, {})


def bring(job: Job, holder: Holder) -> None:
    """Fetch what others have stored of the job since it was read from the database.

    Raises:
        StoreError: when it is not to be had.
    """
    if not filestore.is_shared():
        return
    job.refresh_from_db(fields=["published"])
    with kept_alive(holder):
        _patiently(lambda: job.folder)


def upload_key(sha256: str) -> str:
    """Where an upload is stored; as in the data folder."""
    return f"uploads/{sha256[:2]}/{sha256}"


def _store(job: Job) -> dict[str, Known]:
    found = {}
    for name, known, file in local_copies.changed(job.place):
        filestore.put(f"jobs/{job.pk}/{known.sha256}", file)
        found[name] = known
    return found


def _write(rows: Any, job: Job, found: Mapping[str, Known], keys: Mapping[str, str]) -> None:
    """Note what is stored, as the next version of the job's files; what it replaces is deleted."""
    # Locked, lest a page fetches what the engine has replaced here by something newer.
    with local_copies.locked(job.place):
        replaced = _write_rows(rows, job, found, keys)
        local_copies.note(job.place, dict(found))
    for key in replaced:
        filestore.delete(key)


@transaction.atomic
def _write_rows(
    rows: Any, job: Job, found: Mapping[str, Known], keys: Mapping[str, str]
) -> set[str]:
    """The job's objects that nothing names any more."""
    if not rows.update(published=F("published") + 1):
        raise LeaseLostError(str(job.pk))
    version = Job.objects.values_list("published", flat=True).get(pk=job.pk)
    own = job.files.filter(key__startswith=f"jobs/{job.pk}/")
    former = set(own.filter(path__in=found).values_list("key", flat=True))
    JobFile.objects.bulk_create(
        (
            JobFile(
                job=job,
                path=name,
                key=keys.get(name, f"jobs/{job.pk}/{known.sha256}"),
                sha256=known.sha256,
                size_bytes=known.size_bytes,
                version=version,
            )
            for name, known in found.items()
        ),
        update_conflicts=True,
        unique_fields=["job", "path"],
        update_fields=["key", "sha256", "size_bytes", "version"],
    )
    return former.difference(own.values_list("key", flat=True))


def _patiently(action: Callable[[], T]) -> T:
    """Do it; a store that is away for some minutes is waited for."""
    for pause_s in PAUSES_S:
        try:
            return action()
        except filestore.GoneError:
            raise
        except filestore.StoreError as error:
            logger.warning("%s Trying again in %s s", error, pause_s)
            time.sleep(pause_s)
    return action()


@contextmanager
def kept_alive(holder: Holder) -> Iterator[None]:
    """Beats while files are on their way: a large one takes longer than a lease lasts."""
    if not filestore.is_shared():
        yield
        return
    done = threading.Event()

    def beat() -> None:
        try:
            while not done.wait(settings.LEASE_HEARTBEAT_S):
                holder.beat()
        except (LeaseLostError, DatabaseError) as error:
            logger.warning("Lost while files were on their way: %s", error)
        finally:
            connection.close()

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
