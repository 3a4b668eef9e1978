from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector import reward
from selector.baselines import BASELINES, Exhaustive
from selector.errors import BadRequestError
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import residual_tables, toy_tables

TARGET = load_device("redmi-3s")
QUESTIONS = [
    (Goals(), Budgets()),
    (Goals(accuracy=0.1, latency=0.6, energy=0.2, storage=0.1), Budgets(max_accuracy_drop=2.0)),
    (Goals(accuracy=0.3, latency=0, energy=0, storage=0.7), Budgets(max_latency_ms=0.2)),
]


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(toy_tables())


@pytest.mark.parametrize("question", QUESTIONS)
def test_exhaustive_search_finds_the_best_of_all(surrogate, question):
    every = np.concatenate(list(surrogate.space.enumerate(surrogate.space.mask)))
    values = reward.quantities(surrogate, surrogate.costs((TARGET,)).totals(every))
    best = reward.utility(
        values[None], reward.preferences(surrogate, [TARGET], *question)
    ).max()
    found = Exhaustive(surrogate).select(*question, TARGET)
    assert found.score == pytest.approx(best)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_every_baseline_keeps_budgets_and_locks_and_repeats(surrogate, name):
    locks = {"left": Lock(technique="keep"), "join": Lock(exclude=("svd",))}
    question = (Goals(), Budgets(max_accuracy_drop=2.0), TARGET, locks)
    one, two = (BASELINES[name](surrogate, seed=3).select(*question) for _ in range(2))
    assert one == two
    assert one.violated == ()
    assert one.answered_by == name
    assert one.score > 0
    assert not {("join", "svd")} & {(step.layer, step.technique) for step in one.recipe}
    assert "left" not in {step.layer for step in one.recipe}


def test_exhaustive_search_refuses_what_would_take_too_long():
    with pytest.raises(BadRequestError, match="too many to try them all"):
        Exhaustive(Surrogate(residual_tables())).select(Goals(), Budgets(), TARGET)
