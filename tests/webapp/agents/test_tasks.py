import threading
from datetime import timedelta

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone
from kombu.exceptions import OperationalError

from compression.cost import energy_mj, latency_ms, load_device
from compression.measured_power import LEAST_LOG_SD
from compression.types import Precision
from tests.webapp import making
from tests.webapp.agents.conftest import connected, device_of, introduction, path_of, result_of
from webapp.accounts.models import AuditEvent, EventKind
from webapp.accounts.tokens import token_create
from webapp.agents import connections, queries, services, tasks
from webapp.agents.models import DeviceTask, TaskKind, TaskState
from webapp.devices.agent.server import RefusedError, Server
from webapp.devices.kit import kit_graphs
from webapp.devices.models import Means, Measurement
from webapp.devices.services import Run, runs_record
from webapp.devices.targets import target_profile
from webapp.jobs.models import Job, JobState
from webapp.responses import RequestRefusedError
from webapp.supervision import parts

pytestmark = pytest.mark.django_db(transaction=True)


def only_task():
    return DeviceTask.objects.get()


def silence(task):
    """Let the time pass after which an agent counts as lost."""
    long_ago = timezone.now() - timedelta(hours=1)
    DeviceTask.objects.filter(pk=task.pk).update(heartbeat=long_ago)
    services.tasks_reap()


def next_task(board):
    return board.ask("/next", {})["task"]


def test_a_device_is_calibrated_by_its_agent(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    first = task["graphs"][0]
    content = board.download(
        path_of(task, "graphs/0"), first["sha256"], first["size_bytes"], list
    )
    assert content.startswith(b"\x08")
    board.ask(path_of(task, "beat"), {})
    board.ask(path_of(task, "result"), result_of(task))
    device.refresh_from_db()
    assert "calibrated" in device.profile
    done = queries.task_json(only_task())
    assert done["state"] == TaskState.DONE
    assert "Half of the times are predicted within" in done["message"]
    assert list(done["threads_ms"]) == ["1", "2", "4"]


def test_times_on_other_numbers_of_threads_do_not_enter_the_profile(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    board.ask(path_of(task, "result"), result_of(task))
    assert Measurement.objects.filter(name="mobile").count() == 1


@pytest.mark.parametrize("said", [{"version": "000000000000"}, {"protocol": 99}])
def test_an_agent_of_another_version_is_told_what_to_do(address, token, said):
    server = Server(address, token)
    with pytest.raises(RefusedError, match="Download it again: curl -fO http") as caught:
        server.ask("/hello", introduction(**said))
    assert caught.value.status == 426


def test_an_agent_that_claims_odd_things_is_refused(address, token):
    with pytest.raises(RefusedError) as caught:
        Server(address, token).ask("/hello", introduction(cores=0))
    assert caught.value.status == 422


def test_a_token_opens_nothing_but_its_own_device(address, client, user, token, device):
    foreign = [token_create(owner=user, name="program"), "adadeep_device_x", "ä"]
    for other in foreign:
        with pytest.raises(RefusedError, match="not known here") as caught:
            Server(address, other).ask("/hello", introduction())
        assert caught.value.status == 401
    answer = client.get("/api/v1/projects", headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    services.calibration_start(device=device)
    neighbour = connected(address, connections.agent_connect(device=device_of(user)))
    mine = connected(address, token)
    task = next_task(mine)
    for what in ("beat", "result"):
        with pytest.raises(RefusedError, match="in other hands"):
            neighbour.ask(path_of(task, what), result_of(task))


def test_a_revoked_token_ends(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    connections.agent_disconnect(device=device)
    assert only_task().state == TaskState.GIVEN_UP
    with pytest.raises(RefusedError, match="it has ended"):
        board.ask(path_of(task, "result"), result_of(task))


def test_tokens_of_devices_are_in_the_audit_log(client, device):
    url = f"/api/own-devices/{device.id}/agent"
    token = client.post(url).json()["commands"][1].rsplit(" ", 1)[1]
    client.delete(url)
    events = AuditEvent.objects.order_by("t").values_list("kind", "detail")
    kinds = (EventKind.DEVICE_CONNECTED, EventKind.DEVICE_DISCONNECTED)
    assert list(events) == [(kind, device.title) for kind in kinds]
    assert token not in str(AuditEvent.objects.values())


def test_of_two_agents_the_later_one_works(address, device, board, token):
    services.calibration_start(device=device)
    task = next_task(board)
    later = connected(address, token)
    with pytest.raises(RefusedError, match="Another agent has connected"):
        board.ask(path_of(task, "beat"), {})
    assert next_task(later)["attempt"] > task["attempt"]


def test_a_result_sent_twice_counts_once(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    for _ in range(2):
        board.ask(path_of(task, "result"), result_of(task))
    assert Measurement.objects.count() == len(task["graphs"])


def test_a_late_result_of_an_old_attempt_changes_nothing(device, board):
    services.calibration_start(device=device)
    old = next_task(board)
    silence(only_task())
    assert only_task().state == TaskState.WAITING
    new = next_task(board)
    with pytest.raises(RefusedError, match="in other hands"):
        board.ask(path_of(old, "result"), result_of(old))
    assert Measurement.objects.count() == 0
    board.ask(path_of(new, "result"), result_of(new))
    assert only_task().state == TaskState.DONE


def test_a_device_that_goes_silent_three_times_fails_the_task(device, board):
    services.calibration_start(device=device)
    for _ in range(3):
        assert next_task(board)
        silence(only_task())
    assert only_task().state == TaskState.FAILED
    assert only_task().message == f"Tried 3 times. {services.SILENT}"


def test_an_agent_that_beats_keeps_its_task(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    found = only_task()
    board.ask(path_of(task, "beat"), {})
    assert services.lease.take_back(found, "too late") is None
    assert only_task().state == TaskState.LEASED


def test_an_agent_that_says_goodbye_costs_no_attempt(device, board):
    services.calibration_start(device=device)
    assert next_task(board)
    board.ask("/goodbye", {})
    assert (only_task().state, only_task().lost) == (TaskState.WAITING, 0)
    assert queries.agent_json(device)["state"] == "offline"


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (lambda r: r["runs"][0].update(runs_ms=[-1.0] * 5), "greater than 0"),
        (lambda r: r["runs"][0].update(runs_ms=[0.0] * 5), "greater than 0"),
        (lambda r: r["runs"][0].update(runs_ms=[float("nan")] * 5), "runs_ms"),
        (lambda r: r["runs"][0].update(runs_ms=[1.0]), "at least 5 items"),
        (lambda r: r["runs"][0].update(runs_ms=[1.0] * 401), "at most 400 items"),
        (lambda r: r["runs"][0].update(runs_ms="fast"), "valid array"),
        (lambda r: r["runs"][0].update(name="resnet"), "resnet on 1 threads was not asked for"),
        (lambda r: r["runs"].append(r["runs"][0]), "measured twice"),
        (lambda r: r["runs"].pop(0), "is missing"),
        (
            lambda r: r["failed"].append({"name": "resnet", "reason": ""}),
            "resnet was not asked for",
        ),
        (lambda r: r.update(verdict="fastest device"), "verdict"),
    ],
)
def test_what_is_no_answer_is_refused_and_the_task_goes_back(device, board, damage, complaint):
    services.calibration_start(device=device)
    task = next_task(board)
    result = result_of(task)
    damage(result)
    with pytest.raises(RefusedError, match=complaint) as caught:
        board.ask(path_of(task, "result"), result)
    assert caught.value.status == 422
    assert (only_task().state, only_task().lost) == (TaskState.WAITING, 1)
    assert complaint in only_task().message or "runs_ms" in only_task().message
    assert Measurement.objects.count() == 0


def test_a_time_a_thousand_times_off_is_set_aside(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    result = result_of(task)
    result["runs"][0]["runs_ms"] = [2000 * ms for ms in result["runs"][0]["runs_ms"]]
    board.ask(path_of(task, "result"), result)
    assert only_task().state == TaskState.DONE
    assert "Set aside:" in only_task().message
    refused = Measurement.objects.exclude(refused="").get()
    assert "times more than" in refused.refused
    device.refresh_from_db()
    assert device.profile


def test_a_device_that_slows_down_is_said(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    board.ask(path_of(task, "result"), result_of(task, drift={"first_ms": 1.0, "last_ms": 1.3}))
    assert "got 30 % slower while it measured" in only_task().message


def test_a_graph_that_did_not_run_is_said_and_the_rest_counts(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    result = result_of(task)
    lost = result["runs"].pop(0)["name"]
    result["failed"] = [{"name": lost, "reason": "not enough memory"}]
    board.ask(path_of(task, "result"), result)
    assert f"{lost} did not run: not enough memory" in only_task().message
    assert only_task().state == TaskState.DONE


def test_a_task_of_which_nothing_ran_has_failed(device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    failed = [{"name": row["name"], "reason": "no memory"} for row in task["graphs"]]
    for _ in range(2):
        board.ask(path_of(task, "result"), result_of(task, runs=[], failed=failed))
    assert only_task().state == TaskState.FAILED
    assert only_task().message.endswith("mobile did not run: no memory")
    assert Measurement.objects.count() == 0


def test_one_network_of_a_pair_is_no_measured_build(device, board, build):
    services.validation_start(device=device, job=build)
    task = next_task(board)
    result = result_of(task)
    lost = result["runs"].pop()["name"]
    result["failed"] = [{"name": lost, "reason": "no memory"}]
    board.ask(path_of(task, "result"), result)
    assert only_task().state == TaskState.FAILED
    title = f"tiny, model.onnx of build {build.id.hex[:6]}"
    assert only_task().message == f"{title} did not run: no memory"


def test_a_build_is_timed_in_pairs_and_feeds_the_calibration(device, board, build, client):
    services.validation_start(device=device, job=build)
    task = next_task(board)
    assert task["reference"].startswith("model:")
    board.ask(path_of(task, "result"), result_of(task))
    shown = client.get(f"/api/jobs/{build.id}/device-tasks").json()
    (row,) = shown["tasks"]
    assert row["device"] == "My board"
    assert row["pair"]["rounds"] == 5
    assert row["pair"]["ratio_ci"][0] <= row["pair"]["ratio"] <= row["pair"]["ratio_ci"][1]
    assert Measurement.objects.filter(device=device, refused="").count() == 2


def test_a_network_that_is_gone_is_said(device, token, build):
    (build.folder / "PACKAGE" / "model.onnx").unlink()
    services.validation_start(device=device, job=build)
    assert services.task_hand_out(agent=device.agent) is None
    assert (only_task().state, only_task().message) == (TaskState.FAILED, services.FILE_GONE)


def powered(task, *watts, source="RAPL package-0"):
    """What a meter tells of the graphs whose power is asked for, above a rest of one watt."""
    return {
        name: {"source": source, "idle_w": 1.0, "active_w": 1 + each, "run_mj": each * 2}
        for name, each in zip(task["powered"], watts, strict=True)
    }


def test_measured_power_makes_the_energy_of_a_device(user, device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    board.ask(path_of(task, "result"), result_of(task, power=powered(task, 1.9, 2.0, 2.2)))
    found = target_profile(owner=user, name=device.key)
    assert found.power_w == pytest.approx(2.0)
    assert (found.energy_label, found.power_relative_sd) == ("calibrated", LEAST_LOG_SD)
    assert found.power_relative_sd < load_device("rpi4").power_relative_sd
    assert "RAPL package-0" in found.sources["power_w"]
    assert "2 W above rest" in found.note
    features = np.array(kit_graphs()["mobile"].features)
    time_ms = latency_ms(features, found, Precision.FP32)
    energy = energy_mj(time_ms, features, found, Precision.FP32)
    assert energy == pytest.approx(2.0 * time_ms, rel=0.05)


def test_power_at_the_supply_holds_the_memory(user, device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    told = powered(task, 1.0, 2.0, 4.0, source="sensor ina3221")
    board.ask(path_of(task, "result"), result_of(task, power=told))
    found = target_profile(owner=user, name=device.key)
    assert found.dram_pj_per_byte == 0
    assert found.power_relative_sd == pytest.approx(np.log(2))  # what the readings differ by


def test_absurd_power_is_set_aside_with_the_reason(user, device, board):
    services.calibration_start(device=device)
    task = next_task(board)
    told = powered(task, 900.0, 900.0, 900.0)
    board.ask(path_of(task, "result"), result_of(task, power=told))
    assert "times more than the" in only_task().message
    found, prior = target_profile(owner=user, name=device.key), load_device("rpi4")
    assert (found.power_w, found.energy_label) == (prior.power_w, prior.energy_label)
    assert "Energy, memory and 8-bit times are taken over" in found.note


@pytest.mark.parametrize(
    "power",
    [
        "much",
        {"mobile": 3},
        {"mobile": {"active_w": "3"}},
        {"mobile": {"active_w": 1, "idle_w": 1}},
    ],
)
def test_power_that_a_program_makes_up_changes_nothing(user, device, power):
    run = Run("mobile", [100.0, 101.0, 102.0])
    runs_record(device=device, runs=[run], environment={"power": power})
    found = target_profile(owner=user, name=device.key)
    assert found.power_w == load_device("rpi4").power_w


def test_power_is_shown_where_the_device_tells_it(device, board, build):
    services.validation_start(device=device, job=build)
    task = next_task(board)
    power = {"source": "RAPL package-0", "idle_w": 1.0, "active_w": 3.0, "run_mj": 4.0}
    told = {row["name"]: power for row in task["graphs"]}
    board.ask(path_of(task, "result"), result_of(task, power=told))
    (row,) = queries.build_tasks(build)
    assert [each["above_rest_w"] for each in row["power"]] == [2.0, 2.0]


def test_pairs_of_unlike_length_are_no_pairs(device, board, build):
    services.validation_start(device=device, job=build)
    task = next_task(board)
    result = result_of(task)
    result["runs"][0]["runs_ms"].append(1.0)
    with pytest.raises(RefusedError, match="no pairs"):
        board.ask(path_of(task, "result"), result)


def test_a_task_waits_for_its_build(device, board, build):
    Job.objects.filter(pk=build.pk).update(state=JobState.RUNNING)
    build.refresh_from_db()
    services.validation_start(device=device, job=build)
    agent = device.agent
    assert services.task_hand_out(agent=agent) is None
    Job.objects.filter(pk=build.pk).update(state=JobState.DONE)
    assert services.task_hand_out(agent=agent)


def test_a_build_for_a_connected_device_can_be_measured_there(
    device, board, user, study_folder, client
):
    project = making.studied(user, study_folder)
    url, asked = f"/api/projects/{project.id}/builds", {"measure_on_device": True}
    answer = client.post(url, asked, content_type="application/json")
    assert (answer.status_code, Job.objects.filter(kind="build").count()) == (409, 0)
    assert "connected by its agent" in answer.json()["error"]["message"]

    services.calibration_start(device=device)
    task = next_task(board)
    board.ask(path_of(task, "result"), result_of(task))
    asked["target"] = device.key
    job_id = client.post(url, asked, content_type="application/json").json()["job"]
    assert str(DeviceTask.objects.get(kind=TaskKind.VALIDATE).job_id) == job_id


def test_what_nobody_will_do_is_given_up(device, token, build):
    services.validation_start(device=device, job=build)
    Job.objects.filter(pk=build.pk).update(state=JobState.FAILED)
    services.tasks_reap()
    assert (only_task().state, only_task().message) == (
        TaskState.GIVEN_UP,
        services.BUILD_FAILED,
    )
    DeviceTask.objects.all().delete()
    services.calibration_start(device=device)
    DeviceTask.objects.update(deadline=timezone.now() - timedelta(seconds=1))
    services.tasks_reap()
    assert only_task().message == "The device did not come within 24 hours."


def test_a_failed_build_is_not_measured(device, token, build):
    Job.objects.filter(pk=build.pk).update(state=JobState.FAILED)
    build.refresh_from_db()
    with pytest.raises(RequestRefusedError, match="no result to measure"):
        services.validation_start(device=device, job=build)


def test_the_same_is_not_asked_for_twice(device, token):
    assert services.calibration_start(device=device) == services.calibration_start(
        device=device
    )


def test_clicks_at_the_same_moment_make_one_task(device, token):
    together = threading.Barrier(8)

    def click():
        together.wait()
        services.calibration_start(device=device)
        connection.close()

    clicks = [threading.Thread(target=click) for _ in range(8)]
    for each in clicks:
        each.start()
    for each in clicks:
        each.join()
    assert DeviceTask.objects.count() == 1


def test_a_device_without_an_agent_is_not_asked(device):
    with pytest.raises(RequestRefusedError, match="not connected"):
        services.calibration_start(device=device)


def test_an_agent_does_not_measure_for_a_browser(user):
    with pytest.raises(RequestRefusedError, match="measured by browser"):
        connections.agent_connect(device=device_of(user, means=Means.BROWSER))


def test_states_follow_the_agent(address, device, token):
    assert queries.agent_json(device)["state"] == "offline"
    server = connected(address, token)
    assert queries.agent_json(device)["state"] == "idle"
    services.calibration_start(device=device)
    next_task(server)
    assert queries.agent_json(device)["state"] == "busy"
    device.agent.seen = timezone.now() - timedelta(minutes=5)
    device.agent.save()
    assert queries.agent_json(device)["state"] == "offline"


def test_an_agent_that_measures_power_is_not_offline(device, token, settings):
    device.agent.seen = timezone.now() - timedelta(seconds=settings.LEASE_LOST_S - 5)
    assert connections.is_online(device.agent)
    device.agent.seen -= timedelta(seconds=6)
    assert not connections.is_online(device.agent)


def test_an_agent_that_was_just_seen_is_not_noted_again(
    device, token, django_assert_num_queries
):
    connections.agent_seen(agent=device.agent)
    device.agent.refresh_from_db()
    with django_assert_num_queries(0):
        connections.agent_seen(agent=device.agent)
    device.agent.seen -= timedelta(seconds=connections.SEEN_EVERY_S + 1)
    with django_assert_num_queries(1):
        connections.agent_seen(agent=device.agent)


def test_the_page_shows_the_command_once(client, device):
    shown = client.post(f"/api/own-devices/{device.id}/agent").json()
    assert "curl -fO http://localhost/devices/agent/adadeep-agent.pyz" in shown["commands"]
    assert "--token adadeep_device_" in shown["commands"][1]
    assert client.get(f"/api/own-devices/{device.id}/agent").json()["commands"] == []
    started = client.post(f"/api/own-devices/{device.id}/calibrate").json()
    stopped = client.post(f"/api/device-tasks/{started['id']}/cancel").json()
    assert (stopped["state"], stopped["message"]) == ("given up", services.CANCELLED)
    assert client.delete(f"/api/own-devices/{device.id}/agent").json()["state"] == "none"


def test_silent_agents_are_looked_after_on_the_device_queue(device, board):
    services.calibration_start(device=device)
    assert next_task(board)
    DeviceTask.objects.update(heartbeat=timezone.now() - timedelta(hours=1))
    tasks.reap()
    assert only_task().state == TaskState.WAITING
    assert "quick,device" in parts.worker("quick", 1, {}, tasks.DEVICE).command


def test_a_broker_that_is_away_stops_nobody(monkeypatch, caplog):
    def away(**_):
        raise OperationalError

    monkeypatch.setattr(tasks.reap, "apply_async", away)
    tasks.send_reap(5.0)
    assert "The broker does not answer" in caplog.text


def test_strangers_find_nothing(client, stranger, build):
    other = device_of(stranger)
    connections.agent_connect(device=other)
    task = services.calibration_start(device=other)
    paths = [
        f"/api/own-devices/{other.id}/agent",
        f"/api/own-devices/{other.id}/calibrate",
        f"/api/device-tasks/{task.id}/cancel",
        f"/api/jobs/{build.id}/device-tasks/{other.id}",
    ]
    for path in paths:
        assert client.post(path).status_code == 404, path
