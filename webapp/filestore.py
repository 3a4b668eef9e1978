"""The store of files that several machines share, by Django's storage; without STORAGE_URL there is none.

Keys end with the SHA-256 of what they hold, so an object never changes and may be written twice.
"""

from __future__ import annotations

import hashlib
import tempfile
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING

from django.conf import settings
from django.core.files import File
from django.core.files.storage import default_storage

from compression import durable
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1024**2
SILENT = "The store of files does not answer. What you see is kept; try again in a minute."


class StoreError(RequestRefusedError):
    """The store does not answer, or does not have what it should."""

    def __init__(self, message: str, *, code: str = "store", status: int = 503) -> None:
        super().__init__(message, code=code, status=status)


class GoneError(StoreError):
    """There is no such object, or it is not what its name says."""

    def __init__(self, message: str) -> None:
        super().__init__(message, code="gone", status=404)


def is_shared() -> bool:
    """Whether other machines take files from a store, and not from this data folder."""
    return bool(settings.STORAGE_URL)


def put(key: str, file: IO[bytes]) -> None:
    """Store what is in the file, unless it is there."""
    with _answering():
        if not default_storage.exists(key):
            default_storage.save(key, File(file))


def get(key: str, path: Path) -> None:
    """Fetch an object: whole, as its key says, under a temporary name first.

    Raises:
        GoneError: when there is none, or it is damaged.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(
        dir=path.parent, prefix=".fetch-", suffix=".part", delete=False
    ) as file:
        part = Path(file.name)
        try:
            digest = hashlib.sha256()
            with _answering(), default_storage.open(key) as stored:
                for chunk in stored.chunks(CHUNK):
                    digest.update(chunk)
                    file.write(chunk)
            if digest.hexdigest() != key.rpartition("/")[2]:
                raise GoneError(f"{key} in the store of files is damaged.")
            file.flush()
            part.chmod(0o644)
            durable.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def delete(key: str) -> None:
    """Delete an object; nothing happens when there is none."""
    with _answering():
        default_storage.delete(key)


def delete_all(prefix: str) -> None:
    """Delete all objects right under a prefix."""
    for name in names(prefix):
        delete(f"{prefix}/{name}")


def names(prefix: str) -> list[str]:
    """Names of objects right under a prefix."""
    return _listed(prefix)[1]


def prefixes(prefix: str) -> list[str]:
    """What further prefixes there are under one."""
    return _listed(prefix)[0]


def age_s(key: str, now: float) -> float:
    """For how long the object has been there."""
    with _answering():
        return now - default_storage.get_modified_time(key).timestamp()


def _listed(prefix: str) -> tuple[list[str], list[str]]:
    with _answering():
        try:
            folders, files = default_storage.listdir(prefix)
        except FileNotFoundError:
            return [], []
    return [name for name in folders if name], [name for name in files if name]


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise GoneError("A file is no longer in the store of files.") from error
    except _faults() as error:
        raise StoreError(SILENT) from error


@cache
def _faults() -> tuple[type[Exception], ...]:
    """What a store raises that is not there; the client of an S3 store is an optional package."""
    try:
        from boto3.exceptions import Boto3Error
        from botocore.exceptions import BotoCoreError, ClientError
    except ImportError:
        return (OSError,)
    return OSError, BotoCoreError, ClientError, Boto3Error
