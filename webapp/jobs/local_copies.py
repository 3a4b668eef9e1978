"""A job's folder as this machine's copy of what is stored: what is missing here, what is newer here."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from selector.jobfolder import RESULT_OF
from webapp import filestore
from webapp.responses import GONE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

NOTES, VERSION, LOCK = ".stored.json", ".version", ".lock"
PRIVATE = ("tmp", ".", "engine.log")
"""Names that begin like this stay here: scratch files, notes, and the log of this machine's engine."""

RESULTS = tuple(f"{stage}/{name}" for stage, name in RESULT_OF.items())
TRIES = 3


class Known(NamedTuple):
    """What a file held when it was last looked at."""

    sha256: str
    size_bytes: int
    mtime_ns: int


def refresh(folder: Path, version: int, stored_since: Callable[[int], Iterable[Any]]) -> None:
    """Make the folder at least as new as that version of the stored files.

    ``stored_since`` gives the rows (``path``, ``key``, ``sha256``, ``version``) that came after a version.

    Raises:
        StoreError: when they are not to be had.
    """
    if _version(folder) >= version:
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder):
        for attempt in range(TRIES):
            try:
                _fetch(folder, stored_since(_version(folder)))
            except filestore.GoneError:
                # What was just replaced by a newer one is asked for by its new name.
                if attempt == TRIES - 1:
                    raise
            else:
                return


def changed(folder: Path) -> Iterator[tuple[str, Known, IO[bytes]]]:
    """Files that are not stored as they are now: path in the folder, what is in it, and itself to read."""
    notes = _notes(folder)
    for path in _files(folder):
        name = path.relative_to(folder).as_posix()
        before = notes.get(name)
        # What the engine replaces meanwhile stays as it was for whoever has it open.
        with suppress(FileNotFoundError), path.open("rb") as file:
            status = os.fstat(file.fileno())
            if before and before[1:] == (status.st_size, status.st_mtime_ns):
                continue
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if before is None or before.sha256 != digest:
                file.seek(0)
                yield name, Known(digest, status.st_size, status.st_mtime_ns), file


def note(folder: Path, files: dict[str, Known]) -> None:
    """Remember that these are stored; the caller has locked the folder."""
    _write(folder, {**_notes(folder), **files})


def unused_s(folder: Path, now: float) -> float | None:
    """For how long nobody has needed this copy; ``None`` for a folder that is no copy."""
    try:
        return now - (folder / VERSION).stat().st_mtime
    except FileNotFoundError:
        return None


def _fetch(folder: Path, rows: Iterable[Any]) -> None:
    notes = _notes(folder)
    version = _version(folder)
    # Results last: their presence says that a stage is done.
    for row in sorted(rows, key=lambda row: _rank(row.path)):
        version = max(version, row.version)
        if row.path in notes and notes[row.path].sha256 == row.sha256:
            continue
        target = folder / row.path
        if not target.parent.resolve().is_relative_to(folder.resolve()):
            raise filestore.StoreError(f"{row.path} leads out of the job's folder.")
        try:
            _take(row.key, target)
        except filestore.GoneError as error:
            raise filestore.GoneError(f"{row.path} of this job {GONE}") from error
        status = target.stat()
        notes[row.path] = Known(row.sha256, status.st_size, status.st_mtime_ns)
    _write(folder, notes)
    (folder / VERSION).write_text(str(version), encoding="ascii")


def _take(key: str, target: Path) -> None:
    if not key.startswith("uploads/"):
        filestore.get(key, target)
        return
    # What several jobs start from is fetched once.
    kept = settings.ADADEEP_HOME / key
    if not kept.exists():
        filestore.get(key, kept)
    target.unlink(missing_ok=True)
    try:
        os.link(kept, target)
    except OSError:
        shutil.copyfile(kept, target)


def _rank(name: str) -> int:
    return RESULTS.index(name) if name in RESULTS else -1


def _files(folder: Path) -> Iterator[Path]:
    """All that may be stored; the engine's links are not followed."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(PRIVATE)]
        for name in names:
            path = folder.joinpath(place, name)
            if not name.startswith(PRIVATE) and path.is_file() and not path.is_symlink():
                yield path


def _version(folder: Path) -> int:
    path = folder / VERSION
    try:
        version = int(path.read_text(encoding="ascii"))
        os.utime(path)
    except (FileNotFoundError, ValueError):
        return 0
    return version


def _notes(folder: Path) -> dict[str, Known]:
    try:
        rows = json.loads((folder / NOTES).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return {name: Known(*row) for name, row in rows.items()}


def _write(folder: Path, notes: dict[str, Known]) -> None:
    part = folder / f"{NOTES}.part"
    part.write_text(json.dumps(notes), encoding="utf-8")
    part.replace(folder / NOTES)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Nobody else on this machine notes or fetches meanwhile."""
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
