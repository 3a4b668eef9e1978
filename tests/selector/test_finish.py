"""A run that is told to finish takes the best so far, in each stage that knows one."""

import io
import json
import shutil
import signal
import subprocess
import sys
import time

import pytest

from compression.cost import load_device
from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector import engine
from selector.__main__ import finishing_on_interrupt
from selector.choosing import CHOSEN_RECIPE
from selector.jobfolder import JobFolder, Part
from selector.plan import read_rounds
from selector.policy_network import PolicyWeights
from selector.report import check_report
from selector.reporter import Reporter
from selector.stages.recover import _Attempts
from selector.study import load_policy
from selector.types import Budgets, Goals
from tests.selector.test_engine import write_request

LIMIT_S = 60  # the least work that there is, and time enough for it on a busy machine

pytestmark = pytest.mark.timeout(900)  # the fixture is a whole job


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    job = engine.prepare(write_request(folder, time_limit_s=LIMIT_S), folder / "out")
    for stage in (*STUDY_STAGES, *BUILD_STAGES):
        engine.run_stage(stage, job, Reporter(stream=io.StringIO()), None)
    return job


class ToldToFinish(Reporter):
    """As if somebody asked to finish at the given line of that kind."""

    def __init__(self, kind, number=1):
        super().__init__(stream=io.StringIO())
        self.kind, self.left = kind, number

    def _say(self, line):
        self.left -= json.loads(line)["kind"] == self.kind
        if not self.left:
            self.finish()
        super()._say(line)


def again(job, stage, folder):
    """A copy of a finished job in which that stage is still to be done."""
    shutil.copytree(job.path, folder)
    shutil.rmtree(folder / stage)
    return JobFolder(folder)


def test_a_search_ends_with_the_agent_so_far(finished, tmp_path):
    job = again(finished, Stage.SEARCH, tmp_path / "job")
    path = job.path / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"time_limit_s": 600}))
    planned = engine.job_of(job, Reporter(io.StringIO())).effort.search_rounds
    engine.run_stage(Stage.SEARCH, job, ToldToFinish("metric", 2), None)
    trained = PolicyWeights.load(job.path / "SEARCH" / "policy.npz").facts["rounds"]
    assert 0 < trained < planned
    shutil.rmtree(job.path / "VALIDATE")
    answer = load_policy(job).select(Goals(), Budgets(), load_device("this-host"))
    assert answer.score > 0


def test_a_search_ends_while_known_recipes_are_gathered(finished, tmp_path):
    job = again(finished, Stage.SEARCH, tmp_path / "job")
    reporter = ToldToFinish("progress", 2)
    engine.run_stage(Stage.SEARCH, job, reporter, None)
    lines = [json.loads(line) for line in reporter.stream.getvalue().splitlines()]
    told = [line["done"] for line in lines if line["kind"] == "progress"]
    assert told == [0, 1, 20]  # begun, one of twenty rounds, judged without training
    assert PolicyWeights.load(job.path / "SEARCH" / "policy.npz").facts["rounds"] == 0
    assert any("the agent that comes with AdaDeep is kept" in line for line in logged(lines))
    found = job.read_json(Stage.SEARCH, "search.json")
    assert (found["best_round"], found["gap"]) == (0, found["first_gap"])


def logged(lines):
    return [line["data"]["text"] for line in lines if line["kind"] == "log"]


def test_a_short_limit_leaves_time_to_probe_beside_the_timings(finished, tmp_path):
    """And it does not end the timings, which are worth nothing in part."""
    job = again(finished, Stage.PROBE, tmp_path / "job")
    path = job.path / "request.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"time_limit_s": 3}))
    parts = read_rounds(job, Stage.PROBE).parts
    told = [*map(str, parts), "join"]
    engine.run_told_parts(Stage.PROBE, job, Reporter(io.StringIO()), told)
    found = [job.read_json(Stage.PROBE, job.part_name(part, ".json")) for part in parts]
    networks = [row["config"][:-1] for part in found for row in part.get("networks", ())]
    distinct = {tuple(config) for config in networks}
    assert (
        len(distinct) == 1 + engine.job_of(job, Reporter(io.StringIO())).effort.timed_networks
    )
    assert sum(bool(part["kl"]) for part in found) > 1
    assert {name for part in found for name in part.get("op_ms", ())} == {"fp32", "int8"}


def test_work_without_limit_takes_no_time_from_the_rest():
    reporter = Reporter(io.StringIO())
    reporter.begin(Stage.PROBE, Part())
    reporter.deadline = time.monotonic() + 0.05
    with reporter.without_limit():
        time.sleep(0.06)
        assert not reporter.ends_early()
    assert not reporter.ends_early()
    time.sleep(0.06)
    assert reporter.ends_early()
    with reporter.without_limit():
        assert not reporter.ends_early()
    assert reporter.ends_early()


def test_finishing_ends_work_without_limit_too():
    reporter = Reporter(io.StringIO())
    with reporter.without_limit():
        reporter.finish()
        assert reporter.ends_early()


def test_a_validation_ends_with_the_candidates_so_far(finished, tmp_path):
    job = again(finished, Stage.VALIDATE, tmp_path / "job")
    reporter = ToldToFinish("candidate")
    engine.run_stage(Stage.VALIDATE, job, reporter, None)
    built = job.read_json(Stage.VALIDATE, "candidates.json")["candidates"]
    usual = finished.read_json(Stage.VALIDATE, "candidates.json")["candidates"]
    assert len(built) == 1 < len(usual)
    assert built[0]["config"] == usual[0]["config"]
    assert "Finished early, as asked: the remaining candidates are not built." in (
        reporter.stream.getvalue()
    )
    shutil.rmtree(job.path / "RECOVER")
    engine.run_stage(Stage.RECOVER, job, Reporter(stream=io.StringIO()), None)


def test_a_recovery_delivers_the_best_network_so_far(finished, tmp_path):
    job = again(finished, Stage.RECOVER, tmp_path / "job")
    for stage in BUILD_STAGES[1:]:
        shutil.rmtree(job.path / stage)
    reporter = ToldToFinish("metric")
    for stage in BUILD_STAGES:
        engine.run_stage(stage, job, reporter, None)
    found = job.read_json(Stage.RECOVER, "recover.json")
    assert [point["attempt"] for point in found["curve"]] == [0]
    report = json.loads((job.path / "PACKAGE" / "report.json").read_text())
    check_report(report)
    assert report["stopped_by"] == "request"
    assert report["ratios"]["size"] > 1
    page = (job.path / "PACKAGE" / "report.html").read_text()
    assert "The build was told to finish early: this is the best found until then." in page


def test_of_several_recoveries_the_best_stands(finished, tmp_path, monkeypatch):
    """Told to finish in its second attempt, a build still delivers the first if that was better.

    Each attempt counts as fast as it was measured before: what is measured decides what is tried next.
    """
    usual = finished.read_json(Stage.RECOVER, "recover.json")
    if len(usual["attempts"]) < 2:
        pytest.skip("this network needs one attempt only")
    ratios = [attempt["host_ratio"] for attempt in usual["attempts"]]
    monkeypatch.setattr(_Attempts, "_host_ratio", lambda self, _: ratios[len(self._found)])
    second = next(i for i, p in enumerate(usual["curve"], start=1) if p["attempt"] == 1)
    job = again(finished, Stage.RECOVER, tmp_path / "job")
    engine.run_stage(Stage.RECOVER, job, ToldToFinish("metric", second), None)
    found = job.read_json(Stage.RECOVER, "recover.json")
    assert len(found["attempts"]) == 2
    assert found["utility"] == max(each["utility"] for each in found["attempts"])


def test_a_recipe_picked_by_hand_counts_as_all_there_is_to_do(finished, tmp_path):
    job = again(finished, Stage.RECOVER, tmp_path / "job")
    found = finished.read_json(Stage.RECOVER, "recover.json")
    (job.path / CHOSEN_RECIPE).write_text(json.dumps(found["recipe"]), encoding="utf-8")
    events = io.StringIO()
    engine.run_stage(Stage.RECOVER, job, Reporter(stream=events), None)
    lines = [json.loads(line) for line in events.getvalue().splitlines()]
    steps = {line["total"] for line in lines if line["kind"] == "progress" and line["done"]}
    assert steps == {engine.job_of(job, Reporter(io.StringIO())).effort.recovery_steps}


def test_the_supervisor_says_it_on_standard_input(finished, tmp_path):
    job = again(finished, Stage.VALIDATE, tmp_path / "job")
    rounds = finished.read_json(Stage.INSPECT, "plan.json")["VALIDATE"]["rounds"]
    parts = [f"{number}/{sum(rounds)}" for number in range(1, sum(rounds) + 1)]
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "selector", "stage", "VALIDATE", str(job.path)),
            *("--part", "-", "--supervised"),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        text=True,
    ) as process:
        process.stdin.write("\n".join(["finish", *parts, "join", ""]))
        process.stdin.flush()
        assert process.wait(150) == 0
    assert len(job.read_json(Stage.VALIDATE, "candidates.json")["candidates"]) == 1


def test_first_ctrl_c_asks_for_the_best_so_far_and_the_second_stops_at_once(capsys):
    reporter = Reporter(stream=io.StringIO())
    with finishing_on_interrupt(reporter):
        signal.raise_signal(signal.SIGINT)
        assert reporter.ends_early()
        assert reporter.stopped_by == "request"
        assert "Finishing with the best so far." in capsys.readouterr().err
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
