from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.cost import load_device
from selector import reward
from selector.dqn import Training, train
from selector.errors import BadRequestError
from selector.job import TRAINING_TARGETS
from selector.locks import locked_mask
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import lenet_tables, toy_tables

TARGETS = [load_device(name) for name in TRAINING_TARGETS]
BRIEF = Training(
    rounds=3,
    episodes_per_round=16,
    updates_per_round=2,
    batch_size=40,
    pool_size=120,
    pool_rounds=6,
)
weight = st.floats(0, 1)


@pytest.fixture(scope="module")
def policy():
    torch.set_num_threads(1)
    surrogate = Surrogate(toy_tables())
    return Policy.of(surrogate, train(surrogate, TARGETS, BRIEF))


@pytest.fixture(scope="module")
def every(policy):
    space = policy.surrogate.space
    return np.concatenate(list(space.enumerate(space.mask)))


def asked(wants, row):
    goals = dict(
        zip(("accuracy", "latency", "energy", "storage"), wants.weights[row], strict=True)
    )
    limits = zip(reward.BUDGET_NAMES, wants.limits[row], strict=True)
    budgets = Budgets(**{name: None if np.isinf(limit) else limit for name, limit in limits})
    return Goals(**goals), budgets, TARGETS[wants.target[row]]


def test_web_process_gets_the_policy_without_torch():
    code = "import sys, selector.policy, selector.explain, selector.baselines; print('torch' in sys.modules)"
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    assert found.stdout.strip() == "False"


def test_budget_is_never_missed_when_a_recipe_meets_it(policy, every):
    surrogate = policy.surrogate
    wants = draw_wishes(surrogate, TARGETS, 80, np.random.default_rng(4))
    gaps, infeasible = [], 0
    for row in range(len(wants)):
        goals, budgets, target = asked(wants, row)
        values = reward.quantities(surrogate, surrogate.costs((target,)).totals(every))
        best = reward.utility(values[None], wants.take(np.array([row]))).max()
        found = policy.select(goals, budgets, target)
        infeasible += best < reward.INFEASIBLE + 1
        assert bool(found.violated) == (best < reward.INFEASIBLE + 1)
        if not found.violated:
            gaps.append(reward.relative_gap(np.array(found.score), np.array(best)))
    assert 0 < infeasible < 60
    assert np.mean(gaps) < 0.005


def test_nearest_recipe_says_what_each_limit_would_have_to_be(policy):
    budgets = Budgets(max_accuracy_drop=0.01, max_size_bytes=900.0)
    found = policy.select(Goals(), budgets, TARGETS[0])
    assert "max_size_bytes" in found.violated
    assert set(found.nearest) == set(found.violated)
    relaxed = Budgets(
        max_accuracy_drop=found.nearest.get("max_accuracy_drop", 0.01),
        max_size_bytes=found.nearest["max_size_bytes"],
    )
    assert policy.select(Goals(), relaxed, TARGETS[0]).violated == ()


def optimum(surrogate, every, question, locks=None):
    """The best utility of all recipes that the locks allow."""
    goals, budgets, target = question
    asked = Question(
        surrogate=surrogate, target=target, goals=goals, budgets=budgets, locks=locks or {}
    ).prepared()
    return asked.utility(asked.allowed(every)).max()


def shortfalls(policy, every, wants, locks=None):
    """Relative gaps of answers to questions that can be met; a missed limit counts as 1."""
    found = []
    for row in range(len(wants)):
        question = asked(wants, row)
        best = optimum(policy.surrogate, every, question, locks)
        if best > reward.INFEASIBLE + 1:
            answer = policy.select(*question, locks)
            gap = reward.relative_gap(np.array(answer.score), np.array(best))
            found.append(1.0 if answer.violated else float(gap))
    return np.array(found)


def test_thorough_answer_is_the_best_of_all_recipes_even_where_nothing_was_known(policy, every):
    stranger = Policy.of(
        policy.surrogate,
        replace(policy.weights, pool=policy.surrogate.space.untouched()),
    )
    wants = draw_wishes(policy.surrogate, TARGETS, 60, np.random.default_rng(5))
    for row in range(len(wants)):
        question = asked(wants, row)
        best = optimum(policy.surrogate, every, question)
        quick, found = (stranger.select(*question, thorough=each) for each in (False, True))
        assert (quick.gap_to_best_found, quick.first_look_gap) == (None, None)
        assert bool(found.violated) == (best < reward.INFEASIBLE + 1)
        if not found.violated:
            assert quick.violated or found.score >= quick.score - 1e-12
            assert found.score == pytest.approx(best, abs=0.005)
            behind = (found.score - quick.score) / max(found.score, 0.01)
            expected = 1.0 if quick.violated else pytest.approx(behind)
            assert found.first_look_gap == expected


def test_device_that_was_not_trained_on_is_answered_as_well(every):
    surrogate = Surrogate(toy_tables())
    for left_out, target in enumerate(TARGETS):
        others = [each for each in TARGETS if each is not target]
        policy = Policy.of(surrogate, train(surrogate, others, BRIEF))
        assert target.name not in policy.weights.targets
        wants = draw_wishes(surrogate, TARGETS, 90, np.random.default_rng(4))
        gaps = shortfalls(policy, every, wants.take(wants.target == left_out))
        assert len(gaps) > 10
        assert gaps.mean() < 0.01


@pytest.mark.parametrize(
    "locks",
    [
        {"fc1": Lock(technique="keep")},
        {"join": Lock(technique="svd"), "*": Lock(exclude=("int8",))},
        {"left": Lock(exclude=("svd", "filter_pruning")), "fc2": Lock(technique="keep")},
    ],
)
def test_changed_locks_are_answered_without_retraining(policy, every, locks):
    wants = draw_wishes(policy.surrogate, TARGETS, 40, np.random.default_rng(8))
    gaps = shortfalls(policy, every, wants, locks)
    assert len(gaps) > 10
    assert gaps.mean() < 0.005


def test_answers_do_not_depend_on_what_was_asked_before(policy):
    question = (Goals(latency=1), Budgets(max_accuracy_drop=2.0), TARGETS[1])
    first = policy.select(*question)
    for lock in ("keep", "svd"):
        policy.select(*question, {"join": Lock(technique=lock)})
    policy.select(Goals(), Budgets(), TARGETS[0])
    assert policy.select(*question) == first


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(weight, weight, weight, weight),
    st.dictionaries(
        st.sampled_from(["left", "right", "join", "fc1", "fc2", "*"]),
        st.one_of(
            st.just(Lock(technique="keep")),
            st.sets(
                st.sampled_from(["svd", "filter_pruning", "int8", "global_average_pooling"])
            ).map(lambda names: Lock(exclude=tuple(sorted(names)))),
        ),
        max_size=4,
    ),
    st.sampled_from(TARGETS),
)
def test_locks_are_never_broken(policy, goals, locks, target):
    wanted = Goals(
        **dict(zip(("accuracy", "latency", "energy", "storage"), goals, strict=True))
    )
    found = policy.select(wanted, Budgets(max_accuracy_drop=3.0), target, locks)
    space = policy.surrogate.space
    config = np.array([found.config])
    assert space.is_legal(config, locked_mask(space, locks))[0]


def test_forced_technique_is_in_the_answer(policy):
    locks = {
        "join": Lock(technique="svd"),
        "*": Lock(technique="int8", params={"mode": "weights"}),
    }
    steps = policy.select(Goals(accuracy=1), Budgets(), TARGETS[1], locks).recipe
    assert {(step.layer, step.technique) for step in steps} >= {("join", "svd"), ("*", "int8")}


def test_same_question_gets_the_same_answer(policy):
    answers = [
        policy.select(Goals(), Budgets(max_accuracy_drop=2), TARGETS[1]) for _ in range(2)
    ]
    assert answers[0] == answers[1]


def test_only_accuracy_leaves_the_network_alone(policy):
    goals = Goals(accuracy=1, latency=0, energy=0, storage=0)
    found = policy.select(goals, Budgets(), TARGETS[0])
    assert found.prediction.accuracy_drop_points.value == 0
    assert found.recipe == ()
    assert found.score == 0


def test_policy_survives_the_disk(policy, tmp_path):
    policy.weights.save(tmp_path / "policy.npz")
    policy.surrogate.tables.save(tmp_path / "tables.npz")
    loaded = Policy.load(tmp_path / "policy.npz", tmp_path / "tables.npz")
    question = (Goals(), Budgets(max_accuracy_drop=1), TARGETS[2])
    assert loaded.select(*question) == policy.select(*question)
    assert loaded.weights.targets == TRAINING_TARGETS


def test_policy_of_another_network_is_refused(policy):
    with pytest.raises(BadRequestError, match="does not belong to these tables"):
        Policy.of(Surrogate(lenet_tables()), policy.weights)


def test_known_configurations_join_the_candidates(policy, every):
    known = every[[100, 2000]]
    more = policy.with_known(known)
    shown = more.candidates(TARGETS[0], 1000)
    assert all((shown == config).all(axis=1).any() for config in known)


def test_candidates_are_distinct_with_the_front_first(policy):
    shown = policy.candidates(TARGETS[0], 10)
    assert len(np.unique(shown, axis=0)) == len(shown) == 10


def test_agent_of_another_version_is_told(policy, tmp_path):
    """The studio then says that the study is outdated."""
    arrays = {name.replace("context", "trunk"): x for name, x in policy.weights.arrays.items()}
    replace(policy.weights, arrays=arrays).save(tmp_path / "policy.npz")
    with pytest.raises(KeyError, match=r"context\.weight"):
        PolicyWeights.load(tmp_path / "policy.npz")


def test_broken_file_is_no_policy(tmp_path):
    path = tmp_path / "policy.npz"
    path.write_bytes(b"no archive")
    with pytest.raises(ValueError, match="pickled"):
        PolicyWeights.load(path)
