"""Of jobs that wait, whose is next: nobody waits for all jobs of another."""

import pytest
import redis
from kombu.exceptions import OperationalError

from tests.webapp import making
from webapp.addresses import celery_broker
from webapp.celery import app
from webapp.jobs import lease, queries, services, tasks
from webapp.jobs.models import Job, JobState
from webapp.jobs.turns import waiting_in_turn

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def sent(monkeypatch):
    """Messages that wait: queue and job."""
    sent = []
    monkeypatch.setattr(
        tasks.run, "apply_async", lambda args, queue: sent.append((queue, *args))
    )
    return sent


def queued(owner, count, first_seed):
    return [making.project(owner, seed=first_seed + n).study.job for n in range(count)]


def in_turn():
    return [job.pk for job, _ in waiting_in_turn()]


def deliver(queue, job):
    tasks.run.apply((str(job),), routing_key=queue)


def test_one_persons_jobs_come_in_their_order(user):
    jobs = queued(user, 3, 0)
    assert in_turn() == [job.pk for job in jobs]


def test_person_with_nothing_at_work_comes_first(user, stranger):
    many = queued(user, 4, 0)
    (late,) = queued(stranger, 1, 10)
    assert in_turn()[-1] == late.pk
    lease.claim(many[0].pk)
    assert in_turn() == [late.pk, *(job.pk for job in many[1:])]
    lease.claim(late.pk)
    assert in_turn() == [job.pk for job in many[1:]]


def test_page_counts_the_jobs_before_ones_own_turn(user, stranger):
    many = queued(user, 3, 0)
    (late,) = queued(stranger, 1, 10)
    lease.claim(many[0].pk)
    waiting = {job: queries.queue_position(Job.objects.get(pk=job.pk)) for job in (late, *many)}
    assert list(waiting.values()) == [0, None, 1, 2]
    build = making.build(stranger, Job.objects.get(pk=late.pk).project)
    assert queries.queue_position(build) == 3


def test_build_has_no_turn_before_its_study_is_done(user, study_folder):
    found = making.project(user)
    build = making.build(user, found)
    assert in_turn() == [found.study.job.pk]
    Job.objects.filter(pk=found.study.job.pk).update(state=JobState.DONE)
    assert in_turn() == [build.pk]


def test_every_message_brings_one_job_on(user, stranger, sent):
    """Those of a person who waits long are taken by others' jobs, and theirs by the person's."""
    jobs = [*queued(user, 3, 0), *queued(stranger, 1, 10)]
    held = lease.claim(jobs[0].pk)  # at work elsewhere
    for job in jobs[1:]:
        deliver("quick", job.pk)
    held.hand_over()
    deliver("quick", jobs[0].pk)
    inspected = [pk for queue, pk in sent if queue == "engine"]
    assert inspected == [str(job.pk) for job in (jobs[3], *jobs[1:3], jobs[0])]
    for pk in inspected:
        deliver("engine", pk)
    assert set(Job.objects.values_list("state", flat=True)) == {JobState.DONE}


def test_worker_takes_what_waits_in_its_own_queue(user, sent):
    first, second = queued(user, 2, 0)
    deliver("quick", first.pk)
    deliver("engine", second.pk)
    rows = dict(Job.objects.values_list("pk", "state"))
    assert rows == {first.pk: JobState.DONE, second.pk: JobState.QUEUED}


def test_message_that_went_astray_still_brings_its_job_on(user, sent):
    (job,) = queued(user, 1, 0)
    deliver("engine", job.pk)
    assert sent[-1] == ("engine", str(job.pk))


def test_job_that_no_broker_takes_waits_until_one_does(user, sent, monkeypatch):
    def refuse(*_args, **_options):
        raise OperationalError("MISCONF No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(tasks.run, "apply_async", refuse)
        (job,) = queued(user, 1, 0)
        services.jobs_reap()
    job.refresh_from_db()
    assert (job.state, sent) == (JobState.QUEUED, [])
    services.jobs_send_waiting()
    assert sent == [("quick", str(job.pk))]


def test_round_ends_with_the_first_message_that_no_broker_takes(
    user, sent, monkeypatch, caplog
):
    lost, *_ = queued(user, 4, 0)
    lease.claim(lost.pk)
    Job.objects.update(sent="2020-01-01T00:00:00Z", heartbeat="2020-01-01T00:00:00Z")
    tried = []

    def refuse(args, **_options):
        tried.append(args)
        raise OperationalError("Connection refused.")

    monkeypatch.setattr(tasks.run, "apply_async", refuse)
    services.jobs_reap()
    services.jobs_send_waiting()
    assert len(tried) == 2
    assert caplog.text.count("The broker does not take a message") == 2
    lost.refresh_from_db()
    assert lost.state == JobState.QUEUED


def test_job_is_sent_again_only_where_no_message_waits(user, sent, real_broker):
    waiting = queued(user, 2, 0)
    first = list(sent)
    Job.objects.update(sent="2020-01-01T00:00:00Z")
    with app.connection_for_write(celery_broker(real_broker)) as connection:
        app.send_task("jobs.run", (str(waiting[0].pk),), queue="quick", connection=connection)
    services.jobs_reap()
    assert sent == first
    redis.Redis.from_url(real_broker).flushall()
    services.jobs_reap()
    assert sent == first * 2
    services.jobs_reap()
    assert sent == first * 2
