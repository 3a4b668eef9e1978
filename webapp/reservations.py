"""Room for files that are being sent, on the disk and in quotas, known to all web processes of this machine."""

from __future__ import annotations

import fcntl
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, TypeVar
from uuid import uuid4

from django.conf import settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

Refusal = TypeVar("Refusal")

ROOM, QUOTA = "room", "quota"
"""Folders of reservations; a name ends with the bytes, before them in quotas with the person."""


@dataclass(frozen=True, slots=True)
class Reservation:
    """Room that is kept until it is given back. It is a locked file: with its process, however that ends, it ends too."""

    path: Path
    file: IO[bytes]

    def give_back(self) -> None:
        """Let others have the room; twice does no harm."""
        if not self.file.closed:
            self.path.unlink()
            self.file.close()


@contextmanager
def room_reserved(
    size_bytes: int, refusal_of: Callable[[int], Refusal | None]
) -> Iterator[Refusal | None]:
    """Keep room on the disk inside the block, unless ``refusal_of``, told what others keep, says why there is none."""
    with _one_by_one():
        refusal = refusal_of(_sum(ROOM))
        kept = None if refusal else _reserve(ROOM, f"{size_bytes}")
    try:
        yield refusal
    finally:
        if kept:
            kept.give_back()


def reserved_bytes() -> int:
    """What is kept on the disk now."""
    with _one_by_one():
        return _sum(ROOM)


def quota_reserve(owner_id: int, size_bytes: int) -> Reservation:
    """Keep room in a person's quota; whoever asks for it has looked whether there is any."""
    with _one_by_one():
        return _reserve(QUOTA, f"{owner_id}.{size_bytes}")


def quota_reserved_bytes(owner_id: int | None = None) -> int:
    """What is kept in a person's quota now, or in all of them."""
    with _one_by_one():
        return _sum(QUOTA, "*" if owner_id is None else f"*.{owner_id}.*")


def _reserve(folder: str, name: str) -> Reservation:
    path = _folder(folder) / f"{uuid4().hex}.{name}"
    file = path.open("xb")
    fcntl.flock(file, fcntl.LOCK_EX)
    return Reservation(path, file)


def _sum(folder: str, pattern: str = "*") -> int:
    return sum(map(_kept_bytes, _folder(folder).glob(pattern)))


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


def _folder(name: str) -> Path:
    folder: Path = settings.ADADEEP_HOME / "run" / name
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder
