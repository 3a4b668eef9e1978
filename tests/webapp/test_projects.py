import threading

import pytest
from django.db import connection, connections

from tests.webapp import making
from webapp.jobs.models import Job, JobState
from webapp.projects import services
from webapp.projects.models import Dataset, Project, Study, UploadedModel

pytestmark = pytest.mark.django_db(transaction=True)

PREPROCESSING = {"layout": "N*", "divide": 2.0, "mean": [0.0], "std": [1.0]}


def files_of(home):
    return [path for path in home.rglob("*") if path.is_file() and "tmp" not in path.parts]


def post(client, path, values=None):
    return client.post(path, values or {}, content_type="application/json")


def test_project_is_made_from_uploads_and_its_study_starts(client, user):
    model = making.stored(UploadedModel, user, making.onnx_bytes(), "net.onnx")
    data = making.stored(Dataset, user, making.npz_bytes(), "points.npz")
    answer = post(client, "/api/projects", {"model": str(model.id), "data": str(data.id)})
    assert answer.status_code == 201
    project = Project.objects.get(pk=answer.json()["id"])
    assert project.name == "net"
    folder = project.study.job.folder
    assert (folder / "model.onnx").read_bytes() == making.onnx_bytes()
    assert (folder / "data.npz").exists()
    assert client.get(answer.json()["url"]).status_code == 200


def test_project_without_data_is_fine(client, user):
    model = making.stored(UploadedModel, user, making.onnx_bytes())
    answer = post(client, "/api/projects", {"model": str(model.id), "data": None})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "model", ["", None, "nonsense", "00000000-0000-0000-0000-000000000000"]
)
def test_project_of_no_upload_is_refused(client, model):
    assert post(client, "/api/projects", {"model": model}).status_code in (400, 404)


def test_same_model_and_data_are_studied_once(user, work_off):
    first = making.project(user)
    work_off()
    second = making.project(user)
    assert second.study == first.study
    assert Job.objects.count() == 1


def test_two_that_open_the_same_model_at_once_start_one_study(user):
    model = making.stored(UploadedModel, user, making.onnx_bytes())
    both = threading.Barrier(2)

    def create():
        both.wait()
        services.project_create(owner=user, model=model, data=None, preprocessing=None)
        connections.close_all()

    threads = [threading.Thread(target=create) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (Project.objects.count(), Study.objects.count(), Job.objects.count()) == (2, 1, 1)


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite keeps such a character")
def test_text_that_the_database_cannot_hold_is_refused(client, user):
    project = making.project(user)
    answer = post(client, f"/api/projects/{project.id}/settings", {"locks": {"a\0": "keep"}})
    assert answer.status_code == 400
    assert "cannot be kept" in answer.json()["error"]["message"]


def test_other_preprocessing_is_another_study(client, user, work_off):
    project = making.project(user)
    work_off()
    former = project.study.job
    answer = post(client, f"/api/projects/{project.id}/preprocessing", PREPROCESSING)
    assert answer.status_code == 200
    project.refresh_from_db()
    assert project.preprocessing == PREPROCESSING
    assert project.study.job != former
    assert not former.folder.exists()


def test_failed_study_is_tried_again_by_opening_the_same(user, engine, work_off):
    engine(INSPECT={"exit": 1})
    first = making.project(user)
    work_off()
    engine()
    second = making.project(user)
    work_off()
    assert second.study == first.study
    second.study.refresh_from_db()
    assert second.study.job.state == JobState.DONE


def test_deleting_a_project_leaves_no_file(client, user, home, work_off):
    project = making.project(user)
    making.build(user, project)
    work_off()
    assert client.delete(f"/api/projects/{project.id}").status_code == 204
    assert not files_of(home / "jobs")
    assert not files_of(home / "uploads")
    assert not Job.objects.exists()
    assert not Study.objects.exists()


def test_deleting_one_of_two_projects_keeps_what_they_share(client, user, home, work_off):
    one, two = making.project(user), making.project(user)
    work_off()
    client.delete(f"/api/projects/{one.id}")
    two.refresh_from_db()
    assert two.study.job.folder.exists()
    assert two.study.job.project == two
    assert two.model.path.exists()


def test_deleting_stops_what_runs(user, engine):
    project = making.project(user)
    services.project_delete(project=project)
    assert not Job.objects.exists()


def test_settings_are_checked_and_kept(client, user):
    project = making.project(user)
    wanted = {
        "goals": {"accuracy": 1, "latency": 1, "energy": 0, "storage": 0},
        "budgets": {"max_accuracy_drop": 2.0},
        "target": "redmi-3s",
        "locks": {"conv1": "keep"},
    }
    assert post(client, f"/api/projects/{project.id}/settings", wanted).status_code == 200
    project.refresh_from_db()
    assert project.settings["goals"]["latency"] == 0.5
    assert project.settings["target"] == "redmi-3s"
    assert project.settings["budgets"]["max_latency_ms"] is None


@pytest.mark.parametrize(
    ("wanted", "status", "sentence"),
    [
        ({"target": "toaster"}, 404, "There is no device 'toaster'."),
        ({"goals": {"speed": 1}}, 400, "unknown keys: speed"),
        ({"goals": {"latency": "fast"}}, 400, "goals.latency must be a number"),
        ({"budgets": {"max_latency_ms": 0}}, 400, "no network can meet"),
        ({"locks": {"conv1": "sideways"}}, 400, "locks.conv1 must be"),
        ({"locks": []}, 400, '"locks" must be an object'),
    ],
)
def test_settings_that_make_no_sense_are_refused(client, user, wanted, status, sentence):
    project = making.project(user)
    answer = post(client, f"/api/projects/{project.id}/settings", wanted)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]["message"]


def test_stranger_gets_404(client, stranger, user):
    theirs = making.project(stranger)
    job = theirs.study.job
    for path in (
        f"/projects/{theirs.id}/",
        f"/api/projects/{theirs.id}/studio",
        f"/api/projects/{theirs.id}",
        f"/jobs/{job.id}/",
        f"/jobs/{job.id}/result/",
        f"/jobs/{job.id}/log/",
        f"/jobs/{job.id}/files/model.onnx",
        f"/api/jobs/{job.id}",
        f"/api/jobs/{job.id}/events",
    ):
        assert client.get(path).status_code == 404, path
    for path in ("select", "settings", "preprocessing", "builds"):
        assert post(client, f"/api/projects/{theirs.id}/{path}").status_code == 404, path
    for path in ("cancel", "retry"):
        assert post(client, f"/api/jobs/{job.id}/{path}").status_code == 404, path
    assert client.delete(f"/api/projects/{theirs.id}").status_code == 404
    upload = str(theirs.model.id)
    assert post(client, "/api/projects", {"model": upload}).status_code == 404


def test_upload_that_no_project_took_is_swept(user, home):
    making.stored(UploadedModel, user, making.onnx_bytes())
    project = making.project(user, seed=1)
    services.uploads_sweep(older_than_s=-1)
    assert list(UploadedModel.objects.all()) == [project.model]
    assert project.model.path.exists()


def test_home_lists_projects(client, user, work_off):
    making.project(user)
    work_off()
    (row,) = client.get("/api/projects").json()["projects"]
    assert (row["name"], row["state"], row["done"]) == ("tiny", "ready", 1.0)
    assert row["target"]["name"] == "this-host"


@pytest.mark.parametrize("name", ["digits", "motion"])
def test_sample_opens(client, name):
    answer = post(client, f"/api/samples/{name}/open")
    assert answer.status_code == 201
    project = Project.objects.get(pk=answer.json()["id"])
    assert project.study.job.state == JobState.QUEUED
    assert (project.study.job.folder / "data.npz").exists()


def test_unknown_sample_is_404(client):
    assert post(client, "/api/samples/cats/open").status_code == 404
