from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.cost import device_names, load_device
from selector.accuracy import AccuracyModel
from selector.bound import upper_bound
from selector.reward import BUDGET_NAMES, INFEASIBLE
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import lenet_tables, toy_tables
from tests.selector.test_elimination import FEW

TARGETS = [load_device(name) for name in device_names()]
STEEP = (0.5, 0.9, 0.4, 0.8)
COLD_MS = np.array([1e-7, 1e-7, 0, 0, 1e-7, 0, 2e-7, 1e-6, 2e-3]) * np.array([[1.0], [0.3]])
NETWORKS = {
    "branches": (Surrogate(toy_tables()), {}),
    "removals": (Surrogate(lenet_tables()), FEW),
    "cold caches": (
        Surrogate(
            replace(
                toy_tables(1),
                host_fetch=np.array([[20_000.0, 1e-6], [5_000.0, 0.0]]),
                host_cold=COLD_MS,
            ),
            AccuracyModel(cap=60.0, coefficients=STEEP),
        ),
        {},
    ),
    "caches": (
        Surrogate(
            replace(toy_tables(1), host_fetch=np.array([[20_000.0, 1e-6], [5_000.0, 2e-6]])),
            AccuracyModel(cap=60.0, coefficients=STEEP),
        ),
        {},
    ),
}


def asked(name, seed):
    """A random wish on a network, with all the recipes that it allows."""
    surrogate, locks = NETWORKS[name]
    wants = draw_wishes(surrogate, TARGETS, 1, np.random.default_rng(seed))
    goals = ("accuracy", "latency", "energy", "storage")
    limits = zip(BUDGET_NAMES, wants.limits[0].tolist(), strict=True)
    question = Question(
        surrogate=surrogate,
        target=TARGETS[int(wants.target[0])],
        goals=Goals(**dict(zip(goals, wants.weights[0].tolist(), strict=True))),
        budgets=Budgets(**{name: None if np.isinf(v) else v for name, v in limits}),
        locks=locks,
    ).prepared()
    return question, np.concatenate(list(question.costs.space.enumerate(question.mask)))


@pytest.mark.parametrize("name", sorted(NETWORKS))
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000), few=st.sampled_from([4, 60]))
def test_no_recipe_is_ever_better_than_the_bound(name, seed, few):
    question, every = asked(name, seed)
    best = float(question.utility(every).max())
    bound = upper_bound(question, question.start()[0], few)
    if bound is None:
        return
    if best <= INFEASIBLE:
        assert bound.score == -np.inf
        return
    assert bound.score >= best
    assert question.utility(bound.config[None])[0] <= best + 1e-12


def test_bound_is_near_the_best_recipe_where_boxes_suffice():
    gaps = []
    for seed in range(12):
        question, every = asked("removals", seed)
        best = question.utility(every)
        if best.max() <= 0.1:
            continue
        bound = upper_bound(question, every[best.argmax()])
        gaps.append(bound.score / best.max() - 1)
    assert np.median(gaps) < 0.1


def test_what_cannot_be_met_is_proven():
    question = Question(
        surrogate=NETWORKS["branches"][0],
        target=TARGETS[0],
        budgets=Budgets(max_accuracy_drop=0.05, max_size_bytes=3000.0),
    ).prepared()
    assert upper_bound(question, question.start()[0]).score == -np.inf


def test_guessing_that_is_almost_as_good_has_no_bound():
    surrogate = Surrogate(toy_tables(), AccuracyModel(cap=3.0))
    question = Question(surrogate=surrogate, target=TARGETS[0]).prepared()
    assert upper_bound(question, question.start()[0]) is None
