import json

import pytest

from compression.cost import latency_ms, load_device
from compression.types import Precision
from tests.webapp import making
from tests.webapp.agents.conftest import device_of, path_of, result_of
from webapp.agents import services
from webapp.agents.models import DeviceTask, TaskKind, TaskState
from webapp.devices.models import Measurement
from webapp.devices.networks import finalists, timed
from webapp.jobs.models import Job, JobState
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)

KEPT = 3


def keep_candidates(job, count=KEPT, **values):
    """As if VALIDATE had left the files of the first candidates."""
    path = job.folder / "VALIDATE" / "candidates.json"
    found = json.loads(path.read_text())
    for row in found["candidates"][:count]:
        row |= {"kept": True, "precision": "fp32", **values}
        file = job.folder / "VALIDATE" / f"candidate-{row['id']}.onnx"
        file.write_bytes(making.onnx_bytes("small"))
    path.write_text(json.dumps(found))


@pytest.fixture
def study(user, study_folder):
    job = making.studied(user, study_folder).study.job
    keep_candidates(job)
    return job


def url_of(job, device):
    return f"/api/jobs/{job.id}/finalists/{device.id}"


def test_a_device_times_what_a_study_has_built_in_turns(client, device, board, study):
    asked = client.post(url_of(study, device)).json()
    assert asked["task"]["state"] == TaskState.WAITING
    task = board.ask("/next", {})["task"]
    names = [row["name"] for row in task["graphs"]]
    assert names == [f"model:{study.id}", *(f"candidate:{study.id}:{i}" for i in range(KEPT))]
    last = task["graphs"][-1]
    content = board.download(
        path_of(task, f"graphs/{KEPT}"), last["sha256"], last["size_bytes"], list
    )
    assert content == making.onnx_bytes("small")
    board.ask(path_of(task, "result"), result_of(task))
    found = client.get(url_of(study, device)).json()
    assert found["task"]["state"] == TaskState.DONE
    assert [row["measured_ms"]["p50"] for row in found["rows"]] == pytest.approx([0.7575] * 4)
    first = found["rows"][0]
    low, high = first["predicted_band_ms"]
    assert low < first["predicted_ms"] < high
    assert first["inside"] == (low <= 0.7575 <= high)
    device.refresh_from_db()
    assert "calibrated" in device.profile
    assert Measurement.objects.count() == 1 + KEPT


def test_what_was_predicted_is_what_was_believed_before(client, device, board, study):
    client.post(url_of(study, device))
    task = board.ask("/next", {})["task"]
    before = [row["predicted_ms"] for row in task["graphs"]]
    board.ask(path_of(task, "result"), result_of(task))
    found = client.get(url_of(study, device)).json()
    assert [row["predicted_ms"] for row in found["rows"]] == before
    client.post(url_of(study, device))
    again = board.ask("/next", {})["task"]
    assert [row["predicted_ms"] for row in again["graphs"]] != before


def test_one_that_does_not_run_leaves_the_rest(client, device, board, study):
    client.post(url_of(study, device))
    task = board.ask("/next", {})["task"]
    name = task["graphs"][1]["name"]
    whole = result_of(task)
    runs = [row for row in whole["runs"] if row["name"] != name]
    failed = [{"name": name, "reason": "out of memory"}]
    board.ask(path_of(task, "result"), {**whole, "runs": runs, "failed": failed})
    found = client.get(url_of(study, device)).json()
    assert found["task"]["state"] == TaskState.DONE
    assert "candidate 0 did not run: out of memory" in found["task"]["message"]
    assert len(found["rows"]) == KEPT


def test_a_device_that_is_away_is_waited_for_and_no_longer(client, device, token, study):
    asked = client.post(url_of(study, device)).json()
    assert asked["task"]["device_state"]["state"] == "offline"
    assert client.post(url_of(study, device)).json()["task"]["id"] == asked["task"]["id"]
    DeviceTask.objects.update(deadline=asked["task"]["created"])
    services.tasks_reap()
    found = client.get(url_of(study, device)).json()
    assert (found["task"]["state"], found["rows"]) == (TaskState.GIVEN_UP, [])


def test_a_busy_device_does_one_after_the_other(client, device, board, study):
    services.calibration_start(device=device)
    client.post(url_of(study, device))
    first = board.ask("/next", {})["task"]
    assert first["kind"] == TaskKind.CALIBRATE
    assert client.get(url_of(study, device)).json()["device"]["state"] == "busy"
    board.ask(path_of(first, "result"), result_of(first))
    assert board.ask("/next", {})["task"]["kind"] == TaskKind.FINALISTS


def test_nothing_is_asked_where_nothing_was_kept(client, user, device, token, study_folder):
    job = making.studied(user, study_folder).study.job
    answer = client.post(url_of(job, device))
    assert answer.status_code == 409
    assert "no built candidates to measure" in answer.json()["error"]["message"]
    keep_candidates(job)
    Job.objects.filter(pk=job.pk).update(state=JobState.RUNNING)
    assert client.post(url_of(job, device)).status_code == 409


def test_candidates_that_few_others_beat_come_first(study):
    path = study.folder / "VALIDATE" / "candidates.json"
    found = json.loads(path.read_text())
    for row, points, ratio in zip(
        found["candidates"], (3, 1, 2), (1.0, 2.0, 1.5), strict=False
    ):
        row |= {"drop_points": points, "host_ratio": ratio}
    path.write_text(json.dumps(found))
    assert [name.rpartition(":")[2] for name in finalists(study, 2)] == ["1", "2"]


def test_a_link_in_place_of_a_candidate_is_not_followed(user, study, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(b"of somebody else")
    file = study.folder / "VALIDATE" / "candidate-0.onnx"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(RequestRefusedError, match="no graph or network"):
        timed(owner=user, name=f"candidate:{study.id}:0", prior=load_device("rpi4"))


def test_eight_bits_count_as_a_float_network_that_takes_as_long(user, study):
    prior = load_device("rpi4")
    name = f"candidate:{study.id}:0"
    full = timed(owner=user, name=name, prior=prior).features
    keep_candidates(study, precision="int8")
    eight = timed(owner=user, name=name, prior=prior).features
    assert (
        0 < latency_ms(eight, prior, Precision.FP32) < latency_ms(full, prior, Precision.FP32)
    )


def test_stranger_gets_404(client, user, stranger, device, study, study_folder):
    theirs = making.studied(stranger, study_folder).study.job
    keep_candidates(theirs)
    assert client.post(url_of(theirs, device)).status_code == 404
    assert client.post(url_of(study, device_of(stranger))).status_code == 404
    with pytest.raises(RequestRefusedError, match="no graph or network"):
        timed(owner=user, name=f"candidate:{theirs.id}:0", prior=load_device("rpi4"))
