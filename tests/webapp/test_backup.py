"""`manage.py backup` beside a running installation, and `restore` into an empty folder."""

import hashlib
import os
import subprocess
import sys
import tarfile

import pytest

from tests.e2e import staging
from tests.webapp.running import ROOT, Installation
from webapp.supervision.backup import BackupError, backup_restore, backup_write

on_sqlite = pytest.mark.skipif(
    bool(os.environ.get("DATABASE_URL")), reason="a PostgreSQL is saved by its own tools"
)


def manage(home, *words):
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, words)],
        cwd=ROOT,
        env={**os.environ, "ADADEEP_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def fetched(here, job):
    return {
        row["name"]: hashlib.sha256(
            (here.home / "jobs" / job / "PACKAGE" / row["name"]).read_bytes()
        ).hexdigest()
        == row["sha256"]
        for row in here.job(job)["artifacts"]
    }


@on_sqlite
def test_installation_is_saved_while_it_works_and_goes_on_elsewhere(tmp_path):
    saved = tmp_path / "adadeep.tar"
    with staging.prepared(tmp_path / "one") as here:
        ready = staging.studied(here)
        build = staging.built(here, ready)
        here.tell_engine(PROBE={"part_s": 600})
        under_way = staging.study_of(here, staging.project(here, seed=1))
        here.wait_for_stage(under_way, "PROBE")
        said = manage(here.home, "backup", saved)
        assert said.returncode == 0, said.stderr
        before = here.job(build)
    assert saved.stat().st_mode & 0o077 == 0
    again = staging.prepared(tmp_path / "two")
    said = manage(again.home, "restore", saved)
    assert said.returncode == 0, said.stderr
    assert (again.home / "secret_key").read_text() == (here.home / "secret_key").read_text()
    with again:
        assert again.job(build) == before
        files = fetched(again, build)
        assert files
        assert all(files.values())
        again.wait_for_state(under_way, "done")


def test_restore_never_touches_data_that_is_there(home, tmp_path):
    (home / "uploads" / "ab").mkdir()
    (home / "uploads" / "ab" / "model").write_text("mine")
    said = manage(home, "restore", tmp_path / "any.tar")
    assert said.returncode != 0
    assert "holds data already. Set ADADEEP_HOME to a new folder." in said.stderr
    assert (home / "uploads" / "ab" / "model").read_text() == "mine"


def test_running_installation_is_not_restored_into(tmp_path):
    with Installation(tmp_path / "home"):
        said = manage(tmp_path / "home", "restore", tmp_path / "any.tar")
    assert said.returncode != 0
    assert "already runs with this data folder" in said.stderr


@pytest.mark.parametrize("place", ["backup.tar", "jobs/backup.tar"])
def test_backup_is_not_written_into_what_it_saves(home, place):
    with pytest.raises(BackupError, match="lies in the data folder"):
        backup_write(home, home / place)


def test_backup_replaces_nothing(home, tmp_path):
    (tmp_path / "a.tar").write_text("earlier")
    with pytest.raises(BackupError, match="is there already"):
        backup_write(home, tmp_path / "a.tar")
    assert (tmp_path / "a.tar").read_text() == "earlier"


def test_full_disk_leaves_no_half_backup(home, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(BackupError, match="No space left on device"):
        backup_write(home, tmp_path / "a.tar")
    assert [path for path in tmp_path.iterdir() if "a.tar" in path.name] == []


@pytest.mark.parametrize("harm", ["cut", "other", "outside", "newer"])
def test_what_is_no_whole_backup_is_refused_and_leaves_nothing(home, tmp_path, harm):
    saved = tmp_path / "a.tar"
    (home / "uploads" / "model").write_bytes(os.urandom(200_000))
    backup_write(home, saved)
    (home / "uploads" / "model").unlink()
    HARMS[harm](saved, tmp_path)
    with pytest.raises(BackupError, match="backup"):
        backup_restore(saved, home)
    assert not any((home / "uploads").iterdir())
    assert not any((home / "tmp").iterdir())


def cut(saved, _):
    saved.write_bytes(saved.read_bytes()[:50_000])


def other(saved, folder):
    (folder / "x").write_text("x")
    with tarfile.open(saved, "w") as archive:
        archive.add(folder / "x", "x")


def outside(saved, folder):
    (folder / "x").write_text("x")
    with tarfile.open(saved, "a") as archive:
        archive.add(folder / "x", "../../x")


def newer(saved, folder):
    (folder / "backup.json").write_text('{"version": 99}')
    with tarfile.open(saved, "w") as archive:
        archive.add(folder / "backup.json", "backup.json")


HARMS = {"cut": cut, "other": other, "outside": outside, "newer": newer}
