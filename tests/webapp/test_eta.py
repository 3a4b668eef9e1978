"""How long a job still takes, by its own pace and by what jobs took before."""

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from selector.plan import expected_recoveries
from tests.webapp import making
from webapp.jobs.eta import (
    CANDIDATE,
    CONVERTER_S,
    FIRST_GUESS_S,
    HIGH,
    LOW,
    first_guess_s,
    remaining_seconds,
    stages_left,
    starts_in_seconds,
    usual_seconds,
)
from webapp.jobs.models import Job, JobEvent, JobPart, JobState, PartState
from webapp.jobs.queries import job_json

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
    job = at(study, "SEARCH", took)
    middle = stages_left(job)["VALIDATE"]["low_s"] / LOW
    assert middle == pytest.approx(times * FIRST_GUESS_S["VALIDATE"], rel=0.3)


def test_where_studies_are_known_a_long_probe_tells_of_the_network_more_than_of_the_machine(
    user, study
):
    """Candidates of a large network get fewer steps."""
    ended(study, FIRST_GUESS_S)
    took = {stage: 4 * FIRST_GUESS_S[stage] for stage in ("INSPECT", "PROBE")}
    job = at(making.project(user, seed=1).study.job, "SEARCH", took)
    middle = stages_left(job)["VALIDATE"]["low_s"] / LOW
    assert middle == pytest.approx(2 * FIRST_GUESS_S["VALIDATE"], rel=0.15)


def test_first_stage_alone_tells_little(study):
    """Four seconds more to start an engine on a busy machine do not double the whole job."""
    whole = sum(FIRST_GUESS_S[stage] for stage in ("PROBE", "SEARCH", "VALIDATE"))
    took = {"INSPECT": 2 * FIRST_GUESS_S["INSPECT"]}
    assert expected_s(at(study, "PROBE", took)) == pytest.approx(whole, rel=0.3)


def test_stages_that_wait_tell_their_own_time_and_add_up_to_the_whole(study):
    job = at(study, "PROBE", {"INSPECT": FIRST_GUESS_S["INSPECT"]})
    left = stages_left(job)
    assert list(left) == ["PROBE", "SEARCH", "VALIDATE"]
    for end in ("low_s", "high_s"):
        total = sum(each[end] for each in left.values())
        assert remaining_seconds(job)[end] == pytest.approx(total, abs=0.3)
    told = {row["stage"]: row["eta"] for row in job_json(job)["stages"]}
    assert told["INSPECT"] is None
    assert told["SEARCH"] == left["SEARCH"]


def test_job_that_has_ended_tells_no_time(study):
    ended(study, {})
    study.refresh_from_db()
    assert stages_left(study) == {}
    assert {row["eta"] for row in job_json(study)["stages"]} == {None}


def test_stage_that_tells_nothing_runs_down(study):
    took = {"INSPECT": FIRST_GUESS_S["INSPECT"]}
    whole = expected_s(at(study, "PROBE", took))
    later = expected_s(at(study, "PROBE", took, started_s_ago=0.6 * FIRST_GUESS_S["PROBE"]))
    assert whole - later == pytest.approx(0.6 * FIRST_GUESS_S["PROBE"], abs=2)


def test_stage_that_outlasts_what_is_usual_tells_of_a_larger_network(study):
    took = {"INSPECT": FIRST_GUESS_S["INSPECT"]}
    at(study, "PROBE", took, started_s_ago=10 * FIRST_GUESS_S["PROBE"])
    middle = stages_left(study)["VALIDATE"]["low_s"] / LOW
    assert 5 * FIRST_GUESS_S["VALIDATE"] < middle < 10 * FIRST_GUESS_S["VALIDATE"]


def test_stage_that_runs_tells_of_those_that_follow(study):
    """A tenth of PROBE shows that the network is large, long before it has outlasted what is usual."""
    job = at(study, "PROBE", {"INSPECT": FIRST_GUESS_S["INSPECT"]}, started_s_ago=25)
    parts(job, [12, 12], count=20)
    middle = (
        stages_left(job)["VALIDATE"]["low_s"] / LOW
    )  # PROBE will take eight times as long as usual
    assert 5 * FIRST_GUESS_S["VALIDATE"] < middle < 8 * FIRST_GUESS_S["VALIDATE"]


def test_converters_take_their_time(study, settings, tmp_path):
    settings.ADADEEP_EXTRAS = str(tmp_path)
    without = first_guess_s()
    for name in ("ncnn", "litert"):
        (tmp_path / f".venv-{name}").mkdir()
        (tmp_path / f".venv-{name}" / ".stamp-extra").touch()
    assert without == FIRST_GUESS_S
    assert first_guess_s()["PACKAGE"] == without["PACKAGE"] + 2 * CONVERTER_S


def parts(job, took_s, count, running=1):
    """A stage in parts, the first of which took so long."""
    states = [PartState.DONE] * len(took_s) + [PartState.RUNNING] * running
    for number in range(1, count + 1):
        state = states[number - 1] if number <= len(states) else PartState.WAITING
        JobPart.objects.create(
            job=job, stage=job.stage, number=number, count=count, state=state
        )
    for number, seconds in enumerate(took_s, start=1):
        JobEvent.objects.create(
            job=job,
            seq=number,
            t=timezone.now(),
            stage=job.stage,
            part=f"{number}/{count}",
            kind="done",
            data={"seconds": seconds},
        )


def test_stage_in_parts_follows_their_pace_without_the_first(study):
    """The first part prepares what all share: those that follow are quick."""
    job = at(study, "PROBE", {"INSPECT": 4.0}, started_s_ago=40)
    parts(job, [30, 1, 2, 1.5], count=10)
    assert stages_left(job)["PROBE"]["low_s"] / LOW == pytest.approx(9, abs=1.6)


def begins(job, part, s_ago=0.0):
    """A part is begun, as its engine says with a count of nothing."""
    told(job, part, s_ago, done=0, total=1)


def told(job, part, s_ago=0.0, **facts):
    seq = job.events.count() + 1
    t = timezone.now() - timedelta(seconds=s_ago)
    JobEvent.objects.create(
        job=job, seq=seq, t=t, stage=job.stage, part=part, kind="progress", **facts
    )


@pytest.fixture
def probing(study):
    """Ten parts of two seconds are left, and the times: one part of them runs, one is like it, and two are shorter."""
    job = at(study, "PROBE", {"INSPECT": 4.0}, started_s_ago=20)
    parts(job, [5, 2, 2], count=17)
    job.parts.filter(number__in=(4, 15, 16, 17)).update(apart=True)
    job.parts.filter(number__in=(16, 17)).update(needs=15)
    return job


@pytest.mark.parametrize("workers", [1, 2])
def test_parts_apart_are_counted_as_they_say(probing, workers):
    probing.parts.filter(number=5).update(
        state=PartState.RUNNING if workers == 2 else PartState.WAITING
    )
    begins(probing, "4/17")
    told(probing, "4/17", done=1, eta_s=10)
    expected_s = (20 + 10 + 10 + 2 * 7) / workers
    assert stages_left(probing)["PROBE"]["low_s"] / LOW == pytest.approx(expected_s, abs=3)


def test_part_apart_that_rested_for_an_hour_is_told_by_what_came_since(probing):
    begins(probing, "4/17", s_ago=3600)
    told(probing, "4/17", s_ago=3590, done=1, eta_s=5)
    begins(probing, "4/17")
    told(probing, "4/17", done=1, eta_s=10)
    assert stages_left(probing)["PROBE"]["low_s"] / LOW == pytest.approx(54, abs=3)


@pytest.mark.parametrize("before", [False, True])
def test_stage_tells_nothing_until_its_parts_apart_do(probing, before):
    """Nor does what was said before a rest count."""
    if before:
        told(probing, "4/17", s_ago=3600, done=1, eta_s=5)
    begins(probing, "4/17")
    usual_s = FIRST_GUESS_S["PROBE"] - 20
    assert stages_left(probing)["PROBE"]["low_s"] / LOW == pytest.approx(usual_s, abs=2)


def planned(job, steps):
    """A study whose candidates take so many steps in all."""
    folder = job.place / "INSPECT"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plan.json").write_text(json.dumps({"VALIDATE": {"rounds": [4], "steps": steps}}))
    return job


def test_candidates_that_train_for_fewer_steps_are_expected_earlier(study):
    """Of 85 s on the digits 54 are 3,600 steps of training."""
    at(study, "INSPECT", {})
    whole = usual_seconds(planned(study, 3600))["VALIDATE"]
    assert whole == FIRST_GUESS_S["VALIDATE"]
    assert usual_seconds(planned(study, 900))["VALIDATE"] == pytest.approx(
        whole - 54 * 3 / 4, abs=1
    )


def test_rest_between_parts_is_no_work(study):
    """A job that was paused for an hour goes on at its pace."""
    job = at(study, "VALIDATE", {"INSPECT": 4.0}, started_s_ago=3600)
    parts(job, [12, 9], count=4)
    JobEvent.objects.filter(job=job).update(t=timezone.now() - timedelta(hours=1))
    left = stages_left(job)["VALIDATE"]["low_s"] / LOW
    assert 9 <= left <= 18


def test_workers_side_by_side_share_the_parts(study):
    job = at(study, "VALIDATE", {"INSPECT": 4.0}, started_s_ago=20)
    parts(job, [9, 9, 9], count=9, running=2)
    assert stages_left(job)["VALIDATE"]["low_s"] / LOW == pytest.approx(27, abs=1)


@pytest.fixture
def build(user, study_folder):
    """A build of a study whose VALIDATE took 60 s."""
    project = making.studied(user, study_folder)
    study = project.study.job
    study.stages = {"VALIDATE": {"state": "done", "seconds": 60.0}}
    study.save()
    return making.build(user, project)


def test_first_build_trains_as_its_study_did(build):
    recovery_s = expected_recoveries(3) * 0.5 * 60
    assert stages_left(build)["RECOVER"]["low_s"] / LOW == pytest.approx(recovery_s, rel=0.01)


def test_plan_tells_how_long_a_recovery_is_beside_the_study(build):
    inspected = build.study.place / "INSPECT"
    inspected.mkdir(parents=True, exist_ok=True)
    steps = {"VALIDATE": {"steps": 3600}, "RECOVER": {"steps": 900, "most": 4}}
    (inspected / "plan.json").write_text(json.dumps(steps))
    recovery_s = expected_recoveries(4) * 0.25 * 60
    assert stages_left(build)["RECOVER"]["low_s"] / LOW == pytest.approx(recovery_s, rel=0.01)


def test_what_candidates_take_beside_their_training_is_no_recovery(build):
    study = build.study
    study.stages["INSPECT"] = {"state": "done", "seconds": 4.0}
    study.save()
    for number in range(1, 9):
        JobPart.objects.create(job=study, stage="VALIDATE", number=number, count=8)
    trained_s = 60 - 8 * CANDIDATE * 4.0
    recovery_s = expected_recoveries(3) * 0.5 * trained_s
    assert stages_left(build)["RECOVER"]["low_s"] / LOW == pytest.approx(recovery_s, rel=0.01)


def test_recipe_picked_by_hand_is_recovered_once(build):
    (build.place / "recipe.json").write_text("[]")
    assert stages_left(build)["RECOVER"]["low_s"] / LOW == pytest.approx(0.5 * 60, rel=0.01)


def test_builds_of_the_same_study_know_best(user, study_folder):
    project = making.studied(user, study_folder)
    here, job = making.build(user, project), making.build(user, project)
    other = making.build(user, making.project(user, seed=1))
    job.state = JobState.RUNNING
    job.save()
    ended(other, dict.fromkeys(BUILD, 100.0))
    assert expected_s(job) < 300  # other networks' builds say nothing of this one's
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
