import pytest

from tests.webapp import making
from tests.webapp.fake_engine import noted
from tests.webapp.running import Installation
from tests.webapp.test_jobs import in_background, log_of, runs, wait_for
from webapp.jobs import lease, services, tasks
from webapp.jobs.models import Job, JobPart, JobState, PartState
from webapp.jobs.runner import StagePausedError
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)


def state_of(job):
    job.refresh_from_db()
    return job.state


def through_inspect(user):
    job = making.study(user)
    tasks.run(str(job.id))
    job.refresh_from_db()
    return job


def test_running_job_frees_its_worker_and_goes_on_at_the_stage_it_was_in(
    user, engine, work_off
):
    engine(SEARCH={"sleep_s": 30})
    job = through_inspect(user)
    thread = in_background(job)
    wait_for(lambda: "SEARCH" in runs(job))
    services.job_pause(job=job)
    thread.join(3)
    assert not thread.is_alive()
    assert state_of(job) == JobState.PAUSED
    assert (job.worker, job.finished, job.pause_requested) == ("", None, False)
    assert log_of(job)[-1] == "Paused on request at Search. What was finished is kept."
    work_off()
    assert state_of(job) == JobState.PAUSED  # nobody takes it meanwhile
    engine()
    services.job_resume(job=job)
    work_off()
    assert state_of(job) == JobState.DONE
    assert runs(job) == ["INSPECT", "PROBE", "SEARCH", "SEARCH", "VALIDATE"]


def test_parts_that_are_done_are_not_done_again(user, engine, work_off):
    engine(PROBE={"part_s": 0.6})
    job = through_inspect(user)
    thread = in_background(job)
    done = JobPart.objects.filter(job=job, stage="PROBE", state=PartState.DONE)
    wait_for(lambda: done.count() == 2)
    services.job_pause(job=job)
    thread.join(3)
    assert state_of(job) == JobState.PAUSED
    assert not JobPart.objects.filter(job=job, state=PartState.RUNNING).exists()
    kept = set(done.values_list("number", flat=True))
    services.job_resume(job=job)
    work_off()
    assert state_of(job) == JobState.DONE
    begun = [label for stage, label, _ in noted(job.folder, "part") if stage == "PROBE"]
    assert all(begun.count(f"{number}/4") == 1 for number in kept)


def test_waiting_job_rests_at_once(user, work_off):
    job = making.study(user)
    services.job_pause(job=job)
    assert state_of(job) == JobState.PAUSED
    assert lease.claim(job.id) is None
    services.job_resume(job=job)
    work_off()
    assert state_of(job) == JobState.DONE


def test_pause_and_resume_in_one_breath_change_nothing(user):
    job = making.study(user)
    held = lease.claim(job.id)
    services.job_pause(job=job)
    assert held.stop_requested() == lease.Stop.PAUSE
    services.job_resume(job=job)
    assert held.stop_requested() is None
    assert state_of(job) == JobState.RUNNING


def ask_nothing_more(job):
    pass


@pytest.mark.parametrize(
    ("ask", "state"),
    [
        (ask_nothing_more, JobState.PAUSED),
        (services.job_resume, JobState.QUEUED),
        (services.job_cancel, JobState.CANCELLED),
    ],
)
def test_what_is_asked_while_the_engine_stops_holds(user, monkeypatch, ask, state):
    job, sent = making.study(user), []

    def stopping_engine(*_):
        services.job_pause(job=job)
        ask(job=job)
        raise StagePausedError

    monkeypatch.setattr(tasks, "run_stage", stopping_engine)
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, queue: sent.append(args[0]))
    tasks.run(str(job.id))
    assert state_of(job) == state
    assert job.worker == ""
    assert sent == ([str(job.id)] if state == JobState.QUEUED else [])


@pytest.mark.parametrize("waits", [JobState.QUEUED, JobState.PAUSED])
@pytest.mark.parametrize(
    ("wish", "state"),
    [("pause_requested", JobState.PAUSED), ("cancel_requested", JobState.CANCELLED)],
)
def test_wish_of_a_waiting_job_outlives_the_process_that_noted_it(user, waits, wish, state):
    job = making.study(user)
    Job.objects.filter(pk=job.pk).update(state=waits, **{wish: True})
    services.jobs_reap()
    assert state_of(job) == state
    assert not job.pause_requested


def hand_over(_job, held):
    held.hand_over()


def lose(job, _held):
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    services.jobs_reap()


def stop_in_order(_job, _held):
    lease.release_all_here()


@pytest.mark.parametrize("give_up", [hand_over, lose, stop_in_order])
@pytest.mark.parametrize(
    ("ask", "state"),
    [(services.job_pause, JobState.PAUSED), (services.job_cancel, JobState.CANCELLED)],
)
def test_what_was_asked_holds_when_the_job_changes_hands(user, ask, state, give_up):
    """Between two queues, after a lost worker, at an orderly stop: nobody would claim it any more."""
    job = making.study(user)
    held = lease.claim(job.id)
    ask(job=job)
    give_up(job, held)
    assert state_of(job) == state


def test_paused_job_can_be_cancelled_but_not_retried(user):
    job = making.study(user)
    services.job_pause(job=job)
    with pytest.raises(RequestRefusedError):
        services.job_retry(job=job)
    services.job_cancel(job=job)
    assert state_of(job) == JobState.CANCELLED
    for refused in (services.job_pause, services.job_resume):
        with pytest.raises(RequestRefusedError):
            refused(job=job)


def test_build_waits_for_a_paused_study(user, monkeypatch):
    project = making.project(user)
    build = making.build(user, project)
    services.job_pause(job=project.study.job)
    sent = []
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, queue: sent.append(args[0]))
    services.jobs_send_waiting()
    assert sent == []
    services.job_resume(job=project.study.job)
    assert sent == [str(project.study.job.id)]
    assert state_of(build) == JobState.QUEUED


def test_pause_and_resume_over_http(client, user, stranger):
    job = making.study(user)
    paused = client.post(f"/api/jobs/{job.id}/pause").json()
    assert (paused["state"], paused["eta"]) == ("paused", None)
    for _ in range(2):  # a second click does no harm
        assert client.post(f"/api/jobs/{job.id}/resume").json()["state"] == "queued"
    theirs = making.study(stranger)
    assert client.post(f"/api/jobs/{theirs.id}/pause").status_code == 404


@pytest.mark.timeout(120)
def test_real_worker_is_free_while_a_job_rests(tmp_path):
    with Installation(tmp_path / "home") as here:
        here.tell_engine(SEARCH={"sleep_s": 30})
        first = here.open_sample("digits")
        here.wait_for_stage(first, "SEARCH")
        here.call("POST", f"/api/jobs/{first}/pause", {})
        here.wait_for_state(first, "paused", 5)
        here.tell_engine()
        second = here.open_sample("motion")
        here.wait_for_state(second, "done")
        assert here.job(first)["state"] == "paused"
        here.call("POST", f"/api/jobs/{first}/resume", {})
        here.wait_for_state(first, "done")
        assert here.stages_run(first) == ["INSPECT", "PROBE", "SEARCH", "SEARCH", "VALIDATE"]
