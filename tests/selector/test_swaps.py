from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector.changes import SingleChanges, polish
from selector.locks import locked_mask
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.swaps import swap
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGET = load_device("rpi4")


def asked(surrogate, size, locks=None):
    """As fast as a file of that size allows, in bytes."""
    goals = Goals(accuracy=0.4, latency=0.6, energy=0, storage=0)
    budgets = Budgets(max_size_bytes=size)
    question = Question(
        surrogate=surrogate, target=TARGET, goals=goals, budgets=budgets, locks=locks or {}
    )
    return question.prepared()


def swapped_from(changes, question, config):
    return swap(changes, question, question.costs.priced(config[None])).configs


@pytest.mark.parametrize(
    ("make", "finds"), [(toy_tables, True), (lenet_tables, True), (residual_tables, False)]
)
def test_two_changes_at_once_get_past_a_limit_that_stops_one(make, finds):
    surrogate = Surrogate(make())
    space, changes = surrogate.space, SingleChanges(surrogate.costs((TARGET,)))
    base = float(surrogate.baseline(TARGET).size_bytes)
    starts = space.sample(space.mask, 12, np.random.default_rng(0))
    gained = []
    for share in (0.03, 0.1, 0.2, 0.3, 0.5):
        question = asked(surrogate, share * base)
        start = question.costs.priced(starts)
        ends = polish(changes, start, question.mask, question.totals_utility, turns=50).configs
        swapped = np.concatenate([swapped_from(changes, question, end) for end in ends])
        assert space.is_legal(swapped, question.mask).all()
        gained.append(question.utility(swapped) - question.utility(ends))
    assert np.min(gained) >= 0
    assert (np.max(gained) > 1e-6) == finds


def test_locks_hold_while_two_change():
    surrogate = Surrogate(toy_tables())
    space, changes = surrogate.space, SingleChanges(surrogate.costs((TARGET,)))
    locks = {"join": Lock(technique="svd"), "left": Lock(technique="keep")}
    mask = locked_mask(space, locks)
    question = asked(surrogate, 0.5 * float(surrogate.baseline(TARGET).size_bytes), locks)
    for start in space.sample(mask, 20, np.random.default_rng(0)):
        assert space.is_legal(swapped_from(changes, question, start), mask)[0]
