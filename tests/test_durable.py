import errno
import hashlib
import os
from pathlib import Path

import pytest
from django.core.files.storage import default_storage

from compression import durable
from compression.training_checkpoint import Checkpoint
from compression.types import Stage
from selector.jobfolder import JobFolder
from webapp import filestore
from webapp.jobs.folders import write_json
from webapp.projects.storage import StoredPart
from webapp.supervision.backup import backup_write

CONTENT = b"content"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def steps(monkeypatch):
    """What is synced and renamed, by the name it ends on, in order."""
    found = []
    sync, rename = os.fsync, Path.replace

    def noted_sync(handle):
        found.append(("sync", Path(f"/proc/self/fd/{handle}").readlink().name))
        sync(handle)

    def noted_rename(path, target):
        found.append(("rename", path.name, target.name))
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(Path, "replace", noted_rename)
    return found


def written_by_engine(folder):
    JobFolder(folder).write_json(Stage.SEARCH, "some.json", [1])
    return folder / "SEARCH" / "some.json"


def written_by_training(folder):
    Checkpoint(tensors={}).write(folder / "training.safetensors")
    return folder / "training.safetensors"


def written_by_web(folder):
    write_json(folder / "some.json", [1])
    return folder / "some.json"


def fetched_from_store(folder):
    Path(default_storage.path("some")).mkdir()
    Path(default_storage.path(f"some/{SHA256}")).write_bytes(CONTENT)
    filestore.get(f"some/{SHA256}", folder / "fetched")
    return folder / "fetched"


def written_as_backup(folder):
    home = folder / "home"
    (home / "tmp").mkdir(parents=True)
    backup_write(home, folder / "adadeep.tar")
    return folder / "adadeep.tar"


@pytest.mark.parametrize(
    "write",
    [
        written_by_engine,
        written_by_training,
        written_by_web,
        written_as_backup,
        fetched_from_store,
    ],
)
def test_bytes_are_on_the_disk_before_the_name_and_then_the_name(
    write, steps, settings, tmp_path
):
    settings.MEDIA_ROOT = tmp_path / "store"
    settings.MEDIA_ROOT.mkdir()
    path = write(tmp_path)
    (_, temporary), *rest = steps
    assert temporary != path.name
    assert rest == [("rename", temporary, path.name), ("sync", path.parent.name)]


def test_upload_is_on_the_disk_under_its_name_and_in_its_folder(steps, settings, tmp_path):
    settings.UPLOAD_ROOT = tmp_path / "uploads"
    settings.UPLOAD_ROOT.mkdir()
    part = settings.UPLOAD_ROOT / "some.part"
    part.write_bytes(CONTENT)
    StoredPart(path=part, sha256=SHA256, size_bytes=len(CONTENT)).keep()
    assert steps == [
        ("sync", "some.ready"),
        ("rename", "some.ready", SHA256),
        ("sync", SHA256[:2]),
        ("sync", "uploads"),
    ]


@pytest.mark.parametrize(("fault", "is_told"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_file_system_that_syncs_no_folders_is_used_all_the_same(
    fault, is_told, monkeypatch, tmp_path
):
    def refuse(_handle):
        raise OSError(fault, os.strerror(fault))

    monkeypatch.setattr(os, "fsync", refuse)
    if is_told:
        with pytest.raises(OSError, match=os.strerror(fault)):
            durable.sync_folder(tmp_path)
    else:
        durable.sync_folder(tmp_path)
