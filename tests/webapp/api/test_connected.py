import pytest

from tests.webapp.agents.conftest import connected, device_of, path_of, result_of
from tests.webapp.agents.test_finalists import KEPT
from webapp.accounts.models import AuditEvent, EventKind
from webapp.agents.models import TaskState

pytestmark = pytest.mark.django_db(transaction=True)

NEW = {"title": "My board", "prior": "rpi4", "runtime": "ONNX Runtime", "means": "agent"}


@pytest.fixture
def device(program):
    """The path of a device that is measured by an agent."""
    return f"own-devices/{program.post('own-devices', NEW).json()['id']}"


@pytest.fixture
def board(program, device, address):
    """Its agent, started with the token that the API gave."""
    return connected(address, program.post(f"{device}/agent").json()["token"])


def state_of(program, device):
    (row,) = program.get("connected-devices").json()["devices"]
    assert device.endswith(row["id"])
    return row["state"]


def test_device_is_connected_calibrated_and_disconnected(program, device, board):
    assert state_of(program, device) == "idle"
    asked = program.post(f"{device}/calibrate").json()
    assert (asked["kind"], asked["state"]) == ("calibrate", TaskState.WAITING)
    assert program.post(f"{device}/calibrate").json()["id"] == asked["id"]
    task = board.ask("/next", {})["task"]
    assert state_of(program, device) == "busy"
    board.ask(path_of(task, "result"), result_of(task))
    done = program.get(f"device-tasks/{asked['id']}").json()
    assert (done["state"], done["is_open"]) == (TaskState.DONE, False)
    assert program.get(f"{device}/agent").json()["tasks"] == [done]
    assert program.get(device).json()["label"] == "calibrated"
    assert program.ask("DELETE", f"{device}/agent").status_code == 204
    assert program.get("connected-devices").json() == {"devices": []}
    assert program.get(f"{device}/agent").json()["state"] == "none"


def test_agent_is_started_by_the_commands_that_come_with_its_token(program, device):
    made = program.post(f"{device}/agent")
    assert made.status_code == 201
    fetch, start = made.json()["commands"]
    assert fetch.startswith("curl -fO http://localhost/devices/agent/")
    assert start.endswith(f"--server http://localhost --token {made.json()['token']}")
    assert program.get(f"{device}/agent").json()["state"] == "offline"
    program.ask("DELETE", f"{device}/agent")
    kinds = AuditEvent.objects.order_by("t").values_list("kind", flat=True)
    assert list(kinds) == [EventKind.DEVICE_CONNECTED, EventKind.DEVICE_DISCONNECTED]


def test_device_without_an_agent_is_asked_for_nothing(program, device, build):
    device_id = device.partition("/")[2]
    asked = (f"{device}/calibrate", f"jobs/{build.id}/device-tasks/{device_id}")
    for path in asked:
        answer = program.post(path)
        assert answer.status_code == 409
        assert "not connected" in answer.json()["error"]["message"]


def test_device_measured_by_hand_gets_no_agent(program):
    path = f"own-devices/{program.post('own-devices', {**NEW, 'means': 'kit'}).json()['id']}"
    answer = program.post(f"{path}/agent")
    assert answer.status_code == 409
    assert "measured by kit" in answer.json()["error"]["message"]


def test_build_is_timed_against_its_original(program, device, board, build):
    path, device_id = f"jobs/{build.id}/device-tasks", device.partition("/")[2]
    assert program.post(f"{path}/{device_id}").json()["state"] == TaskState.WAITING
    task = board.ask("/next", {})["task"]
    board.ask(path_of(task, "result"), result_of(task))
    found = program.get(path).json()
    (row,) = found["tasks"]
    assert row["pair"]["ratio"] == pytest.approx(1.0)
    assert (row["device_id"], row["device"]) == (device_id, "My board")
    assert [each["id"] for each in found["devices"]] == [device_id]


def test_task_that_was_stopped_is_not_handed_out(program, device, board):
    task = program.post(f"{device}/calibrate").json()["id"]
    assert program.post(f"device-tasks/{task}/cancel").json()["state"] == TaskState.GIVEN_UP
    assert program.get(f"device-tasks/{task}").json()["message"] == "Stopped on request."
    assert state_of(program, device) == "idle"


def test_candidates_of_a_study_are_timed(program, device, board, study):
    path = f"jobs/{study.id}/finalists/{device.partition('/')[2]}"
    before = program.get(path).json()
    assert (before["count"], before["task"], before["rows"]) == (KEPT, None, [])
    assert program.post(path).json()["task"]["state"] == TaskState.WAITING
    task = board.ask("/next", {})["task"]
    board.ask(path_of(task, "result"), result_of(task))
    rows = program.get(path).json()["rows"]
    assert len(rows) == 1 + KEPT
    low, high = rows[0]["predicted_band_ms"]
    assert rows[0]["inside"] == (low <= rows[0]["measured_ms"]["p50"] <= high)


def test_device_of_a_stranger_is_not_found(program, stranger, study):
    theirs = device_of(stranger)
    for path in (f"own-devices/{theirs.id}/agent", f"jobs/{study.id}/finalists/{theirs.id}"):
        for method in ("GET", "POST"):
            assert program.ask(method, path).status_code == 404, (method, path)
