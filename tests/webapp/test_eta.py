"""How long a job still takes, by its own pace and by what jobs took before."""

from datetime import timedelta

import pytest
from django.utils import timezone

from tests.webapp import making
from webapp.jobs.eta import (
    FIRST_GUESS_S,
    HIGH,
    LOW,
    remaining_seconds,
    starts_in_seconds,
)
from webapp.jobs.models import Job, JobState

pytestmark = pytest.mark.django_db(transaction=True)

BUILD = ("RECOVER", "EXPORT", "MEASURE", "PACKAGE")


def expected_s(job):
    """The middle of the range."""
    found = remaining_seconds(job)
    assert found["low_s"] / LOW == pytest.approx(found["high_s"] / HIGH, rel=0.02)
    return found["low_s"] / LOW


def at(job, stage, done, started_s_ago=0.0):
    """The job in a stage that began so long ago, with what earlier ones took."""
    job.state, job.stage = JobState.RUNNING, stage
    job.stages = {name: {"state": "done", "seconds": seconds} for name, seconds in done.items()}
    began = timezone.now() - timedelta(seconds=started_s_ago)
    job.stages[stage] = {"state": "running", "started": began.isoformat()}
    job.save()
    return job


def ended(job, seconds):
    """The job as one that took so long."""
    stages = {name: {"state": "done", "seconds": each} for name, each in seconds.items()}
    Job.objects.filter(pk=job.pk).update(
        state=JobState.DONE, stages=stages, finished=timezone.now()
    )


@pytest.fixture
def study(user):
    return making.study(user)


def test_first_guess_is_what_the_sample_takes(study):
    stages = ("INSPECT", "PROBE", "SEARCH", "VALIDATE")
    guess = sum(FIRST_GUESS_S[stage] for stage in stages)
    assert expected_s(study) == pytest.approx(guess, rel=0.01)


@pytest.mark.parametrize("times", [0.5, 10])
def test_network_ten_times_as_large_is_told_so_by_its_first_stages(study, times):
    took = {stage: times * FIRST_GUESS_S[stage] for stage in ("INSPECT", "PROBE")}
    left = FIRST_GUESS_S["SEARCH"] + FIRST_GUESS_S["VALIDATE"]
    assert expected_s(at(study, "SEARCH", took)) == pytest.approx(times * left, rel=0.01)


def test_stage_that_tells_nothing_runs_down(study):
    took = {"INSPECT": FIRST_GUESS_S["INSPECT"]}
    whole = expected_s(at(study, "PROBE", took))
    later = expected_s(at(study, "PROBE", took, started_s_ago=0.6 * FIRST_GUESS_S["PROBE"]))
    overdue = expected_s(at(study, "PROBE", took, started_s_ago=1000))
    assert whole - later == pytest.approx(0.6 * FIRST_GUESS_S["PROBE"], abs=2)
    assert whole - overdue == pytest.approx(0.9 * FIRST_GUESS_S["PROBE"], abs=2)


def test_builds_of_the_same_study_know_best(user, study_folder):
    project = making.studied(user, study_folder)
    here, job = making.build(user, project), making.build(user, project)
    other = making.build(user, making.project(user, seed=1))
    job.state = JobState.RUNNING
    job.save()
    ended(other, dict.fromkeys(BUILD, 100.0))
    assert expected_s(job) == pytest.approx(400, rel=0.01)
    ended(here, dict.fromkeys(BUILD, 3.0))
    assert expected_s(job) == pytest.approx(12, rel=0.01)


def test_waiting_job_counts_those_before_it(user):
    first, second, third = (making.project(user, seed=seed).study.job for seed in (1, 2, 3))
    whole = sum(FIRST_GUESS_S[stage] for stage in ("INSPECT", "PROBE", "SEARCH", "VALIDATE"))
    assert expected_s(second) == pytest.approx(2 * whole, rel=0.01)
    at(first, "VALIDATE", dict.fromkeys(("INSPECT", "PROBE", "SEARCH"), 1.0))
    at(second, "VALIDATE", dict.fromkeys(("INSPECT", "PROBE", "SEARCH"), 1.0))
    one = expected_s(first)
    # Two work at once, so the third waits as long as one of them still takes.
    assert expected_s(third) == pytest.approx(one + whole, rel=0.05)
    assert starts_in_seconds(third)["low_s"] == pytest.approx(LOW * one, abs=0.5)
    assert starts_in_seconds(first) is None


def test_job_waits_for_those_whose_turn_comes_first(user, django_user_model):
    busy = [making.project(user, seed=seed).study.job for seed in (1, 2, 3)]
    at(busy[0], "VALIDATE", dict.fromkeys(("INSPECT", "PROBE", "SEARCH"), 1.0))
    other = django_user_model.objects.create_user("other")
    late = making.project(other, seed=4).study.job
    # Asked last, but of one who has nothing at work: only what runs is before it.
    assert starts_in_seconds(late)["low_s"] == pytest.approx(LOW * expected_s(busy[0]), abs=0.5)
    assert starts_in_seconds(busy[1])["low_s"] > 2 * starts_in_seconds(late)["low_s"]
