"""Everything of an installation in one file, taken while it runs, and put into an empty data folder."""

from __future__ import annotations

import json
import sqlite3
import tarfile
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from django.utils import timezone

from compression import durable
from webapp.datafolder import discard

if TYPE_CHECKING:
    from collections.abc import Iterator

DATABASE = "adadeep.sqlite3"
KEPT = ("secret_key", "uploads", "jobs")
MANIFEST = "backup.json"
VERSION = 1
SCRATCH = ("tmp", ".part")
"""How names begin or end of what a process is just writing."""


class BackupError(Exception):
    """The backup cannot be made or used; the text is for the user."""


def backup_write(home: Path, target: Path) -> int:
    """Write the backup and return its bytes; the file appears when it is whole.

    Raises:
        BackupError: saying why it was not written.
    """
    if target.absolute().is_relative_to(home):
        raise BackupError(
            f"{target} lies in the data folder, which it would save. Choose another place."
        )
    if target.exists():
        raise BackupError(f"{target} is there already. Choose another name.")
    half = target.with_name(f".{target.name}.half")
    try:
        with half.open("wb") as file:
            # Readable by its owner alone: it holds the secret key and everybody's data.
            half.chmod(0o600)
            with tarfile.open(
                fileobj=file, mode="w:gz" if target.suffix == ".gz" else "w"
            ) as archive:
                _add_everything(home, archive)
        durable.replace(half, target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise BackupError(f"The backup was not written: {error}") from error
    return target.stat().st_size


def backup_restore(source: Path, home: Path) -> None:
    """Put the backup into a data folder that holds nothing yet.

    Raises:
        BackupError: when it holds something, or the file is no whole backup; the folder is as before then.
    """
    if (home / DATABASE).exists() or any(_files(home, "uploads")) or any(_files(home, "jobs")):
        raise BackupError(f"{home} holds data already. Set ADADEEP_HOME to a new folder.")
    scratch = Path(tempfile.mkdtemp(prefix="restore-", dir=home / "tmp"))
    try:
        with tarfile.open(source) as archive:
            archive.extractall(scratch, filter="data")
        _check(scratch)
        for name in (*KEPT, DATABASE):
            _move(scratch / name, home / name)
        durable.sync_folder(home)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise BackupError(f"{source} is no backup that can be read: {error}") from error
    finally:
        discard(scratch)


def _add_everything(home: Path, archive: tarfile.TarFile) -> None:
    """First the database: each file that it names is there then, and newer ones harm nobody."""
    with tempfile.TemporaryDirectory(dir=home / "tmp") as scratch:
        manifest = Path(scratch) / MANIFEST
        about = {"version": VERSION, "taken": timezone.now().isoformat(timespec="seconds")}
        manifest.write_text(json.dumps(about), encoding="utf-8")
        archive.add(manifest, MANIFEST)
        if (home / DATABASE).exists():
            _copy(home / DATABASE, Path(scratch) / DATABASE)
            archive.add(Path(scratch) / DATABASE, DATABASE)
    for name in KEPT:
        for path in _files(home, name):
            try:
                archive.add(path, str(path.relative_to(home)), recursive=False)
            except FileNotFoundError:
                continue  # its project was deleted meanwhile


def _files(home: Path, name: str) -> Iterator[Path]:
    """The file, or those of the folder; links lead elsewhere and are no files of ours."""
    paths = [home / name] if (home / name).is_file() else sorted((home / name).rglob("*"))
    for path in paths:
        words = path.relative_to(home).parts
        is_scratch = any(w.startswith(SCRATCH[0]) or w.endswith(SCRATCH[1]) for w in words)
        if path.is_file() and not path.is_symlink() and not is_scratch:
            yield path


def _copy(database: Path, target: Path) -> None:
    """As it is at one moment, whoever writes meanwhile."""
    with closing(sqlite3.connect(database)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def _check(folder: Path) -> None:
    try:
        version = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["version"]
    except (OSError, ValueError, KeyError) as error:
        raise BackupError("The file is no backup of AdaDeep.") from error
    if version != VERSION:
        raise BackupError(f"The backup is of version {version}, this AdaDeep reads {VERSION}.")
    if (folder / DATABASE).exists():
        with closing(sqlite3.connect(folder / DATABASE)) as database:
            (verdict,) = database.execute("PRAGMA quick_check").fetchone()
        if verdict != "ok":
            raise BackupError(f"The database in the backup is damaged: {verdict}")


def _move(source: Path, target: Path) -> None:
    """Into its place, where an empty folder or a new key may lie."""
    if source.is_dir():
        discard(target)
    if source.exists():
        source.replace(target)
