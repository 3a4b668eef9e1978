import pytest

from tests.webapp.test_own_devices import kit_runs, measured

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
