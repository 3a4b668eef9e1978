"""Two machines with a network between them, and one of them cut off in the middle."""

import sys

import pytest

from tests.hosts import machines
from tests.hosts.machines import FAKE_ENGINE, Machine, Shared, wait_for
from tests.webapp.fake_engine import noted

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(machines.why_not()), reason=machines.why_not() or "possible here"),
]

QUICKLY = {
    "ENGINE_COMMAND": f"{sys.executable},{FAKE_ENGINE}",
    "LEASE_HEARTBEAT_S": "1",
    "LEASE_LOST_S": "5",
}


@pytest.fixture
def shared(tmp_path, study_folder):
    with Shared(tmp_path, study_folder) as shared:
        yield shared


def open_sample(main):
    project = main.call("POST", "/api/samples/digits/open", {})
    return project["id"], main.call("GET", f"/api/projects/{project['id']}")["job"]["id"]


def wait_for_state(main, job_id, state, seconds=90):
    wait_for(lambda: main.job(job_id)["state"] == state, seconds)


def worker_of(shared, job_id):
    return shared.cluster.sql(f"SELECT worker FROM jobs_job WHERE id = '{job_id}'")


def did_parts(machine, job_id):
    return bool(noted(machine.home / "jobs" / job_id, "part"))


def test_machines_work_together_and_one_is_cut_off(shared):
    up = ("up", "--workers", "0", "--web-processes", "2")
    worker = ("worker", "--queues", "cpu")
    with (
        Machine(shared, 1, up, **QUICKLY) as main,
        Machine(shared, 2, worker, **QUICKLY) as first,
        Machine(shared, 3, worker, **QUICKLY) as second,
    ):
        for machine in (main, first, second):
            machine.tell_engine(PROBE={"part_s": 1}, SEARCH={"sleep_s": 8})
        project, job = open_sample(main)
        wait_for(lambda: main.job(job)["stage"] == "SEARCH", 60)
        assert did_parts(first, job)
        assert did_parts(second, job)
        holder = first if worker_of(shared, job).startswith(first.host()) else second
        other = second if holder is first else first
        holder.cut()
        wait_for_state(main, job, "done")
        assert worker_of(shared, job).startswith(other.host())
        text = str(main.call("GET", f"/api/jobs/{job}/events"))
        assert "The worker restarted; the job went on from Search." in text
        holder.mend()
        other.cut()  # what was cut off before is of use again
        build = main.call("POST", f"/api/projects/{project}/builds", {})["job"]
        wait_for_state(main, build, "done", 120)
        other.mend()
        assert main.fetch("GET", f"/jobs/{build}/files/model.onnx") == b"a small network"
        seqs = [
            event["seq"] for event in main.call("GET", f"/api/jobs/{build}/events")["events"]
        ]
        assert seqs == list(range(1, len(seqs) + 1))
        main.call("DELETE", f"/api/projects/{project}")
        wait_for(lambda: not shared.keys(), 60)


def stages_run(machine, job_id):
    return [stage for stage, _ in noted(machine.home / "jobs" / job_id, "run")]


@pytest.mark.timeout(600)
def test_graphics_card_takes_fine_tuning_until_it_is_gone(shared):
    with (
        Machine(shared, 1, ("up", "--workers", "1"), **QUICKLY) as main,
        Machine(shared, 2, ("worker", "--queues", "gpu"), **QUICKLY) as card,
    ):
        project, job = open_sample(main)
        wait_for_state(main, job, "done")
        page = main.fetch("GET", "/status/").decode()
        assert card.host() in page
        assert "<td>gpu</td>" in page
        first = main.call("POST", f"/api/projects/{project}/builds", {})["job"]
        wait_for_state(main, first, "done")
        assert stages_run(card, first) == ["RECOVER"]
        assert stages_run(main, first)[0] == "EXPORT"
        card.tell_engine(RECOVER={"sleep_s": 60})
        second = main.call("POST", f"/api/projects/{project}/builds", {"again": True})["job"]
        wait_for(lambda: stages_run(card, second) == ["RECOVER"], 60)
        card.cut()
        try:
            wait_for_state(main, second, "done", 180)
        finally:
            card.mend()  # cut off it takes its time to stop
        assert stages_run(main, second)[:2] == ["RECOVER", "EXPORT"]
        text = str(main.call("GET", f"/api/jobs/{second}/events"))
        assert "The worker restarted; the job went on from Recover." in text


def test_worker_without_what_it_shares_says_what_is_missing(shared, tmp_path):
    machine = Machine(shared, 1, ("worker", "--queues", "cpu"), STORAGE_URL="")
    with pytest.raises(AssertionError, match="A worker on another machine needs STORAGE_URL"):
        machine.__enter__()


def test_worker_before_the_main_machine_says_so(shared):
    machine = Machine(shared, 1, ("worker", "--queues", "cpu,gpu"))
    with pytest.raises(AssertionError, match="of another version of AdaDeep"):
        machine.__enter__()
