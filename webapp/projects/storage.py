"""Uploaded bytes on disk: streamed to a part, hashed on the way, kept under their SHA-256."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings

from webapp.bodylimit import refusal_of, too_large
from webapp.responses import RequestRefusedError

CHUNK = 1024**2


class Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredPart:
    """A whole upload that has no place yet."""

    path: Path
    sha256: str
    size_bytes: int

    def keep(self) -> Path:
        """Move it to its place for good."""
        place = settings.UPLOAD_ROOT / self.sha256[:2] / self.sha256
        place.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o400)
        self.path.replace(place)
        return place


@contextmanager
def received(stream: Readable, length: int | None) -> Iterator[StoredPart]:
    """The stream's bytes as a part, gone afterwards unless kept.

    Raises:
        RequestRefusedError: too long, no room, or fewer bytes than announced.
    """
    refusal = refusal_of("/api/uploads/", "POST", length)
    if refusal:
        status, code, message = refusal
        raise RequestRefusedError(message, code=code, status=status)
    handle, name = tempfile.mkstemp(dir=settings.UPLOAD_ROOT, suffix=".part")
    path = Path(name)
    try:
        digest, size = _copy(stream, handle)
        if size != length:
            message = "The connection broke before the whole file was here. Send it again."
            raise RequestRefusedError(message, code="cut_short")
        yield StoredPart(path=path, sha256=digest, size_bytes=size)
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def places_locked() -> Iterator[None]:
    """Between a look at the records and a change of the bytes nobody else does either."""
    with lock_path().open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lock_path() -> Path:
    """The file that is locked; nothing is in it."""
    return settings.ADADEEP_HOME / "run" / "uploads.lock"


def delete_unused(sha256: str) -> None:
    """Remove the bytes; the caller holds the lock and knows that no record names them any more."""
    path = settings.UPLOAD_ROOT / sha256[:2] / sha256
    path.unlink(missing_ok=True)


def _copy(stream: Readable, handle: int) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with os.fdopen(handle, "wb") as file:
        while chunk := stream.read(CHUNK):
            size += len(chunk)
            if size > settings.UPLOAD_LIMIT_BYTES:
                raise RequestRefusedError(too_large(size), code="too_large", status=413)
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest(), size
