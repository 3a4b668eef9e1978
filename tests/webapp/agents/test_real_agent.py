"""The very file that the server hands out, as a process of its own, against the real application."""

import os
import signal
import subprocess
import sys
from urllib.parse import urlsplit

import pytest

from tests.webapp.agents import networks
from tests.webapp.agents.test_finalists import KEPT, keep_candidates
from tests.webapp.running import wait_for
from webapp.agents import queries, services
from webapp.agents.archive import agent_archive
from webapp.agents.models import DeviceTask, TaskKind, TaskState
from webapp.devices.targets import target_profile

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def start(tmp_path, address, token):
    """Starts an agent; ``start(prefix=…)`` puts a command before it."""
    archive = tmp_path / "adadeep-agent.pyz"
    archive.write_bytes(agent_archive())
    log, started = (tmp_path / "agent.log").open("ab"), []

    def start(*, prefix=(), server=address, token=token):
        command = [*prefix, sys.executable, str(archive), "--server", server, "--token", token]
        process = subprocess.Popen(command, cwd=tmp_path, stdout=log, stderr=log)
        process.said = (tmp_path / "agent.log").read_text
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
    log.close()


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setitem(services.SECONDS, TaskKind.CALIBRATE, 2.0)
    monkeypatch.setitem(services.SECONDS, TaskKind.VALIDATE, 1.0)
    monkeypatch.setitem(services.SECONDS, TaskKind.FINALISTS, 1.0)


@pytest.fixture
def slow(monkeypatch, settings):
    """A task during which there is time for accidents; agents beat often, and are soon missed."""
    monkeypatch.setitem(services.SECONDS, TaskKind.CALIBRATE, 8.0)
    settings.LEASE_HEARTBEAT_S, settings.LEASE_LOST_S = 0.3, 2.0


def state():
    return DeviceTask.objects.get().state


def is_measuring():
    task = DeviceTask.objects.get()
    return task.state == TaskState.LEASED and task.heartbeat > task.leased


def given_back():
    services.tasks_reap()
    return state() == TaskState.WAITING


def test_a_device_is_connected_calibrated_and_measures_a_build(
    user, device, build, start, quick
):
    agent = start()
    wait_for(lambda: queries.agent_json(device)["state"] == "idle", 20)
    services.calibration_start(device=device)
    wait_for(lambda: state() == TaskState.DONE, 60)
    assert target_profile(owner=user, name=device.key).label == "calibrated"

    services.validation_start(device=device, job=build)
    newest = DeviceTask.objects.filter(kind=TaskKind.VALIDATE)
    wait_for(lambda: newest.get().state == TaskState.DONE, 60)
    (row,) = queries.build_tasks(build)
    assert row["pair"]["rounds"] >= 5
    assert row["pair"]["result_ms"]["p10"] <= row["pair"]["result_ms"]["p90"]

    keep_candidates(build.study)
    services.finalists_start(device=device, job=build.study)
    wait_for(lambda: DeviceTask.objects.filter(state=TaskState.DONE).count() == 3, 60)
    assert len(queries.finalists_json(device, build.study)["rows"]) == 1 + KEPT

    agent.send_signal(signal.SIGINT)
    assert agent.wait(20) == 0
    assert queries.agent_json(device)["state"] == "offline"


def test_an_agent_that_is_killed_gives_its_task_to_the_next(device, start, slow):
    services.calibration_start(device=device)
    first = start()
    wait_for(is_measuring, 30)
    first.kill()
    wait_for(given_back, 20)
    assert queries.agent_json(device)["tasks"][0]["message"] == services.SILENT
    start()
    wait_for(lambda: state() == TaskState.DONE, 60)
    assert DeviceTask.objects.get().lost == 1


def test_a_device_whose_network_is_cut_in_mid_task_does_it_again(
    device, address, start, slow, settings
):
    if reason := networks.why_not():
        pytest.skip(reason)
    settings.ALLOWED_HOSTS = ["127.0.0.1", networks.HERE]
    services.calibration_start(device=device)
    with networks.Island(urlsplit(address).port) as island:
        agent = start(prefix=island.command(), server=island.address)
        wait_for(is_measuring, 30)
        island.cut()
        wait_for(given_back, 30)
        island.mend()
        wait_for(lambda: state() == TaskState.DONE, 90)
        assert DeviceTask.objects.get().lost == 1
        assert "in other hands, or it has ended. What was measured is dropped" in agent.said()
        agent.kill()


def test_an_agent_with_a_foreign_token_stops(start):
    agent = start(token="adadeep_device_of_somebody_else")
    assert agent.wait(20) == 2
    assert "This token is not known here" in agent.said()


def test_a_changed_agent_stops_and_says_what_to_do(start, tmp_path, address):
    archive = tmp_path / "adadeep-agent.pyz"
    archive.write_bytes(
        archive.read_bytes().replace(b"#!/usr/bin/env python3", b"#!/usr/bin/env python9")
    )
    agent = start()
    assert agent.wait(20) == 2
    assert (
        f"Download it again: curl -fO {address}/devices/agent/adadeep-agent.pyz" in agent.said()
    )


def test_an_agent_waits_for_a_server_that_is_away(start):
    agent = start(server="http://127.0.0.1:9")
    wait_for(lambda: "Trying again in" in agent.said(), 20)
    assert agent.poll() is None
    os.kill(agent.pid, signal.SIGINT)
    assert agent.wait(20) == 0
