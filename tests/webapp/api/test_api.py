import pytest

from tests.webapp import making
from webapp.jobs.models import JobState
from webapp.projects.models import UploadedModel

pytestmark = pytest.mark.django_db(transaction=True)

SMALLEST = {"accuracy": 0.0, "latency": 0.0, "energy": 0.0, "storage": 1.0}


@pytest.fixture
def project(user, study_folder):
    return making.studied(user, study_folder)


def test_uploads_become_a_project_that_is_studied(program, work_off):
    model = program.send("model", making.onnx_bytes(), "net.onnx").json()
    data = program.send("data", making.npz_bytes(), "points.npz").json()
    assert (model["kind"], model["name"], data["kind"]) == ("model", "net.onnx", "data")
    answer = program.post(
        "projects", {"model": model["id"], "data": data["id"], "name": "Points"}
    )
    assert answer.status_code == 201, answer.content
    work_off()
    found = program.get(f"projects/{answer.json()['id']}").json()
    assert (found["name"], found["state"], found["done"]) == ("Points", "ready", 1.0)


def test_bad_upload_is_refused_with_a_sentence(program):
    answer = program.send("model", b"hello, this is not a model at all")
    assert answer.status_code == 422
    assert answer.json()["error"]["message"].startswith("This is not an ONNX file.")


def test_answers_are_those_of_the_page(program, client, project):
    wanted = {"goals": SMALLEST, "target": "redmi-3s"}
    ours = program.post(f"projects/{project.id}/select", wanted).json()
    page = client.post(f"/api/projects/{project.id}/select", wanted, "application/json").json()
    assert ours == page["selection"]
    assert (
        program.get(f"projects/{project.id}/studio").json()
        == client.get(f"/api/projects/{project.id}/studio").json()
    )


def test_candidate_of_the_chart_is_priced_on_all_devices(program, project):
    candidates = program.get(f"projects/{project.id}/studio").json()["candidates"]
    config = {"config": candidates[3]["config"]}
    picked = program.post(f"projects/{project.id}/select", config).json()
    assert picked["config"] == candidates[3]["config"]
    rows = program.post(f"projects/{project.id}/devices", config).json()["devices"]
    assert {"rpi4", "redmi-3s"} <= {row["name"] for row in rows}


def test_settings_are_kept(program, project):
    wanted = {"goals": SMALLEST, "budgets": {"max_latency_ms": 3}, "target": "rpi4"}
    answer = program.ask("PUT", f"projects/{project.id}/settings", wanted)
    project.refresh_from_db()
    assert answer.json() == project.settings
    assert project.settings["budgets"]["max_latency_ms"] == 3


def test_build_goes_from_request_to_file(program, project, work_off):
    job = program.post(f"projects/{project.id}/builds", {"goals": SMALLEST}).json()
    assert (job["state"], job["kind"]) == ("queued", "build")
    assert program.get(f"jobs/{job['id']}/report").status_code == 404
    work_off()
    assert program.get(f"jobs/{job['id']}").json()["state"] == "done"
    assert program.get(f"jobs/{job['id']}/report").json()["status"] == "met"
    file = program.get(f"jobs/{job['id']}/files/model.onnx")
    assert b"".join(file) == b"a small network"
    assert b"PACKAGE begins" in program.get(f"jobs/{job['id']}/log").content
    assert program.get(f"jobs/{job['id']}/report/figures").status_code == 200
    (row,) = program.get(f"projects/{project.id}/builds").json()["builds"]
    assert row["best"]["size_ratio"] == 20.0
    (choice,) = program.get("compare/choices").json()["projects"]
    assert [build["name"] for build in choice["builds"]] == [job["id"]]
    sides = f"a={job['id']}&b={choice['id']}@{choice['target']}@original"
    assert program.get(f"compare?{sides}").json()["b"]["title"] == "Original"


def test_equal_build_is_named_and_made_again_on_purpose(program, project):
    path = f"projects/{project.id}/builds"
    first, found = program.post(path), program.post(path)
    assert (first.status_code, first.json()["note"]) == (201, "")
    assert (found.status_code, found.json()["id"]) == (200, first.json()["id"])
    assert "is being built already" in found.json()["note"]
    again = program.post(path, {"again": True})
    assert again.status_code == 201
    assert again.json()["id"] != first.json()["id"]


def test_build_by_a_named_selector_says_so(program, project, work_off):
    wanted = {"selector": "classic", "classic": {"view": "analytic (paper)"}}
    job = program.post(f"projects/{project.id}/builds", wanted).json()
    assert job["selector"]["name"] == "classic"
    work_off()
    (row,) = program.get(f"projects/{project.id}/builds").json()["builds"]
    assert row["selector"]["title"] == "AdaDeep as published (paper)"
    study = program.get(f"projects/{project.id}/studio").json()["study"]["job"]
    assert program.get(f"jobs/{study}").json()["selector"] is None


@pytest.mark.parametrize(
    ("wanted", "sentence"),
    [
        (
            {"selector": "magic"},
            "There is no selector 'magic'. Take one of: "
            "dqn, classic, greedy, random, genetic, exhaustive.",
        ),
        ({"selector": "classic", "classic": {"view": "mine"}}, "classic.view must be one of: "),
        ({"selector": "classic", "classic": {"speed": 1}}, "speed"),
        ({"classic": {"gamma": 1.0}}, "switches of the selector classic"),
        ({"selector": "greedy", "config": [0] * 5}, "greedy has nothing to choose"),
        ({"selector": "greedy", "locks": {"conv99": "keep"}}, "conv99"),
    ],
    ids=str,
)
def test_selector_that_cannot_choose_is_refused(program, project, wanted, sentence):
    answer = program.post(f"projects/{project.id}/builds", wanted)
    assert answer.status_code == 400
    assert sentence in answer.json()["error"]["message"]
    assert program.get(f"projects/{project.id}/builds").json()["builds"] == []


def test_job_is_stopped_and_goes_on(program, user):
    job = making.study(user)
    assert program.post(f"jobs/{job.id}/cancel").json()["state"] == JobState.CANCELLED
    assert program.post(f"jobs/{job.id}/retry").json()["state"] == JobState.QUEUED
    again = program.post(f"jobs/{job.id}/retry")
    assert (again.status_code, again.json()["error"]["message"]) == (
        409,
        "This job has not failed; there is nothing to retry.",
    )


def test_project_is_deleted_with_its_files(program, project, home):
    assert program.ask("DELETE", f"projects/{project.id}").status_code == 204
    assert program.get(f"projects/{project.id}").status_code == 404
    assert not [path for path in (home / "uploads").rglob("*") if path.is_file()]


@pytest.mark.parametrize(
    ("wanted", "status", "sentence"),
    [
        ({"target": "toaster"}, 404, "There is no device 'toaster'."),
        ({"budgets": {"max_latency_ms": 0}}, 400, "no network can meet"),
        ({"goals": {"latency": "fast"}}, 422, "goals.latency: "),
        ({"goals": {"speed": 1}}, 422, "goals.speed: "),
        ({"weather": 1}, 422, "weather: "),
        ({"config": [1, 2]}, 400, "This candidate belongs to another study."),
    ],
)
def test_nonsense_is_refused_with_its_place(program, project, wanted, status, sentence):
    answer = program.post(f"projects/{project.id}/select", wanted)
    assert answer.status_code == status
    assert sentence in answer.json()["error"]["message"]


def test_before_the_study_can_answer_it_says_so(program, user):
    answer = program.post(f"projects/{making.project(user).id}/select")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not_ready")


def test_stranger_gets_404(program, stranger):
    theirs = making.project(stranger)
    project, job = f"projects/{theirs.id}", f"jobs/{theirs.study.job.id}"
    asked = [
        *(("GET", f"{project}{end}") for end in ("", "/studio", "/builds")),
        *(("POST", f"{project}/{end}") for end in ("select", "devices", "study", "builds")),
        *(("PUT", f"{project}/{end}") for end in ("settings", "preprocessing")),
        ("DELETE", project),
        *(
            ("GET", f"{job}{end}")
            for end in ("", "/events", "/figures", "/report", "/report/figures", "/log")
        ),
        ("GET", f"{job}/files/model.onnx"),
        *(("POST", f"{job}/{end}") for end in ("cancel", "retry")),
    ]
    for method, path in asked:
        answer = program.ask(method, path, {})
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path
    upload = {"model": str(theirs.model.id)}
    assert program.post("projects", upload).status_code == 404


def test_room_that_files_take_is_told(program, user, settings):
    settings.USER_QUOTA_BYTES = 10**9
    before = program.get("usage").json()
    assert before == {
        "used_bytes": 0,
        "coming_bytes": 0,
        "quota_bytes": 10**9,
        "retention_days": None,
    }
    making.begun(user, b"12345")
    making.stored(UploadedModel, user, making.onnx_bytes())
    after = program.get("usage").json()
    assert (after["used_bytes"], after["coming_bytes"]) == (len(making.onnx_bytes()), 5)


def test_catalogue_names_samples_and_devices(program):
    assert {row["name"] for row in program.get("samples").json()["samples"]} >= {"digits"}
    names = [row["name"] for row in program.get("devices").json()["targets"]]
    assert names[0] == "this-host"
    assert program.get("devices/rpi4").json()["sources"]
    assert program.get("devices/toaster").json()["error"]["message"] == (
        "There is no device 'toaster'."
    )


def test_documentation_loads_nothing_from_elsewhere(client):
    page = client.get("/api/v1/docs").content.decode()
    assert "swagger-ui-bundle.js" in page
    assert "//" not in page.replace("http://www.w3.org", "")
