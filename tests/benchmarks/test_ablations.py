import io
from contextlib import ExitStack
from dataclasses import replace
from unittest import mock

import numpy as np
import pytest

from benchmarks import ablations
from benchmarks.ablations import ABLATIONS
from benchmarks.demands import demands
from benchmarks.task import get
from compression.cost import load_device
from compression.types import Stage
from selector.action_space import ActionSpace
from selector.cell_prices import LATENCY, MACS
from selector.damage import row_damage
from selector.host_latency import HOST
from selector.jobfolder import RESULT_OF
from selector.pricing import CostTables
from selector.reporter import Reporter
from selector.surrogate import Validated
from tests.selector.synthetic_tables import lenet_tables

ROW, THINNING, STRUCTURE, WIDTH = 4, 2, 1, 3


@pytest.mark.parametrize("name", [*ABLATIONS, ablations.NOTHING])
def test_every_part_that_is_left_out_is_there_and_no_clock_ends_the_work(name):
    reporter = Reporter(stream=io.StringIO())
    reporter.deadline = 0.0
    assert reporter.ends_early()
    with ExitStack() as stack:
        for place, stand_in in ablations.patches(name).items():
            stack.enter_context(mock.patch(place, stand_in))  # raises where there is nothing
        assert not reporter.ends_early()


def test_every_ablation_is_a_row_of_its_own():
    found = {d.without for d in demands(get("digits")).values() if d.group == "ablation"}
    assert found == set(ABLATIONS)


@pytest.mark.parametrize(
    ("name", "left"),
    [
        ("reconstruction", {Stage.INSPECT}),
        ("stacking", {Stage.INSPECT, Stage.PROBE}),
        ("referees", {Stage.INSPECT, Stage.PROBE, Stage.SEARCH, Stage.VALIDATE}),
    ],
)
def test_study_is_taken_up_where_the_part_first_matters(tmp_path, name, left):
    study = tmp_path / "study"
    for stage in (Stage.INSPECT, Stage.PROBE, Stage.SEARCH, Stage.VALIDATE):
        (study / stage.value).mkdir(parents=True)
        (study / stage.value / RESULT_OF[stage]).touch()
    lenet_tables().save(study / "PROBE" / "tables.npz")
    ablations.begin(name, study, tmp_path / "without")
    assert {path.name for path in (tmp_path / "without").iterdir()} == left


def test_without_stacking_no_layer_may_change_twice():
    tables = lenet_tables()
    before, after = (
        row_damage(each)[ROW] for each in (tables, ablations.one_change_a_layer(tables))
    )
    for one in ((THINNING, 0, 0), (0, STRUCTURE, 0), (0, 0, WIDTH)):
        assert after[one] == before[one]
    for two in ((THINNING, STRUCTURE, 0), (0, STRUCTURE, WIDTH), (THINNING, 0, WIDTH)):
        assert after[two] > 10 * before.max()


def test_without_latencies_time_follows_multiply_adds():
    tables = lenet_tables()
    meta = {**tables.meta, "host_latency_ms": {"p50": 2.0}}
    counted = ablations.times_by_macs(replace(tables, meta=meta))
    space = ActionSpace(counted)
    costs = CostTables(counted, space, (load_device(HOST),))
    drawn = space.sample(space.mask, 20, np.random.default_rng(0))
    totals = costs.totals(np.concatenate([space.untouched(), drawn]))
    assert totals[:, LATENCY] / totals[0, LATENCY] == pytest.approx(
        totals[:, MACS] / totals[0, MACS], rel=1e-6
    )
    assert totals[0, LATENCY] == pytest.approx(2.0)


def test_without_latencies_no_built_recipe_counts_as_timed():
    kinds = set(ABLATIONS["latency"].patches().values())
    (kind,) = kinds
    built = kind(config=(1,), drop_points=0.5, host_ratio=3.0)
    read = kind.from_json(
        {"config": [1], "drop_points": 0.5, "kl": 0, "size_bytes": 9, "host_ratio": 3}
    )
    assert isinstance(built, Validated)
    assert (built.host_ratio, read.host_ratio, read.size_bytes) == (0.0, 0.0, 9)
