import io
import zipfile

import pytest

from tests.webapp import making
from tests.webapp.test_own_devices import kit_runs, measured
from webapp.devices.kit import kit_graphs
from webapp.devices.services import own_device_share

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"title": "My board", "prior": "rpi4", "runtime": "onnxruntime"}


def test_device_is_made_measured_and_chosen(program):
    made = program.post("own-devices", NEW)
    assert made.status_code == 201, made.content
    path, name = f"own-devices/{made.json()['id']}", made.json()["name"]
    assert program.get(f"devices/{name}").status_code == 404
    runs = [{"name": run.name, "runs_ms": list(run.runs_ms)} for run in kit_runs()]
    outcome = program.post(f"{path}/measurements", {"runs": runs}).json()
    assert outcome["refused"] == {}
    assert outcome["error_after"] < outcome["error_before"]
    assert program.get(f"devices/{name}").json()["label"] == "calibrated"
    assert program.get("devices").json()["targets"][0]["name"] == name
    kept = program.get(f"{path}/measurements").json()["measurements"]
    assert kept[0]["runs_ms"] == runs[0]["runs_ms"]
    assert program.ask("PUT", path, {"shared": True, "title": "B"}).json()["shared"] is True
    (row,) = program.get("own-devices").json()["devices"]
    assert (row["title"], row["measurements"]) == ("B", len(runs))
    assert program.ask("DELETE", path).status_code == 204
    assert program.get(path).status_code == 404


def test_what_cannot_be_a_time_is_set_aside_and_the_rest_counts(program):
    path = f"own-devices/{program.post('own-devices', NEW).json()['id']}/measurements"
    runs = [{"name": run.name, "runs_ms": list(run.runs_ms)} for run in kit_runs()]
    runs[0]["runs_ms"] = [-1, None, "x"]
    found = program.post(path, {"runs": runs, "environment": {"agent": "x"}}).json()
    assert set(found["refused"]) == {runs[0]["name"]}
    assert len(found["used"]) == len(runs) - 1
    assert set(found["used"][0]) == {
        *("name", "measured_ms", "p10_ms", "p90_ms", "before_ms", "after_ms")
    }


def test_kit_is_fetched_graph_by_graph_or_whole(program, user, study_folder):
    project = making.studied(user, study_folder)
    graphs = program.get("kit").json()["graphs"]
    assert [row["name"] for row in graphs] == list(kit_graphs())
    first = graphs[0]["name"]
    assert program.get(f"kit/{first}.onnx").content == kit_graphs()[first].path.read_bytes()
    assert program.get("kit/toaster.onnx").status_code == 404
    (network,) = program.get("networks").json()["networks"]
    assert network["title"] == f"{project.name}, original"
    path = f"own-devices/{program.post('own-devices', NEW).json()['id']}/kit.zip"
    kit = program.get(f"{path}?with={network['name']}")
    assert kit["Content-Type"] == "application/zip"
    names = zipfile.ZipFile(io.BytesIO(kit.content)).namelist()
    assert len([name for name in names if name.endswith(".onnx")]) == len(graphs) + 1
    assert program.get(f"{path}?with=model:{'0' * 32}").status_code == 422


def test_filled_table_calibrates_and_comes_back_as_one(program):
    path = f"own-devices/{program.post('own-devices', NEW).json()['id']}"
    lines = [",".join([run.name, *map(str, run.runs_ms)]) for run in kit_runs()]

    def send(content):
        return program.client.post(f"/api/v1/{path}/times", content, content_type="text/csv")

    found = send("\n".join(lines).encode()).json()
    assert len(found["used"]) == len(lines)
    rows = program.get(f"{path}/measurements.csv").content.decode().splitlines()
    assert rows[0] == "measured,name,run,ms,set aside because"
    assert len(rows) == 1 + 3 * len(lines)
    for content, sentence in ((b"\xff\xfe", "no text in UTF-8"), (b"sums,-3", "line 1: -3 ms")):
        refused = send(content)
        assert refused.status_code == 422
        assert sentence in refused.json()["error"]["message"]


def test_evidence_tells_what_was_predicted_of_what_was_timed(program, user, stranger):
    mine, theirs = measured(user), measured(stranger)
    own_device_share(device=theirs, shared=True)
    for device in (mine, theirs):
        found = program.get(f"devices/{device.key}/evidence").json()
        assert {row["name"] for row in found["rows"]} == set(kit_graphs())
        assert set(found["rows"][0]) == {"name", "measured_ms", "predicted_ms", "before_ms"}
        assert found["band"][0] < 1 < found["band"][1]
    board = program.get("devices/rpi4/evidence").json()
    assert set(board["figures"][0]) == {"name", "value", "source"}
    assert board["rows"]
    own_device_share(device=theirs, shared=False)
    assert program.get(f"devices/{theirs.key}/evidence").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"runs": {}},
        {"runs": [1]},
        {"runs": [{"name": 1, "runs_ms": []}]},
        {"runs": [{"name": "sums", "runs_ms": 3}]},
        {"runs": [{"name": "sums", "runs_ms": [3]}], "environment": []},
    ],
)
def test_runs_of_another_form_are_refused(program, body):
    path = f"own-devices/{program.post('own-devices', NEW).json()['id']}/measurements"
    assert program.post(path, body).status_code in (400, 422)
    assert program.get(path).json()["measurements"] == []


def test_strangers_device_is_not_found(program, stranger):
    path = f"own-devices/{measured(stranger).id}"
    asked = [("GET", path), ("PUT", path), ("DELETE", path), ("GET", f"{path}/measurements")]
    for method, where in asked:
        assert program.ask(method, where, {}).status_code == 404, (method, where)
    answer = program.post(f"{path}/measurements", {"runs": []})
    assert answer.status_code == 404


def test_ten_thousand_measurements_at_once_are_refused(program):
    path = f"own-devices/{program.post('own-devices', NEW).json()['id']}"
    runs = [{"name": "sums", "runs_ms": [1]}] * 10_000
    answer = program.post(f"{path}/measurements", {"runs": runs})
    assert answer.status_code == 400
    assert "10,000 measurements are more than" in answer.json()["error"]["message"]
