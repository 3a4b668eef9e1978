import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from compression.cost import load_device
from selector import reward
from selector.learning import (
    best_built,
    failed_recoveries,
    learnt,
    outcomes,
    utilities,
    with_room,
)
from selector.selection import Question, predict
from selector.study import untuned_model
from selector.surrogate import Surrogate, Validated
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables

SURROGATE = Surrogate(lenet_tables())
HERE, PHONE = load_device("this-host"), load_device("redmi-3s")
BASE_MS = float(SURROGATE.baseline(HERE).latency_ms)


def question(target=HERE, surrogate=SURROGATE, locks=None, **limits):
    asked = Question(
        surrogate=surrogate,
        target=target,
        goals=Goals(accuracy=0.4, latency=0.3, energy=0.0, storage=0.3),
        budgets=Budgets(**limits),
        locks=locks or {},
    )
    return asked.prepared()


def built(seed, **facts):
    space = SURROGATE.space
    config = space.sample(space.mask, 1, np.random.default_rng(seed))[0]
    return Validated(config=tuple(config.tolist()), **({"drop_points": 0.5} | facts))


def test_what_was_measured_counts_and_what_was_not_is_predicted():
    exported = built(0, size_bytes=4321, host_ratio=2.0)
    unknown = built(1)
    values = outcomes(question(), [exported, unknown])
    predicted = SURROGATE.evaluate(np.array([unknown.config]), HERE)
    assert values[0] == pytest.approx([0.5, BASE_MS / 2, values[0, 2], 4321])
    assert values[1, 1] == pytest.approx(predicted.latency_ms[0])
    assert values[1, 3] == pytest.approx(predicted.size_bytes[0])


def test_time_on_another_device_stays_predicted():
    fast_here = built(0, size_bytes=4321, host_ratio=100.0)
    values = outcomes(question(PHONE), [fast_here])
    predicted = SURROGATE.evaluate(np.array([fast_here.config]), PHONE)
    assert values[0, 1] == pytest.approx(predicted.latency_ms[0])


def test_a_proven_recipe_within_the_limits_is_best():
    heavy = built(0, size_bytes=90_000, host_ratio=1.1)
    lossy = built(1, size_bytes=4000, host_ratio=2.0, drop_points=4.0)
    proven = built(2, size_bytes=8000, host_ratio=1.5)
    asked = question(max_accuracy_drop=1.0, max_size_bytes=10_000)
    found, utility = best_built(asked, [heavy, lossy, proven])
    assert found is proven
    assert utility > reward.INFEASIBLE
    assert utilities(asked, [heavy, lossy]).max() <= reward.INFEASIBLE


def test_only_full_recoveries_count_as_failed():
    lossy = built(1, size_bytes=4000, host_ratio=2.0, drop_points=4.0)
    failed = replace(lossy, recovered=True)
    kept = replace(built(2, size_bytes=8000, host_ratio=1.5), recovered=True)
    asked = question(max_accuracy_drop=1.0, max_size_bytes=10_000)
    assert failed_recoveries(asked, [failed, kept]) == {failed.config}
    assert failed_recoveries(asked, [lossy]) == set()


def test_locks_forbid_proven_recipes_too():
    proven = built(2, size_bytes=8000, host_ratio=1.5)
    layers = [SURROGATE.space.decisions[d].layer for d in np.flatnonzero(proven.config)]
    assert best_built(question(locks={layers[0]: Lock(technique="keep")}), [proven]) is None
    assert best_built(question(), []) is None


def test_limits_are_drawn_in_by_what_turned_out_slower():
    rows = [built(seed) for seed in range(10)]
    configs = np.array([row.config for row in rows])
    predicted = SURROGATE.evaluate(configs, HERE).latency_ms
    slower = [
        replace(row, host_ratio=BASE_MS / (1.1 * ms))
        for row, ms in zip(rows, predicted, strict=True)
    ]
    limits = {"max_latency_ms": 0.05, "max_size_bytes": 9000.0, "max_accuracy_drop": 1.0}
    asked = question(**limits).question
    assert with_room(asked, slower) == Budgets(
        max_latency_ms=pytest.approx(0.05 / 1.1), max_size_bytes=9000, max_accuracy_drop=1.0
    )
    late = replace(slower[0], host_ratio=slower[0].host_ratio / 1.2, recovered=True)
    assert with_room(asked, [*slower, late]).max_latency_ms == pytest.approx(0.05 / 1.32)
    assert with_room(asked, slower, 1.05).max_size_bytes == pytest.approx(9000 / 1.05)
    assert with_room(asked, []) == asked.budgets
    assert with_room(question().question, slower) == Budgets()


def expected_points(row):
    return float(SURROGATE.evaluate(np.array([row.config]), HERE).drop_points[0])


def test_each_recovery_that_lost_too_much_makes_the_next_answer_surer():
    rows = [built(seed, recovered=True) for seed in (3, 4)]
    missed = [replace(row, drop_points=expected_points(row)) for row in rows]
    limit = 0.9 * min(row.drop_points for row in missed)
    asked = question(max_accuracy_drop=limit).question
    kept = built(5, drop_points=0.0, recovered=True)
    short = [replace(row, recovered=False) for row in missed]
    trials, once, twice, after_all = (
        with_room(asked, found).max_accuracy_drop
        for found in (short, missed[:1], missed, [*missed, kept])
    )
    assert twice < once < limit
    assert trials == after_all == pytest.approx(limit)
    too_slow = replace(kept, host_ratio=0.5)
    asked = question(max_accuracy_drop=limit, max_latency_ms=BASE_MS).question
    assert with_room(asked, [*missed, too_slow]).max_accuracy_drop < limit


def test_built_recipes_teach_accuracy_and_time():
    rows = [built(seed, drop_points=2.0, host_ratio=1.0) for seed in range(12)]
    configs = np.array([row.config for row in rows])
    taught = learnt(SURROGATE, rows)
    error = np.abs(taught.evaluate(configs, HERE).latency_ms / BASE_MS - 1)
    before = np.abs(SURROGATE.evaluate(configs, HERE).latency_ms / BASE_MS - 1)
    assert error.mean() < 0.7 * before.mean()
    assert taught.model.n_validated == 12
    assert not taught.predicts_as(SURROGATE)


def test_a_full_recovery_tells_more_than_a_short_trial():
    short = [built(seed, drop_points=1.0) for seed in range(6)]
    full = [replace(row, recovered=True) for row in short]
    unsure = [np.trace(learnt(SURROGATE, rows).model.covariance) for rows in (full, short)]
    assert unsure[0] < unsure[1]


def test_what_recipes_lose_without_fine_tuning_is_learnt_from_built_ones():
    space, surrogate = SURROGATE.space, Surrogate(lenet_tables())
    configs = space.sample(space.mask, 8, np.random.default_rng(1))
    tuned = SURROGATE.evaluate(configs, HERE).drop_points
    rows = [
        {"config": config.tolist(), "untuned_points": 4.0 * points}
        for config, points in zip(configs, tuned, strict=True)
    ]
    assert untuned_model(surrogate, rows[:5]) is None
    surrogate.untuned = untuned_model(surrogate, rows)
    found = predict(surrogate, configs[0], HERE)
    assert found.untuned_drop_points.value > 1.5 * found.accuracy_drop_points.value
    assert found.untuned_drop_points.low < found.untuned_drop_points.value
    untouched = predict(surrogate, space.untouched()[0], HERE)
    assert untouched.untuned_drop_points.value == 0
    assert predict(SURROGATE, configs[0], HERE).untuned_drop_points is None


def test_pairs_that_came_with_a_candidate_are_known_from_then_on():
    plain = built(4)
    cell = (4, 0, 1, 3)
    told = replace(plain, pairs=((cell, 4.0),))
    taught = learnt(SURROGATE, [told])
    assert taught.tables.known_pairs == {cell: 4.0}
    assert not taught.predicts_as(learnt(SURROGATE, [plain]))
    assert Validated.from_json(json.loads(json.dumps(asdict(told)))) == told


def test_a_candidate_left_out_takes_its_own_pairs_along():
    """What a pair did is only known to the candidate that holds it, unless another told it too."""
    rows = [built(seed, drop_points=0.5) for seed in range(8)]
    config = np.zeros(SURROGATE.space.n_decisions, dtype=np.int64)
    decisions = SURROGATE.space.decisions
    config[next(d for d, x in enumerate(decisions) if x.layer == "fc1" and x.builds)] = 1
    config[next(d for d, x in enumerate(decisions) if x.layer == "fc1" and x.narrows)] = 3
    cell = (4, 0, 1, 3)
    ruined = Validated(config=tuple(config.tolist()), drop_points=80.0, pairs=((cell, 16.0),))
    alone = learnt(SURROGATE, [*rows, ruined]).checked([*rows, ruined])
    twin = replace(rows[0], pairs=((cell, 16.0),))
    backed = learnt(SURROGATE, [twin, *rows[1:], ruined]).checked([twin, *rows[1:], ruined])
    assert backed.factor_90 < alone.factor_90
