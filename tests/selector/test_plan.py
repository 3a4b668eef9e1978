import json

import pytest

from compression.types import Stage
from selector import engine
from selector.errors import BadRequestError
from selector.jobfolder import JobFolder, Part
from selector.plan import (
    PARTED_STAGES,
    PLAN,
    Rounds,
    Steps,
    counts_for_gpu,
    expected_recoveries,
    plan,
    read_rounds,
    recovery_per_validation,
)

ROUNDS = Rounds((3, 2, 1))
STEPS = Steps(candidate=300, recovery=2000, recoveries=4)


def test_a_part_needs_all_parts_of_earlier_rounds():
    assert [ROUNDS.needed(index) for index in range(1, 7)] == [
        *[()] * 3, *[(1, 2, 3)] * 2, (1, 2, 3, 4, 5)
    ]  # fmt: skip
    assert [ROUNDS.within(index) for index in (1, 3, 4, 5, 6)] == [
        Part(1, 3),
        Part(3, 3),
        Part(1, 2),
        Part(2, 2),
        Part(1, 1),
    ]


def test_parts_apart_need_each_other_alone():
    rounds = Rounds((2, 2), apart=(2, 1), apart_from=2)
    assert rounds.count == 7
    assert [rounds.is_apart(index) for index in range(1, 8)] == [
        False,
        *[True] * 3,
        *[False] * 3,
    ]
    assert [rounds.needed(index) for index in range(1, 8)] == [
        (), (), (), (2, 3), (), (1, 5), (1, 5)
    ]  # fmt: skip
    assert [rounds.within(index) for index in range(1, 8)] == [
        Part(1, 2), Part(1, 2), Part(2, 2), Part(1, 1), Part(2, 2), Part(1, 2), Part(2, 2)
    ]  # fmt: skip
    assert rounds.at_once == 4


def test_times_are_planned_apart_and_plans_of_older_versions_are_followed(tmp_path):
    folder = JobFolder(tmp_path)
    (tmp_path / "INSPECT").mkdir()
    (tmp_path / "INSPECT" / "inspect.json").write_text("{}")
    folder.write_json(Stage.INSPECT, PLAN, plan(100, 50, 12, STEPS))
    planned = read_rounds(folder, Stage.PROBE)
    assert (planned.apart, planned.apart_from) == ((2, 2), 3)
    assert read_rounds(folder, Stage.VALIDATE).apart == ()
    folder.write_json(Stage.INSPECT, PLAN, {"PROBE": {"items": 150, "rounds": [8, 2]}})
    assert read_rounds(folder, Stage.PROBE) == Rounds((8, 2))


@pytest.mark.parametrize("count", range(1, 20))
def test_every_candidate_is_a_part_and_all_rounds_but_the_last_are_even(count):
    sizes = plan(100, 50, count, STEPS)["VALIDATE"]["rounds"]
    assert sum(sizes) == count
    assert len(sizes) <= 3
    assert all(size % 2 == 0 for size in sizes[:-1])


def test_the_plan_knows_the_stages_that_the_engine_does_in_parts():
    assert set(PARTED_STAGES) == set(engine.PARTED)
    assert {stage.value for stage in PARTED_STAGES} < plan(10, 10, 10, STEPS).keys()


@pytest.mark.parametrize(
    "value", [{}, {"PROBE": {"rounds": []}}, {"PROBE": {"rounds": [0]}}, {"PROBE": {"rounds": [10**9]}}, {"PROBE": {"rounds": [2], "apart": 7}},
              {"PROBE": {"rounds": [2], "apart": {"rounds": [1], "from": 9}}}, {"PROBE": {"rounds": 3}}, {"PROBE": []}, []]
)  # fmt: skip
def test_a_plan_that_cannot_be_followed_is_refused(tmp_path, value):
    (tmp_path / "INSPECT").mkdir()
    (tmp_path / "INSPECT" / "inspect.json").write_text("{}")
    (tmp_path / "INSPECT" / PLAN).write_text(json.dumps(value))
    with pytest.raises(BadRequestError, match=f"{PLAN} does not say in which parts PROBE"):
        read_rounds(JobFolder(tmp_path), Stage.PROBE)


def test_whether_counts_are_a_gpus_is_settled_by_inspect(tmp_path):
    folder = JobFolder(tmp_path)
    assert not counts_for_gpu(folder)
    for gpu in (True, False):
        folder.write_json(Stage.INSPECT, PLAN, plan(100, 50, 12, STEPS, gpu=gpu))
        assert counts_for_gpu(folder) is gpu


def test_plan_tells_all_recoveries_beside_all_trials(tmp_path):
    folder = JobFolder(tmp_path)
    assert (
        recovery_per_validation(folder, picked=True) == 0.5
    )  # none, or one of an older version
    folder.write_json(Stage.INSPECT, PLAN, plan(100, 50, 12, STEPS))
    picked, recommended = (recovery_per_validation(folder, picked=p) for p in (True, False))
    assert picked == pytest.approx(2000 / 3600)
    assert recommended == pytest.approx(expected_recoveries(4) * picked)
