"""The referees of the benchmark of the selector's answers."""

import numpy as np
import pytest

from benchmarks import selector_gap
from benchmarks.selector_gap import OUT_OF_REACH, Referees, best_scores
from compression.cost import load_device
from selector.reward import quantities, utility
from selector.surrogate import Surrogate
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import toy_tables

TARGET = load_device("rpi4")


@pytest.fixture(scope="module")
def referees():
    surrogate = Surrogate(toy_tables())
    wants = draw_wishes(surrogate, [TARGET], 3, np.random.default_rng(3))
    return Referees(surrogate=surrogate, wants=wants, asked=[TARGET], seconds=0.0)


@pytest.fixture(scope="module")
def optimum(referees):
    surrogate, wants = referees.surrogate, referees.wants
    every = np.concatenate(list(surrogate.space.enumerate(surrogate.space.mask)))
    values = quantities(surrogate, surrogate.costs((TARGET,)).totals(every))
    best = utility(np.repeat(values[None], len(wants), axis=0), wants).max(axis=1)
    return np.where(best > -900, best, OUT_OF_REACH)


def untouched(referees):
    return [referees.surrogate.space.untouched(len(referees.wants))]


def test_few_recipes_are_all_tried_by_as_many_processes_as_asked(referees, optimum):
    assert best_scores(referees, untouched(referees), 2) == pytest.approx(optimum)


def test_other_methods_judge_where_there_are_too_many_recipes(referees, optimum, monkeypatch):
    monkeypatch.setattr(selector_gap, "MOST_EXHAUSTIVE", 10)
    found = best_scores(referees, untouched(referees), 1)
    assert (found <= optimum + 1e-9).all()
    assert found == pytest.approx(optimum, abs=0.05)
