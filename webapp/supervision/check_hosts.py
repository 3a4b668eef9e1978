"""What several machines share: the store of files, and whether they are there."""

from __future__ import annotations

import hashlib
import io
import secrets
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings

from webapp import filestore
from webapp.jobs.tasks import GPU, QUEUES
from webapp.jobs.workers import hosts
from webapp.supervision.findings import Finding, note, ok, wrong
from webapp.supervision.worker_host import missing_settings

if TYPE_CHECKING:
    from collections.abc import Iterator


def store() -> Iterator[Finding]:
    """Store something, fetch it, delete it."""
    if not filestore.is_shared():
        return
    content = secrets.token_bytes(1024)
    key = f"checkup/{hashlib.sha256(content).hexdigest()}"
    try:
        with tempfile.TemporaryDirectory(dir=settings.ADADEEP_HOME / "tmp") as folder:
            filestore.put(key, io.BytesIO(content))
            filestore.get(key, Path(folder) / "back")
        filestore.delete(key)
    except filestore.StoreError as error:
        yield wrong(
            f"Store of files at STORAGE_URL: {error.__cause__ or error}",
            "Look at STORAGE_URL, AWS_ENDPOINT_URL, the keys, and whether the bucket is there. See docs/hosts.md.",
        )
    else:
        yield ok("Store of files: kept, gave back and deleted what it was given")


def machines() -> Iterator[Finding]:
    """Which machines work, and whether others could."""
    missing = missing_settings()
    if missing and settings.STORAGE_URL:
        yield wrong(
            f"STORAGE_URL is set, but not {', '.join(missing)}.",
            "Other machines need all three; this one alone needs none. See docs/hosts.md.",
        )
    for queue in (*QUEUES, GPU):
        if found := hosts(queue):
            yield ok(f"Workers for {queue}: {', '.join(found)}")
        elif not missing and queue != GPU:
            yield note(f"No worker for {queue} answers.", "manage.py worker --queues cpu")
