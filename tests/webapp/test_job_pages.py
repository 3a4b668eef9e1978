import pytest

from tests.webapp import making
from webapp.jobs.folders import write_json
from webapp.jobs.models import Job, JobState

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def built(user, work_off):
    job = making.build(user)
    work_off()
    job.refresh_from_db()
    return job


def test_job_page_and_json_agree(client, built):
    assert client.get(f"/jobs/{built.id}/").status_code == 200
    job = client.get(f"/api/jobs/{built.id}").json()
    assert (job["state"], job["kind"], job["last_seq"]) == ("done", "build", built.last_seq)
    assert [stage["state"] for stage in job["stages"]] == ["done"] * 4
    assert job["eta"] is None


@pytest.mark.parametrize(("selector", "learns"), [("classic", True), ("dqn", False)])
def test_build_by_the_published_form_has_a_chart_of_how_it_learns(
    client, user, selector, learns
):
    job = making.build(user)
    Job.objects.filter(pk=job.pk).update(selector=selector)
    page = client.get(f"/jobs/{job.id}/").content.decode()
    assert ("How the published agents learn" in page) == learns
    assert 'id="recovery"' in page


def test_waiting_job_says_how_long_and_which_in_line(client, user):
    first, second = making.study(user), making.project(user, seed=1).study.job
    assert client.get(f"/api/jobs/{first.id}").json()["queue_position"] == 0
    job = client.get(f"/api/jobs/{second.id}").json()
    assert job["queue_position"] == 1
    assert 0 < job["eta"]["low_s"] < job["eta"]["high_s"]


def test_events_are_replayed_from_any_number(client, built):
    all_events = client.get(f"/api/jobs/{built.id}/events").json()["events"]
    late = client.get(f"/api/jobs/{built.id}/events?after=5").json()["events"]
    assert late == all_events[5:]
    assert set(late[0]) == {
        "seq",
        "t",
        "stage",
        "part",
        "kind",
        "data",
        "done",
        "total",
        "eta_s",
    }


@pytest.mark.parametrize("said", ["²", "-1", "1e3", "", "9" * 30, "9" * 5000])
def test_number_that_no_event_has_means_all_events(client, built, said):
    answer = client.get(f"/api/jobs/{built.id}/events", {"after": said})
    assert answer.status_code == 200
    assert answer.json()["events"][0]["seq"] == 1


def test_result_page_is_there_when_there_is_a_result(client, built, user):
    assert client.get(f"/jobs/{built.id}/result/").status_code == 200
    study = built.study
    assert client.get(f"/jobs/{study.id}/result/").status_code == 404


def test_artifact_is_downloaded_whole_under_a_telling_name(client, built):
    artifact = client.get(f"/api/jobs/{built.id}").json()["artifacts"][0]
    answer = client.get(artifact["url"])
    assert (
        b"".join(answer.streaming_content if not answer.is_async else drain(answer))
        == b"a small network"
    )
    assert (
        "filename*=UTF-8''tiny%40this-host%403.1ms%4098.7.onnx" in answer["Content-Disposition"]
    )
    assert answer["ETag"] == f'"{artifact["sha256"]}"'


def test_file_that_is_gone_is_told_in_a_sentence(client, built):
    url = client.get(f"/api/jobs/{built.id}").json()["artifacts"][0]["url"]
    (built.folder / "PACKAGE" / "model.onnx").unlink()
    sentence = "model.onnx is no longer where the server keeps it. "
    page = client.get(url)
    assert (page.status_code, sentence in page.content.decode()) == (404, True)
    (built.folder / "PACKAGE" / "report.json").unlink()
    page = client.get(f"/jobs/{built.id}/result/")
    assert page.status_code == 404
    assert "report is no longer where the server keeps it. " in page.content.decode()
    assert client.get(f"/jobs/{built.id}/").status_code == 200


def test_measured_build_tells_what_it_gave(client, built):
    write_json(built.folder / "expected.json", {"wanted": {"goals": {}, "budgets": {}}})
    outcome = client.get(f"/api/jobs/{built.id}/figures").json()["outcome"]
    assert outcome["is_measured"] is True
    assert outcome["estimate"]["latency_ms"] == {
        "value": 3.1,
        "low": 3.1,
        "high": 3.1,
        "label": "measured",
    }
    assert outcome["baseline"]["latency_ms"] == 4.0
    assert outcome["estimate"]["energy_mj"]["label"] == "calibrated"
    assert outcome["estimate"]["size_bytes"]["label"] == "exact"


def drain(answer):
    from asgiref.sync import async_to_sync

    async def read():
        return [chunk async for chunk in answer.streaming_content]

    return async_to_sync(read)()


@pytest.mark.parametrize("name", ["request.json", "package.json", "..%2Fengine.log", "nothing"])
def test_only_artifacts_are_downloaded(client, built, name):
    assert client.get(f"/jobs/{built.id}/files/{name}").status_code == 404


def test_log_is_downloaded_as_text(client, built):
    assert b"PACKAGE begins" in client.get(f"/jobs/{built.id}/log/").content


def test_cancel_over_http(client, user):
    job = making.study(user)
    answer = client.post(f"/api/jobs/{job.id}/cancel").json()
    assert answer["state"] == JobState.CANCELLED


def test_retry_of_a_healthy_job_is_refused(client, built):
    answer = client.post(f"/api/jobs/{built.id}/retry")
    assert answer.status_code == 409
