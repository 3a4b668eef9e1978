"""Two machines with one database and one store of files; each has a data folder of its own."""

import io
import json
import os
import shutil
import time

import pytest
from django.core.files.storage import default_storage

from tests.webapp import making
from tests.webapp.fake_engine import noted
from webapp import filestore
from webapp.addresses import file_store
from webapp.jobs import lease, part_lease, publishing, services, tasks
from webapp.jobs.lease import LeaseLostError
from webapp.jobs.models import Job, JobFile, JobPart, JobState
from webapp.jobs.publishing import upload_key
from webapp.projects import stored
from webapp.projects.models import UploadedModel
from webapp.projects.quotas import used_bytes
from webapp.projects.services import project_delete
from webapp.projects.upkeep import everything_delete
from webapp.supervision.check_files import files

pytestmark = pytest.mark.django_db(transaction=True)

on_both = pytest.mark.parametrize("store", ["file", "s3"], indirect=True)


@pytest.fixture
def sent(monkeypatch):
    calls = []
    monkeypatch.setattr(tasks.help_out, "apply_async", lambda args, queue: calls.append(args))
    return calls


def everything_in_the_store(prefix=""):
    found = [f"{prefix}/{name}".strip("/") for name in filestore.names(prefix)]
    for folder in filestore.prefixes(prefix):
        found += everything_in_the_store(f"{prefix}/{folder}".strip("/"))
    return found


def reloaded(job):
    return Job.objects.get(pk=job.pk)


def finish(job):
    while reloaded(job).state == JobState.QUEUED:
        tasks.run(str(job.pk))
    return reloaded(job)


@on_both
def test_job_of_one_machine_is_done_on_another(store, user, client, move_to, sent):
    move_to("web")
    project = making.project(user)
    move_to("worker")
    assert finish(project.study.job).state == JobState.DONE
    build = making.build(user, project)
    assert finish(build).state == JobState.DONE
    move_to("web")
    page = client.get(f"/api/projects/{project.id}").json()
    assert page["best"]["size_ratio"] == 20.0
    assert (
        reloaded(build).folder / "PACKAGE" / "model.onnx"
    ).read_bytes() == b"a small network"
    assert (reloaded(build).folder / "PROBE" / "tables.npz").is_file()


def test_job_that_lost_its_machine_goes_on_at_its_last_stage(
    store, user, move_to, sent, engine
):
    move_to("web")
    job = making.study(user)
    move_to("first")
    tasks.run(str(job.pk))  # INSPECT, on the quick queue
    held = lease.claim(job.pk)  # and is never heard of again
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    home = move_to("second")
    services.jobs_reap()
    assert finish(job).state == JobState.DONE
    assert "INSPECT" not in {stage for stage, _ in noted(home / "jobs" / str(job.pk), "run")}
    with pytest.raises(LeaseLostError):
        held.beat()


def test_late_files_of_a_lost_attempt_change_nothing(store, user, move_to, sent):
    move_to("web")
    job = making.study(user)
    move_to("lost")
    held = lease.claim(job.pk)
    publishing.bring(job, held)
    move_to("other")
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    services.jobs_reap()
    finish(job)
    before = {row.path: row.sha256 for row in JobFile.objects.filter(job=job)}
    home = move_to("lost")
    late = home / "jobs" / str(job.pk) / "SEARCH"
    late.mkdir()
    (late / "policy.npz").write_bytes(b"another policy")
    with pytest.raises(LeaseLostError):
        publishing.publish(job, held)
    assert {row.path: row.sha256 for row in JobFile.objects.filter(job=job)} == before
    assert (reloaded(job).folder / "SEARCH" / "policy.npz").read_bytes() != b"another policy"


def test_part_that_another_machine_did_is_joined(store, user, move_to, sent):
    move_to("web")
    job = making.study(user)
    home = move_to("helper")
    tasks.run(str(job.pk))
    held = lease.claim(job.pk)
    held.write(stage="PROBE")
    job = reloaded(job)
    rounds = tasks.read_rounds(tasks.JobFolder(job.folder), tasks.Stage.PROBE)
    part_lease.plan_parts(job, tasks.Stage.PROBE, rounds)
    left = "(folder / stage / 'part.txt').write_text(order)"
    (home / "fake.json").write_text(json.dumps({"PROBE": {"code": left}}))
    tasks.help_out(str(job.pk), "PROBE")
    assert set(JobPart.objects.values_list("state", flat=True)) == {"done"}
    folder = move_to("lead") / "jobs" / str(job.pk)
    publishing.bring(job, held)
    assert (folder / "PROBE" / "part.txt").read_text() == "4/4"
    assert (folder / "INSPECT" / "plan.json").is_file()


def test_links_and_what_is_this_machines_own_are_not_stored(store, user, move_to, sent):
    move_to("web")
    job = making.study(user)
    home = move_to("worker")
    held = lease.claim(job.pk)
    publishing.bring(job, held)
    (home / "secret_key").write_text("hidden")
    folder = home / "jobs" / str(job.pk)
    for name in ("INSPECT", "tmp-a"):
        (folder / name).mkdir()
        (folder / name / "link").symlink_to(home / "secret_key")
        (folder / name / "plain").write_text("plain")
    (folder / "linked").symlink_to(home)
    (folder / "engine.log").write_text("of this machine")
    publishing.publish(job, held)
    names = set(JobFile.objects.values_list("path", flat=True))
    assert names == {"model.onnx", "data.npz", "request.json", "INSPECT/plain"}


def test_upload_is_stored_once_whatever_uses_it(store, user, move_to, sent):
    move_to("web")
    project = making.project(user)
    making.build(user, project)
    model = project.model.sha256
    assert [key for key in everything_in_the_store() if model in key] == [
        f"uploads/{model[:2]}/{model}"
    ]


@on_both
def test_deleting_a_project_empties_the_store(store, user, move_to, sent):
    move_to("web")
    project = making.project(user)
    finish(project.study.job)
    finish(making.build(user, project))
    assert len(everything_in_the_store()) > 10
    project_delete(project=project)
    assert everything_in_the_store() == []


def test_everything_of_a_person_is_deleted_in_the_store_too(store, user, move_to, sent):
    move_to("web")
    finish(making.study(user))
    making.stored(UploadedModel, user, making.onnx_bytes(), "unused.onnx")
    everything_delete(owner=user)
    assert everything_in_the_store() == []


def test_copies_on_other_machines_go_when_the_job_goes(store, user, move_to, sent):
    move_to("web")
    project = making.project(user)
    move_to("worker")
    finish(project.study.job)
    move_to("web")
    project_delete(project=project)
    home = move_to("worker")
    assert list((home / "uploads").rglob("*"))
    services.folders_sweep(older_than_s=-1)
    stored.copies_sweep(unused_for_s=3600)
    assert not list((home / "jobs").iterdir())
    assert not [path for path in (home / "uploads").rglob("*") if path.is_file()]


@on_both
def test_late_objects_of_deleted_jobs_are_swept(store, user, move_to, sent):
    move_to("web")
    job = making.study(user)
    filestore.put(f"jobs/{job.pk}/{'b' * 64}", io.BytesIO(b"ours"))
    filestore.put(f"jobs/00000000-0000-0000-0000-000000000000/{'a' * 64}", io.BytesIO(b"late"))
    filestore.put(f"uploads/aa/{'a' * 64}", io.BytesIO(b"late"))
    stored.store_sweep(older_than_s=3600)
    assert any("a" * 64 in key for key in everything_in_the_store()), (
        "they may still be on their way"
    )
    stored.store_sweep(older_than_s=-1)
    assert not any("a" * 64 in key for key in everything_in_the_store())
    assert any("b" * 64 in key for key in everything_in_the_store())


def test_unused_copies_are_deleted_and_fetched_again(store, user, move_to, sent):
    move_to("web")
    project = making.project(user)
    finish(project.study.job)
    stored.copies_sweep(unused_for_s=3600)
    assert project.study.job.place.is_dir()
    for path in project.study.job.place.rglob("*"):
        os.utime(path, (time.time() - 7200,) * 2)
    os.utime(project.model.place, (time.time() - 7200,) * 2)
    stored.copies_sweep(unused_for_s=3600)
    stored.copies_sweep(unused_for_s=3600)
    assert not project.study.job.place.exists()
    assert not project.model.place.exists()
    assert (reloaded(project.study.job).folder / "SEARCH" / "policy.npz").is_file()
    assert project.model.path.read_bytes() == making.onnx_bytes()


def test_quota_counts_what_is_stored_not_what_is_copied(store, user, stranger, move_to, sent):
    move_to("web")
    project = making.project(user)
    alone = project.model.size_bytes + project.data.size_bytes
    assert used_bytes(user) > alone
    move_to("elsewhere")
    assert used_bytes(user) > alone
    assert used_bytes(stranger) == 0
    assert used_bytes() == used_bytes(user)


def test_silent_store_is_told_in_a_sentence(store, user, client, move_to, sent, monkeypatch):
    move_to("web")
    project = making.project(user)
    move_to("worker")
    finish(project.study.job)
    move_to("web")

    def fail(*_):
        raise OSError("no route")

    monkeypatch.setattr(type(default_storage._wrapped), "open", fail)
    answer = client.get(f"/api/projects/{project.id}/studio")
    assert answer.status_code == 503
    assert "store of files does not answer" in answer.json()["error"]["message"]


def test_object_that_is_gone_is_told_and_found_by_the_doctor(
    store, user, client, move_to, sent
):
    move_to("web")
    build = making.build(user)
    finish(build.study)
    finish(build)
    (row,) = JobFile.objects.filter(job=build, path="PACKAGE/model.onnx")
    filestore.delete(row.key)
    filestore.delete(upload_key(build.project.model.sha256))
    move_to("other")
    answer = client.get(f"/api/v1/jobs/{build.pk}/files/model.onnx")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "gone")
    assert "is no longer where the server keeps it. " in answer.json()["error"]["message"]
    (finding,) = files()
    assert f"{row.key} (PACKAGE/model.onnx)" in finding.what
    assert f"{upload_key(build.project.model.sha256)} (tiny.onnx)" in finding.what


def test_worker_waits_for_a_store_that_comes_back(store, user, move_to, sent, monkeypatch):
    move_to("web")
    job = making.study(user)
    move_to("worker")
    calls = []
    real = filestore.get

    def sometimes(key, path):
        calls.append(key)
        if len(calls) < 3:
            raise filestore.StoreError(filestore.SILENT)
        real(key, path)

    monkeypatch.setattr(filestore, "get", sometimes)
    monkeypatch.setattr(publishing, "PAUSES_S", (0.01, 0.01, 0.01))
    assert finish(job).state == JobState.DONE


def test_worker_gives_up_a_store_that_stays_away(store, user, move_to, sent, monkeypatch):
    move_to("web")
    job = making.study(user)
    move_to("worker")
    monkeypatch.setattr(publishing, "PAUSES_S", ())

    def fail(*_):
        raise filestore.StoreError(filestore.SILENT)

    monkeypatch.setattr(filestore, "get", fail)
    ended = finish(job)
    assert (ended.state, ended.message) == (JobState.FAILED, filestore.SILENT)
    monkeypatch.undo()


@on_both
def test_damaged_object_is_not_taken(store, tmp_path, user):
    key = f"jobs/x/{'a' * 64}"
    filestore.put(key, io.BytesIO(b"something else"))
    with pytest.raises(filestore.GoneError, match="damaged"):
        filestore.get(key, tmp_path / "back")
    assert not (tmp_path / "back").exists()
    assert not list(tmp_path.glob(".fetch*"))


def test_installation_moves_into_the_store(settings, request, user, move_to, sent):
    move_to("web")
    project = making.project(user)
    finish(project.study.job)
    request.getfixturevalue("home")
    settings.STORAGE_URL = f"file://{move_to('web')}/store"
    settings.STORAGES = {**settings.STORAGES, "default": file_store(settings.STORAGE_URL)}
    stored.everything_share()
    shutil.rmtree(move_to("web") / "uploads")
    move_to("worker")
    build = making.build(user, project)
    assert finish(build).state == JobState.DONE
