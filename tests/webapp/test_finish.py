"""A job that is told to finish ends soon, with the best that it has found."""

import time

import pytest

from tests.webapp import making
from tests.webapp.fake_engine import noted
from tests.webapp.test_jobs import in_background, log_of, runs, wait_for
from webapp.jobs import lease, services, tasks
from webapp.jobs.models import Job, JobState
from webapp.responses import RequestRefusedError

pytestmark = pytest.mark.django_db(transaction=True)


def state_of(job):
    job.refresh_from_db()
    return job.state


def at_stage(user, engine, stage, kind="study"):
    """A running job whose engine is at that stage, for as long as nobody tells it to finish."""
    project = making.project(user)
    if kind == "build":
        for _ in range(2):
            tasks.run(str(project.study.job.id))
    engine(**{stage: {"sleep_s": 30, "part_s": 30}})
    job = making.build(user, project) if kind == "build" else project.study.job
    if kind == "study":
        tasks.run(str(job.id))
    thread = in_background(job)
    wait_for(lambda: stage in runs(job))
    wait_for(lambda: Job.objects.get(pk=job.pk).stage == stage)
    return job, thread


@pytest.mark.parametrize(
    ("stage", "kind"), [("SEARCH", "study"), ("VALIDATE", "study"), ("RECOVER", "build")]
)
def test_running_job_ends_soon_and_delivers(user, engine, stage, kind):
    job, thread = at_stage(user, engine, stage, kind)
    services.job_finish(job=job)
    thread.join(12)
    assert not thread.is_alive()
    assert state_of(job) == JobState.DONE
    assert job.finish_requested
    assert ["finish", stage] in [row[:2] for row in told(job)]
    assert "Told to finish with the best so far." in log_of(job)


def told(job):
    return [["finish", *row] for row in noted(job.folder, "finish")]


def test_stages_that_follow_are_told_too(user, engine, work_off):
    job, thread = at_stage(user, engine, "SEARCH")
    engine(SEARCH={"sleep_s": 30}, VALIDATE={"part_s": 30})
    services.job_finish(job=job)
    thread.join(12)
    assert state_of(job) == JobState.DONE
    assert {row[1] for row in told(job)} >= {"SEARCH", "VALIDATE"}


def test_paused_job_goes_on_to_finish(user, engine, work_off):
    job, thread = at_stage(user, engine, "SEARCH")
    services.job_pause(job=job)
    thread.join(3)
    assert state_of(job) == JobState.PAUSED
    services.job_finish(job=job)
    assert state_of(job) == JobState.QUEUED
    started = time.monotonic()
    work_off()
    assert state_of(job) == JobState.DONE
    assert time.monotonic() - started < 25


def test_a_lost_worker_changes_nothing_about_the_wish(user, engine):
    job = making.study(user)
    Job.objects.filter(pk=job.pk).update(stage="SEARCH")
    held = lease.claim(job.id)
    services.job_finish(job=job)
    assert held.stop_requested() == lease.Stop.FINISH
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    services.jobs_reap()
    assert state_of(job) == JobState.QUEUED
    assert lease.claim(job.id).stop_requested() == lease.Stop.FINISH


def test_cancel_and_pause_come_before_it(user):
    job = making.study(user)
    Job.objects.filter(pk=job.pk).update(stage="SEARCH")
    held = lease.claim(job.id)
    services.job_finish(job=job)
    services.job_pause(job=job)
    assert held.stop_requested() == lease.Stop.PAUSE
    services.job_cancel(job=job)
    assert held.stop_requested() == lease.Stop.CANCEL


@pytest.mark.parametrize(
    ("stage", "state", "message"),
    [
        ("", JobState.QUEUED, "Nothing is found yet that could be kept."),
        ("PROBE", JobState.RUNNING, "Nothing is found yet that could be kept."),
        ("EXPORT", JobState.RUNNING, "The best network is being written already"),
        ("VALIDATE", JobState.DONE, "This job has ended"),
    ],
)
def test_where_there_is_nothing_to_keep_it_is_refused_and_said_why(user, stage, state, message):
    job = making.study(user)
    Job.objects.filter(pk=job.pk).update(stage=stage, state=state)
    job.refresh_from_db()
    with pytest.raises(RequestRefusedError, match=message):
        services.job_finish(job=job)
    assert not Job.objects.get(pk=job.pk).finish_requested


def test_finish_over_http(client, user, stranger):
    job = making.study(user)
    Job.objects.filter(pk=job.pk).update(stage="SEARCH")
    assert client.get(f"/api/jobs/{job.id}").json()["can_finish"]
    for _ in range(2):  # a second click does no harm
        answer = client.post(f"/api/jobs/{job.id}/finish").json()
        assert (answer["finish_requested"], answer["can_finish"]) == (True, False)
    theirs = making.study(stranger)
    assert client.post(f"/api/jobs/{theirs.id}/finish").status_code == 404
