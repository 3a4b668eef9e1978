import json
import threading
import time

import psutil
import pytest
from django.db import connections
from django.db.models import F

from tests.webapp import making
from tests.webapp.fake_engine import noted
from webapp.jobs import artifacts, lease, runner, sandbox, services, tasks
from webapp.jobs.models import Job, JobState
from webapp.jobs.queries import job_json

pytestmark = pytest.mark.django_db(transaction=True)


def runs(job):
    """The stages that were run, in order."""
    return [stage for stage, _ in noted(job.folder, "run")]


def log_of(job):
    return [event.data["text"] for event in job.events.filter(kind="log")]


def in_background(job):
    def work():
        tasks.run(str(job.id))
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    return thread


def wait_for(condition, seconds=10):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def test_study_goes_through_its_stages(user, work_off):
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert runs(job) == ["INSPECT", "PROBE", "SEARCH", "VALIDATE"]
    assert all(stage["state"] == "done" for stage in job.stages.values())


def test_inspection_is_handed_to_the_engine_queue(user):
    job = making.study(user)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert runs(job) == ["INSPECT"]
    assert (job.state, job.attempt) == (JobState.QUEUED, 1)
    assert [tasks.queue_of(stage) for stage in tasks.pending_stages(job)[:1]] == ["engine"]


def test_events_are_numbered_without_a_gap(user, work_off):
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    numbers = list(job.events.values_list("seq", flat=True))
    assert numbers == list(range(1, job.last_seq + 1))
    assert {"log", "progress", "metric", "done"} <= set(
        job.events.values_list("kind", flat=True)
    )


def test_events_come_at_most_twice_a_second(user, engine, work_off):
    engine(INSPECT={"sleep_s": 2.0})
    job = making.study(user)
    tasks.run(str(job.id))
    progress = job.events.filter(stage="INSPECT", kind="progress").count()
    assert 3 <= progress <= 6


def test_build_finds_what_the_study_left(user, work_off):
    project = making.project(user)
    job = making.build(user, project)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert (job.folder / "SEARCH" / "policy.npz").exists()
    assert [(a.name, a.primary) for a in job.artifacts.all()] == [
        ("model.onnx", True),
        ("bundle.zip", False),
        ("report.json", False),
    ]


def test_build_waits_for_its_study(user, monkeypatch):
    project = making.project(user)
    sent = []
    monkeypatch.setattr(tasks.run, "apply_async", lambda args, queue: sent.append(args[0]))
    build = making.build(user, project)
    services.jobs_send_waiting()
    assert set(sent) == {str(project.study.job.id)}
    Job.objects.filter(pk=project.study.job.pk).update(state=JobState.DONE)
    services.jobs_send_waiting()
    assert sent[-1] == str(build.id)


def test_build_of_a_failed_study_says_so(user, engine, work_off):
    engine(PROBE={"exit": 2, "error": "no"})
    job = making.build(user)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "Retry the study" in job.message


@pytest.mark.parametrize(
    ("code", "state"),
    [(0, JobState.DONE), (3, JobState.MISSED), (4, JobState.INFEASIBLE)],
)
def test_exit_code_of_the_last_stage_is_the_end_of_a_build(user, engine, work_off, code, state):
    engine(PACKAGE={"exit": code})
    job = making.build(user)
    work_off()
    job.refresh_from_db()
    assert job.state == state


def test_refusal_is_shown_in_the_engines_words(user, engine, work_off):
    engine(INSPECT={"exit": 2, "error": "The model holds an If node (branch_1); remove it."})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert (job.state, job.reference) == (JobState.FAILED, "")
    assert job.message == "The model holds an If node (branch_1); remove it."
    assert job.stages["INSPECT"]["state"] == "failed"


def test_unknown_fault_gets_a_reference_and_its_trace_is_logged(user, engine, work_off, caplog):
    engine(SEARCH={"exit": 1})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert (
        f"stopped the job at Search. What was finished is saved. Reference {job.reference}."
        in job.message
    )
    assert "the fake engine was told to fail" in caplog.text
    assert job.reference in caplog.text


def test_engine_killed_by_the_system_is_explained(user, engine, work_off):
    engine(PROBE={"code": "os.kill(os.getpid(), 9)"})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert "most likely for lack of memory" in job.message


KILL_ONCE = """
killed = folder / stage / "killed"
if not killed.exists():
    killed.touch()
    os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("stage", ["PROBE", "SEARCH"])
def test_engine_that_is_killed_once_starts_again(user, engine, work_off, stage):
    engine(**{stage: {"code": KILL_ONCE}})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.DONE, 0)
    assert runs(job).count(stage) == 2
    assert any("The operating system stopped the engine" in text for text in log_of(job))


def test_stage_whose_end_nobody_told_is_noted_by_the_next_worker(user, engine, work_off):
    job = making.study(user)
    tasks.run(str(job.id))
    job.refresh_from_db()
    job.stages["INSPECT"] = {"state": "running"}
    Job.objects.filter(pk=job.pk).update(stages=job.stages)
    job.events.filter(kind="done").update(kind="log", data={"text": "lost"})
    work_off()
    job.refresh_from_db()
    assert job.stages["INSPECT"]["state"] == "done"
    assert job.events.filter(stage="INSPECT", kind="done").count() == 1
    assert runs(job).count("INSPECT") == 1


def test_engine_that_had_no_memory_for_a_thread_is_explained(user, engine, work_off):
    said = "libgomp: Thread creation failed: Resource temporarily unavailable"
    engine(PROBE={"code": f"os.write(2, b'{said}'); os._exit(1)"})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert "Not enough memory for Probe" in job.message
    assert not job.reference


def test_engine_that_closes_its_output_and_lives_on_is_stopped(
    user, engine, work_off, monkeypatch
):
    monkeypatch.setattr(runner, "ENDING_S", 0.5)
    engine(PROBE={"deaf": True, "code": "os.close(1); threading.Event().wait(600)"})
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "fell silent at Probe without an end, and was stopped" in job.message
    assert not job.reference
    (pid,) = (int(pid) for stage, pid in noted(job.folder, "run") if stage == "PROBE")
    assert not psutil.pid_exists(pid)


def test_retry_goes_on_from_the_last_finished_stage(user, engine, work_off):
    engine(SEARCH={"exit": 1})
    job = making.study(user)
    work_off()
    engine()
    services.job_retry(job=job)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.DONE
    assert runs(job) == ["INSPECT", "PROBE", "SEARCH", "SEARCH", "VALIDATE"]


@pytest.mark.parametrize("deaf", [False, True])
def test_cancel_stops_a_running_job_within_a_second(user, engine, deaf):
    engine(INSPECT={"sleep_s": 30, "deaf": deaf})
    job = making.study(user)
    thread = in_background(job)
    wait_for(job.events.exists)
    started = time.monotonic()
    services.job_cancel(job=job)
    thread.join(5)
    assert time.monotonic() - started < 1.3
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED


def test_deleting_a_running_job_ends_its_engine(user, engine, home):
    engine(INSPECT={"sleep_s": 30})
    job = making.study(user)
    thread = in_background(job)
    wait_for(lambda: runs(job))
    pid = int(noted(job.folder, "run")[0][1])
    services.job_delete(job=job)
    thread.join(5)
    assert not thread.is_alive()
    assert not psutil.pid_exists(pid)
    services.folders_sweep(older_than_s=-1)
    assert not job.folder.exists()


def test_sweep_lets_be_what_is_no_folder_of_a_job(user, settings):
    job = making.study(user)
    gone = settings.JOB_ROOT / "6f1c2f6e-5a0b-4b0e-9d65-0f8f5d3c1a11"
    strays = [settings.JOB_ROOT / name for name in ("lost+found", job.id.hex)]
    for folder in (gone, *strays):
        folder.mkdir()
    (settings.JOB_ROOT / ".DS_Store").touch()
    services.folders_sweep(older_than_s=-1)
    assert not gone.exists()
    assert job.folder.exists()
    assert all(folder.exists() for folder in strays)


def test_engine_gone_wild_does_not_fill_the_database(user, engine):
    engine(INSPECT={"code": "[say(stage, 'log', data={'text': str(n)}) for n in range(20000)]"})
    job = making.study(user)
    tasks.run(str(job.id))
    assert job.events.count() < 8000


def test_cancel_of_a_waiting_job_is_final(user, work_off):
    job = making.study(user)
    services.job_cancel(job=job)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
    assert runs(job) == []


def test_second_delivery_of_a_job_changes_nothing(user, work_off):
    job = making.study(user)
    work_off()
    job.refresh_from_db()
    before = (job.attempt, job.last_seq)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert (job.attempt, job.last_seq) == before


def test_only_one_claim_wins(user):
    job = making.study(user)
    assert lease.claim(job.id) is not None
    assert lease.claim(job.id) is None


def test_attempt_that_lost_its_lease_writes_nothing(user):
    job = making.study(user)
    old = lease.claim(job.id)
    job.refresh_from_db()
    lease.take_back(job)
    new = lease.claim(job.id)
    with pytest.raises(lease.LeaseLostError):
        old.finish(JobState.DONE)
    with pytest.raises(lease.LeaseLostError):
        old.beat()
    new.beat()
    job.refresh_from_db()
    assert job.state == JobState.RUNNING


def test_attempt_that_loses_its_lease_at_the_end_records_no_files(user, work_off, monkeypatch):
    def taken_back(job):
        Job.objects.filter(pk=job.pk).update(attempt=F("attempt") + 1)
        return offered(job)

    offered = artifacts.offered
    monkeypatch.setattr(artifacts, "offered", taken_back)
    job = making.build(user)
    work_off()
    job.refresh_from_db()
    assert job.state == JobState.RUNNING
    assert (job.folder / "PACKAGE" / "bundle.zip").exists()
    assert not job.artifacts.exists()


def test_silent_worker_loses_its_job_which_goes_on_elsewhere(user, work_off, settings):
    job = making.study(user)
    lease.claim(job.id)
    Job.objects.filter(pk=job.pk).update(
        worker="another-host:1:0.0",
        heartbeat="2020-01-01T00:00:00Z",
        stage="INSPECT",
    )
    services.jobs_reap()
    work_off()
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.DONE, 1)
    assert "The worker restarted; the job went on from Inspect." in log_of(job)


def test_worker_that_still_beats_keeps_its_job(user):
    job = making.study(user)
    lease.claim(job.id)
    services.jobs_reap()
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.RUNNING, 0)


def test_dead_worker_of_this_host_is_noticed_at_once(user):
    job = making.study(user)
    lease.claim(job.id)
    name = lease.this_worker().rsplit(":", 1)[0]
    Job.objects.filter(pk=job.pk).update(worker=f"{name}:1.00")
    services.jobs_reap()
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.QUEUED, 1)


def test_job_that_is_deleted_while_it_is_taken_back_takes_nobody_down(user, monkeypatch):
    job = making.study(user)
    lease.claim(job.id)
    Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
    monkeypatch.setattr(lease, "settle", lambda pk: Job.objects.filter(pk=pk).delete())
    services.jobs_reap()
    assert not Job.objects.filter(pk=job.pk).exists()


def test_job_that_kills_its_worker_is_given_up(user):
    job = making.study(user)
    for _ in range(3):
        lease.claim(job.id)
        Job.objects.filter(pk=job.pk).update(heartbeat="2020-01-01T00:00:00Z")
        services.jobs_reap()
    job.refresh_from_db()
    assert job.state == JobState.FAILED
    assert "stopped answering 3 times" in job.message


def test_orderly_stop_costs_no_attempt(user):
    job = making.study(user)
    lease.claim(job.id)
    lease.release_all_here()
    job.refresh_from_db()
    assert (job.state, job.lost) == (JobState.QUEUED, 0)


def test_babble_of_the_engine_is_no_event(user, engine):
    engine(
        INSPECT={
            "print": [
                "no json",
                "[1]",
                '{"kind": "nonsense"}',
                '{"kind": "log", "data": 3}',
                "x" * 2_000_000,
            ]
        }
    )
    job = making.study(user)
    tasks.run(str(job.id))
    assert set(job.events.values_list("kind", flat=True)) == {
        "log",
        "progress",
        "metric",
        "done",
    }


def test_what_no_database_holds_is_taken_out_of_the_engines_words(user, engine):
    said = '{"kind": "metric", "done": NaN, "data": {"text": "a\\u0000b", "loss": NaN}}'
    engine(INSPECT={"print": [said], "error": "layer \0 is none", "exit": 2})
    job = making.study(user)
    tasks.run(str(job.id))
    job.refresh_from_db()
    assert (job.state, job.message) == (JobState.FAILED, "layer \ufffd is none")
    assert not any("\0" in str(event.data) for event in job.events.all())


def test_engine_knows_no_secrets_and_has_limits(user, engine, settings, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "hidden")
    engine(
        INSPECT={
            "code": "import resource as r; names = 'AS', 'CPU', 'FSIZE', 'NOFILE', 'CORE'; numbers = r.RLIMIT_AS, r.RLIMIT_CPU,"
            " r.RLIMIT_FSIZE, r.RLIMIT_NOFILE, r.RLIMIT_CORE; limits = dict(zip(names, map(max, map(r.getrlimit, numbers)))); (folder / stage / 'seen.json').write_text("
            "json.dumps([dict(os.environ), limits, os.getcwd(), os.getsid(0) == os.getpid()]))"
        }
    )
    job = making.study(user)
    tasks.run(str(job.id))

    environment, limits, folder, leads = json.loads(
        (job.folder / "INSPECT" / "seen.json").read_text()
    )
    assert not {"SECRET_KEY", "REDIS_URL", "DATABASE_URL", "ADADEEP_HOME"} & set(environment)
    assert limits == sandbox.limits()
    assert limits["FSIZE"] == settings.ENGINE_FILE_GIB * 1024**3
    assert limits["AS"] == settings.ENGINE_MEMORY_GIB * 1024**3
    assert (leads, folder) == (True, str(job.folder))


def test_stage_that_takes_too_long_is_stopped(user, engine, settings, monkeypatch, work_off):
    usual = sandbox.limits()
    monkeypatch.setattr(sandbox, "limits", lambda: usual)  # processor time is limited, too
    settings.ENGINE_STAGE_HOURS = 0
    engine(INSPECT={"sleep_s": 60, "deaf": True})
    job = making.study(user)
    started = time.monotonic()
    work_off()
    job.refresh_from_db()
    assert (job.state, job.message) == (JobState.FAILED, "Inspect took more than 0 hours.")
    assert time.monotonic() - started < 15


def test_what_the_engine_said_of_a_failure_is_in_the_log_once(engine, user, work_off):
    engine(INSPECT={"exit": 1, "error": "Node warp is not understood."})
    job = making.study(user)
    work_off()
    said = [event.data.get("text") or event.data.get("message") for event in job.events.all()]
    assert said.count("Node warp is not understood.") == 1
    assert said[-1] == "Stopped. Your files and goals are kept."


def test_a_build_is_told_what_earlier_builds_of_its_study_tried(user, work_off):
    tried = {"config": [1], "drop_points": 0.5, "kl": 0.1, "size_bytes": 9, "host_ratio": 1.5}
    project = making.project(user)
    work_off()
    first = making.build(user, project)
    work_off()
    assert json.loads((first.folder / "past.json").read_text()) == []
    (first.folder / "RECOVER" / "recover.json").write_text(json.dumps({"attempts": [tried]}))
    second = making.build(user, project)
    work_off()
    assert json.loads((second.folder / "past.json").read_text()) == [tried]
    second.refresh_from_db()
    assert second.state == JobState.DONE


def test_best_so_far_is_the_best_and_not_the_newest(user):
    study = making.project(user).study.job
    rows = [(2.0, 0.5, True), (1.0, 0.5, True), (0.5, 3.0, True), (0.1, 0.0, False)]
    for seq, (ms, points, built) in enumerate(rows, start=1):
        data = {"id": seq, "latency_ms": ms, "size_bytes": 1000, "drop_points": points}
        study.events.create(
            seq=seq,
            t=study.created,
            stage="VALIDATE",
            kind="candidate",
            data={**data, "validated": built},
        )
    assert job_json(study)["best"]["id"] == 2
