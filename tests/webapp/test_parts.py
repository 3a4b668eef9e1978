import threading
import time

import psutil
import pytest
from django.db import connections
from kombu.exceptions import OperationalError

from tests.webapp import making
from tests.webapp.fake_engine import PLAN, noted
from webapp.jobs import lease, part_lease, services, shift, tasks, workers
from webapp.jobs.models import Job, JobPart, JobState, PartState
from webapp.supervision import parts

pytestmark = pytest.mark.django_db(transaction=True)

PARTS = [f"{number}/4" for number in range(1, 5)]


@pytest.fixture
def sent(monkeypatch):
    """The helpers that were called for, as ``(job, stage)``."""
    calls = []
    monkeypatch.setattr(
        tasks.help_out, "apply_async", lambda args, queue: calls.append((*args, queue))
    )
    return calls


@pytest.fixture
def job(user, sent):
    """A study that is through INSPECT."""
    job = making.study(user)
    tasks.run(str(job.id))
    job.refresh_from_db()
    return job


def done_parts(job, stage="PROBE"):
    """The parts that engines began, in order, each with its process."""
    return [(label, int(pid)) for of, label, pid in noted(job.folder, "part") if of == stage]


def in_background(work, *arguments):
    def run():
        work(*arguments)
        connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def wait_for(condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_alone_a_worker_does_all_parts_in_one_process(job, sent):
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert job.state == JobState.DONE
    labels, processes = zip(*done_parts(job), strict=True)
    assert list(labels) == PARTS
    assert len(set(processes)) == 1
    stages = [stage for _, stage, _ in sent]
    assert stages == ["PROBE"] * 2 + ["VALIDATE"]
    assert set(job.parts.values_list("state", flat=True)) == {PartState.DONE}


def test_machine_with_a_graphics_card_helps_to_validate(job, sent, real_broker):
    workers.sign_of_life("gpu")
    sent.clear()
    tasks.run(str(job.id))
    called = [(stage, queue) for _, stage, queue in sent]
    assert called == [("PROBE", "engine")] * 2 + [("VALIDATE", "engine"), ("VALIDATE", "gpu")]


def test_without_a_broker_a_worker_does_all_parts_alone(job, monkeypatch, caplog):
    def refuse(*_args, **_options):
        tries.append(1)
        raise OperationalError("Connection refused")

    tries = []
    monkeypatch.setattr(tasks.help_out, "apply_async", refuse)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert [label for label, _ in done_parts(job)] == PARTS
    # Each try takes the broker's time limit: one a stage, not one a helper.
    assert len(tries) == 2
    assert "calls no helpers for PROBE: Connection refused" in caplog.text


def test_a_helper_shares_the_parts_and_each_is_done_once(job, engine):
    engine(PROBE={"part_s": 0.4})
    lead = in_background(tasks.run, str(job.id))
    wait_for(lambda: done_parts(job))
    helper = in_background(tasks.help_out, str(job.id), "PROBE")
    helper.join(20)
    lead.join(20)
    job.refresh_from_db()
    assert job.state == JobState.DONE
    labels, processes = zip(*done_parts(job), strict=True)
    assert sorted(labels) == PARTS
    assert len(set(processes)) == 2
    numbers = list(job.events.values_list("seq", flat=True))
    assert numbers == list(range(1, job.last_seq + 1))
    said = [event.data["text"] for event in job.events.filter(stage="PROBE", kind="log")]
    assert {f"part {label} begins" for label in PARTS} <= set(said)


def test_a_part_waits_for_those_that_it_learns_from(job):
    lease.claim(job.id)
    plan(job)
    held = [part_lease.claim_part(job.id, "PROBE", is_lead=False) for _ in range(4)]
    assert [part.label if part else None for part in held] == [*PARTS[:3], None]
    for part in held[:3]:
        part.finish()
    assert part_lease.claim_part(job.id, "PROBE", is_lead=False).label == "4/4"


def test_parts_apart_wait_for_each_other_alone(job):
    """1, 4 and 5 are a round, then 6; beside them 2, and then 3."""
    lease.claim(job.id)
    plan(job, apart=(1, 1), apart_from=2)

    def claimed():
        return part_lease.claim_part(job.id, "PROBE", is_lead=False)

    begun = [claimed() for _ in range(4)]
    assert [part.label for part in begun] == ["1/6", "2/6", "4/6", "5/6"]
    assert claimed() is None
    for part in (begun[0], *begun[2:]):
        part.finish()
    assert claimed().label == "6/6"
    assert claimed() is None
    begun[1].finish()
    assert claimed().label == "3/6"


def test_parts_apart_are_done_by_the_machine_of_the_jobs_own_worker(job):
    """They measure times of one computer, which are not those of another."""
    lease.claim(job.id)
    plan(job, apart=(1,), apart_from=1)
    Job.objects.filter(pk=job.pk).update(worker="another-host:1:0.0")
    assert part_lease.claim_part(job.id, "PROBE", is_lead=False).label == "2/5"
    assert part_lease.claim_part(job.id, "PROBE", is_lead=True).label == "1/5"


def plan(job, **apart):
    from compression.types import Stage
    from selector.plan import Rounds

    part_lease.plan_parts(job, Stage.PROBE, Rounds(tuple(PLAN["PROBE"]["rounds"]), **apart))


def test_second_delivery_of_help_changes_nothing(job):
    tasks.run(str(job.id))
    before = len(done_parts(job))
    tasks.help_out(str(job.id), "PROBE")
    tasks.help_out(str(job.id), "VALIDATE")
    assert len(done_parts(job)) == before


def test_only_one_claim_of_a_part_wins(job):
    lease.claim(job.id)
    plan(job)
    labels = [part_lease.claim_part(job.id, "PROBE", is_lead=False).label for _ in range(2)]
    assert labels == PARTS[:2]


def test_a_lost_part_is_done_again_and_nothing_else(job, engine):
    """A helper's engine and its worker are gone in the middle of a part: only the part is lost."""
    lease.claim(job.id)
    plan(job)
    lost = part_lease.claim_part(job.id, "PROBE", is_lead=False)
    JobPart.objects.filter(pk=lost.part_id).update(
        worker="another-host:1:0.0", heartbeat="2020-01-01T00:00:00Z"
    )
    services.jobs_reap()
    again = part_lease.claim_part(job.id, "PROBE", is_lead=False)
    assert (again.label, again.attempt) == (lost.label, lost.attempt + 2)
    with pytest.raises(lease.LeaseLostError):
        lost.finish()
    with pytest.raises(lease.LeaseLostError):
        lost.beat()
    assert not lost.rows.exists()
    lost.give_back()
    again.beat()
    said = [event.data["text"] for event in job.events.filter(kind="log")]
    assert "A worker was lost; part 1 of 4 is done again, nothing else." in said
    assert JobPart.objects.get(pk=again.part_id).lost == 1


def test_a_part_that_costs_workers_is_left_to_the_lead(job):
    lease.claim(job.id)
    plan(job)
    JobPart.objects.filter(job=job, number=1).update(lost=part_lease.LEFT_TO_THE_LEAD)
    assert part_lease.claim_part(job.id, "PROBE", is_lead=False).label == "2/4"
    assert part_lease.claim_part(job.id, "PROBE", is_lead=True).label == "1/4"


def test_parts_go_on_when_the_leads_worker_is_lost(job, engine):
    engine(PROBE={"part_s": 0.5})
    claimed = lease.claim(job.id)
    claimed.write(stage="PROBE")
    plan(job)
    helper = in_background(tasks.help_out, str(job.id), "PROBE")
    wait_for(lambda: done_parts(job))
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    services.jobs_reap()
    helper.join(20)
    assert sorted({label for label, _ in done_parts(job)}) == PARTS
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.DONE, 1)
    assert sorted(label for label, _ in done_parts(job)) == PARTS


def test_cancel_ends_every_part_within_a_second(job, engine):
    engine(PROBE={"part_s": 30, "deaf": True})
    lead = in_background(tasks.run, str(job.id))
    wait_for(lambda: len(done_parts(job)) == 1)
    helper = in_background(tasks.help_out, str(job.id), "PROBE")
    wait_for(lambda: len(done_parts(job)) == 2)
    started = time.monotonic()
    services.job_cancel(job=job)
    lead.join(5)
    helper.join(5)
    assert time.monotonic() - started < 1.6
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert not any(psutil.pid_exists(pid) for _, pid in done_parts(job))
    assert set(job.parts.values_list("state", flat=True)) == {PartState.WAITING}


def test_retry_goes_on_with_the_parts_that_are_left(job, engine):
    code = "sys.exit(1) if order == '3/4' else None"
    engine(PROBE={"code": code})
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    engine()
    services.job_retry(job=job)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert [label for label, _ in done_parts(job)] == [*PARTS[:3], *PARTS[2:]]


def test_a_helper_that_fails_leaves_its_part_to_the_lead(job, engine):
    code = "sys.exit(1) if order == '2/4' and len(list(folder.glob('tmp-*'))) > 1 else None"
    engine(PROBE={"part_s": 0.5, "code": code})
    lead = in_background(tasks.run, str(job.id))
    wait_for(lambda: done_parts(job))
    helper = in_background(tasks.help_out, str(job.id), "PROBE")
    helper.join(20)
    lead.join(20)
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert [label for label, _ in done_parts(job)].count("2/4") == 2


def test_nobody_helps_with_a_stage_that_is_over(job):
    assert shift.helper(job, "PROBE") is None
    tasks.help_out(str(job.id), "PROBE")
    assert done_parts(job) == []


def test_engines_side_by_side_share_the_cores(monkeypatch, settings):
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    settings.ENGINE_THREADS = 6
    threads = [parts.environment(workers)["ENGINE_THREADS"] for workers in (1, 2, 20)]
    assert threads == ["6", "4", "1"]
