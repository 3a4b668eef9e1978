"""Uploaded bytes on disk: streamed to a part, hashed on the way, kept under their SHA-256."""

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from django.conf import settings

from compression import durable
from webapp import filestore
from webapp.bodylimit import CHUNKS, UPLOADS, refusal_of, too_large
from webapp.jobs.folders import link
from webapp.jobs.publishing import upload_key
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

    def share(self) -> None:
        """Store it where other machines find it, if they share a store."""
        if filestore.is_shared():
            with self.path.open("rb") as file:
                filestore.put(upload_key(self.sha256), file)

    def keep(self) -> None:
        """Put its bytes in their place for good; the part stays until whoever has it lets go."""
        self.share()  # once more: what nobody named could be deleted until the places were locked
        place = settings.UPLOAD_ROOT / self.sha256[:2] / self.sha256
        place.parent.mkdir(mode=0o700, exist_ok=True)
        self.path.chmod(0o400)
        ready = self.path.with_suffix(".ready")
        link(self.path, ready)
        durable.replace(ready, place)
        durable.sync_folder(settings.UPLOAD_ROOT)
        ready.unlink(missing_ok=True)  # a file that is renamed to itself stays


@contextmanager
def received(stream: Readable, length: int | None) -> Iterator[StoredPart]:
    """The stream's bytes as a part, gone afterwards unless kept.

    Raises:
        RequestRefusedError: too long, no room, or fewer bytes than announced.
    """
    _check_length("POST", UPLOADS, length)
    handle, name = tempfile.mkstemp(dir=settings.UPLOAD_ROOT, suffix=".part")
    path = Path(name)
    try:
        digest, size = _copy(stream, handle)
        if size != length:
            raise _cut_short("file")
        yield StoredPart(path=path, sha256=digest, size_bytes=size)
    finally:
        path.unlink(missing_ok=True)


def part_create(path: Path) -> None:
    """An empty part, there also after a power cut."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    durable.sync_folder(path.parent)


def part_write(path: Path, offset: int, stream: Readable, length: int | None) -> None:
    """Write a chunk into a part and wait until it is on the disk.

    Raises:
        RequestRefusedError: too long, no room, or fewer bytes than announced.
    """
    _check_length("PATCH", CHUNKS, length)
    left = length or 0
    with path.open("r+b") as file:
        file.seek(offset)
        while left and (chunk := stream.read(min(CHUNK, left))):
            file.write(chunk)
            left -= len(chunk)
        file.flush()
        os.fsync(file.fileno())
    if left:
        raise _cut_short("chunk")


def part_whole(path: Path) -> StoredPart:
    """A part to which nothing is missing."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return StoredPart(path=path, sha256=digest, size_bytes=path.stat().st_size)


def places_locked() -> AbstractContextManager[None]:
    """Between a look at the records and a change of the bytes nobody else does either."""
    return locked("uploads")


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Nobody else on this machine is inside at the same time."""
    with (settings.ADADEEP_HOME / "run" / f"{name}.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def delete_unused(sha256: str) -> None:
    """Remove the bytes; the caller holds the lock and knows that no record names them any more."""
    path = settings.UPLOAD_ROOT / sha256[:2] / sha256
    path.unlink(missing_ok=True)
    if filestore.is_shared():
        filestore.delete(upload_key(sha256))


def _check_length(method: str, path: str, length: int | None) -> None:
    if refusal := refusal_of(path, method, length):
        status, code, message = refusal
        raise RequestRefusedError(message, code=code, status=status)


def _cut_short(what: str) -> RequestRefusedError:
    message = f"The connection broke before the whole {what} was here. Send it again."
    return RequestRefusedError(message, code="cut_short")


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
