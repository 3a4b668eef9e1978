from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compression.cost import load_device
from selector.baselines import Greedy, Random
from selector.locks import locked_mask
from selector.nsga2 import NSGA2
from selector.referees import BRANCH_AND_BOUND, LOOSEST, REFEREES, Yardstick, refereed
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables, toy_tables

TARGET = load_device("redmi-3s")
BUDGETS = Budgets(max_accuracy_drop=2.0)
LOCKS = {"left": Lock(technique="keep"), "join": Lock(exclude=("svd",))}


@pytest.fixture(scope="module")
def question():
    return Question(
        surrogate=Surrogate(toy_tables()), target=TARGET, budgets=BUDGETS, locks=LOCKS
    )


def poor(question):
    """The least change: an answer that any method beats."""
    prepared = question.prepared()
    return prepared.answer(prepared.start()[0], "dqn")


def test_referee_that_wins_answers(question):
    found, _ = refereed(question, poor(question), 0, may_replace=True)
    assert found.answered_by in {referee.name for referee in REFEREES} | {BRANCH_AND_BOUND}
    assert found.score > 0.1
    assert found.violated == ()
    assert found.gap_to_best_found == 0


def test_method_that_was_asked_for_keeps_its_answer_and_its_gap(question):
    found, _ = refereed(question, poor(question), 0, may_replace=False)
    assert found.answered_by == "dqn"
    assert found.config == poor(question).config
    assert found.gap_to_best_found == pytest.approx(1.0)


def test_method_that_was_asked_for_keeps_even_an_answer_that_misses_what_others_keep():
    surrogate = Surrogate(lenet_tables())
    limits = Budgets(max_accuracy_drop=0.3, max_size_bytes=30_000.0)
    asked = Question(surrogate=surrogate, target=TARGET, budgets=limits)
    own = Random(surrogate).select(asked.goals, limits, TARGET)
    found, _ = refereed(asked, own, 0, may_replace=False)
    assert own.violated
    assert (found.config, found.violated, found.answered_by) == (
        own.config,
        own.violated,
        "random",
    )
    assert (found.conflict, found.gap_to_best_found, found.gap_bound) == (None, 1.0, None)


def test_best_answer_is_left_as_it_is_with_a_bound_above_it(question):
    prepared = question.prepared()
    every = np.concatenate(list(prepared.costs.space.enumerate(prepared.mask)))
    best = prepared.answer(prepared.best(every), "dqn")
    found, _ = refereed(question, best, 0, may_replace=True)
    assert replace(found, gap_bound=None) == replace(best, gap_to_best_found=0.0)
    assert found.gap_bound is None or 0 < found.gap_bound <= LOOSEST


def test_impossible_limits_have_no_bound(question):
    tight = replace(question, budgets=Budgets(max_accuracy_drop=0.01, max_size_bytes=900.0))
    found, _ = refereed(tight, poor(tight), 0, may_replace=True)
    assert found.violated
    assert (found.gap_to_best_found, found.gap_bound) == (None, None)


def test_what_was_built_counts_among_the_best_found(question):
    answer = poor(question)
    known = Yardstick(best=0.5, bound=0.55)
    assert known.measured(answer, 0.5).gap_to_best_found == 0
    assert known.measured(answer, 0.5).gap_bound == pytest.approx(0.05 / 0.55)
    beaten = known.with_known([0.6, 0.2]).measured(answer, 0.5)
    assert beaten.gap_to_best_found == pytest.approx(0.1 / 0.6)
    assert beaten.gap_bound is None  # the predictions that it rests on were beaten


def test_an_answer_that_nobody_judged_says_nothing_of_its_gap(question):
    assert poor(question).gap_to_best_found is None


def test_gap_bound_is_small_where_the_score_is_nearly_linear():
    question = Question(
        surrogate=Surrogate(lenet_tables()),
        target=TARGET,
        goals=Goals(accuracy=0.1, latency=0.0, energy=0.0, storage=0.9),
    )
    answer = Greedy(question.surrogate).select(question.goals, question.budgets, TARGET)
    assert refereed(question, answer, 0, may_replace=True)[0].gap_bound < 0.02


def test_nsga2_keeps_limits_and_locks_and_repeats(question):
    asked = (Goals(), BUDGETS, TARGET, LOCKS)
    one, two = (NSGA2(question.surrogate, 3).select(*asked) for _ in range(2))
    assert one == two
    assert one.violated == ()
    assert one.score > 0.1
    space = question.surrogate.space
    assert space.is_legal(np.array([one.config]), locked_mask(space, LOCKS))[0]
