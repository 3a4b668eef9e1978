"""Room on the disk for files that are being sent, known to all web processes of this machine."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, TypeVar
from uuid import uuid4

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Refusal = TypeVar("Refusal")


@contextmanager
def room_reserved(
    size_bytes: int, refusal_of: Callable[[int], Refusal | None]
) -> Iterator[Refusal | None]:
    """Keep room inside the block, unless ``refusal_of``, told what others keep, says why there is none.

    A reservation is a locked file: with its process, however that ends, it ends too.
    """
    path = _folder() / f"{uuid4().hex}.{size_bytes}"
    with _one_by_one():
        refusal = refusal_of(_sum())
        file = None if refusal else path.open("xb")
        if file:
            fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield refusal
    finally:
        if file:
            path.unlink()
            file.close()


def reserved_bytes() -> int:
    """What is kept now."""
    with _one_by_one():
        return _sum()


def _sum() -> int:
    return sum(map(_kept_bytes, _folder().iterdir()))


def _kept_bytes(path: Path) -> int:
    with suppress(FileNotFoundError), path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int(path.suffix[1:])
        path.unlink(missing_ok=True)  # of a process that is no more
    return 0


@contextmanager
def _one_by_one() -> Iterator[None]:
    with (settings.ADADEEP_HOME / "run" / "room.lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _folder() -> Path:
    folder: Path = settings.ADADEEP_HOME / "run" / "room"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
