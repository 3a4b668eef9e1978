import os
import re
import signal
import socket
import time

import httpx
import psutil
import pytest

from tests.webapp import running
from tests.webapp.running import Installation

PROBE_PARTS = ["1/4", "2/4", "3/4", "4/4"]
LONG = {"SEARCH": {"sleep_s": 3}}


@pytest.fixture
def place(tmp_path):
    return tmp_path / "installation"


def events_are_gap_free(installation, job_id):
    events = installation.call("GET", f"/api/jobs/{job_id}/events")["events"]
    return [event["seq"] for event in events] == list(range(1, len(events) + 1))


def test_check_starts_proves_and_stops(place):
    run = running.check(place, "--check")
    assert run.returncode == 0, run.stderr
    assert "READY http://127.0.0.1:" in run.stdout
    assert "Everything answers." in run.stdout


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.7"])
def test_open_address_is_refused(place, host):
    run = running.check(place, "--check", "--host", host)
    assert run.returncode != 0
    assert f"answers this machine only, not {host}. Set AUTH_MODE=accounts" in run.stderr


def test_with_accounts_every_network_card_is_served(place):
    """The set-up link leads in, by the address that other machines use."""
    with Installation(place, host="0.0.0.0", AUTH_MODE="accounts") as here:
        url, link = re.findall(r"http://\S+", here.log.read_text())
        assert link.startswith(f"{url}/setup/")
        with httpx.Client(base_url=url, follow_redirects=True) as browser:
            assert "Sign in" in browser.get("/").text
            token = re.search(r'csrf-token" content="(\w+)', browser.get(link).text)[1]
            password = "grey heron at noon"
            form = {"username": "root", "password1": password, "password2": password}
            answer = browser.post(link, data={**form, "csrfmiddlewaretoken": token})
            assert "Make a model fit its device" in answer.text
        web_log = (place / "logs" / "web.log").read_text()
        assert link.rsplit("/", 2)[1] not in web_log, "a set-up link is a secret"
        stranger = httpx.get(f"{url}/login/", headers={"Host": "evil.example"})
        assert stranger.status_code == 400


def test_web_process_that_dies_keeps_nobody_waiting(place):
    with Installation(place, web_processes=2) as here:
        os.kill(here.child("uvicorn").pid, signal.SIGKILL)
        for _ in range(20):
            assert httpx.get(f"{here.url}/healthz").json()["status"] == "ok"
        assert (place / "logs" / "web-2.log").exists()


def test_taken_port_is_said(place):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        run = running.check(place, "--port", str(port))
    assert f"Port {port} is taken." in run.stderr


def test_jobs_survive_the_death_of_every_process_but_the_supervisor(place):
    """One start for several stories: starting takes seconds."""
    with Installation(place) as here:
        run = running.check(place, "--check")
        assert f"already runs with this data folder: http://127.0.0.1:{here.port}" in run.stderr

        here.tell_engine(**LONG)
        job_id = here.open_sample()
        here.wait_for_stage(job_id, "SEARCH")
        engine = here.child("fake_engine.py", "SEARCH")
        here.child("celery", "--queues engine").kill()
        here.wait_for_state(job_id, "done", 60)
        assert not engine.is_running()
        assert here.stages_run(job_id) == ["INSPECT", "PROBE", "SEARCH", "SEARCH", "VALIDATE"]
        assert events_are_gap_free(here, job_id)

        other_id = here.open_sample("motion")
        here.wait_for_stage(other_id, "SEARCH")
        here.child("fake_engine.py", "SEARCH").parent().kill()
        here.child("uvicorn").kill()
        here.child("valkey").kill()
        running.wait_for(lambda: is_up(here), 30)
        here.wait_for_state(other_id, "done", 60)
        assert events_are_gap_free(here, other_id)
        assert here.call("GET", "/api/status")["worker"]["state"] == "ready"


def test_jobs_survive_a_stop_and_the_death_of_the_supervisor(place):
    with Installation(place) as first:
        first.tell_engine(SEARCH={"sleep_s": 60})
        job_id = first.open_sample()
        first.wait_for_stage(job_id, "SEARCH")
        started = time.monotonic()
    assert time.monotonic() - started < 15
    with Installation(place) as second:
        running.wait_for(lambda: second.stages_run(job_id).count("SEARCH") == 2, 30)
        family = second.family()
        os.kill(second.process.pid, signal.SIGKILL)
        second.process.wait()
        running.assert_all_gone(family)
        second.tell_engine()
    with Installation(place) as third:
        third.wait_for_state(job_id, "done", 60)
        assert third.stages_run(job_id).count("PROBE") == 1
        assert events_are_gap_free(third, job_id)


def test_two_workers_share_a_stage_and_one_that_is_killed_costs_its_part_alone(place):
    with Installation(place, workers=2) as here:
        here.tell_engine(PROBE={"part_s": 2}, VALIDATE={"part_s": 0.5})
        job_id = here.open_sample()
        running.wait_for(lambda: len(here.parts_run(job_id, "PROBE")) == 2, 30)
        lost, engine = here.parts_run(job_id, "PROBE")[1]
        psutil.Process(engine).parent().kill()
        here.wait_for_state(job_id, "done", 60)
        labels = [label for label, _ in here.parts_run(job_id, "PROBE")]
        assert sorted(labels) == sorted([*PROBE_PARTS, lost])
        assert here.stages_run(job_id).count("INSPECT") == 1
        assert len({pid for _, pid in here.parts_run(job_id, "VALIDATE")}) == 2
        assert events_are_gap_free(here, job_id)


def is_up(here):
    try:
        return here.call("GET", "/healthz")["status"] == "ok"
    except OSError:
        return False
