from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector.cell_prices import LATENCY, SIZE
from selector.changes import SingleChanges, polish
from selector.job import TRAINING_TARGETS
from selector.surrogate import Surrogate
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = tuple(load_device(name) for name in TRAINING_TARGETS)


@pytest.fixture(params=[toy_tables, lenet_tables, residual_tables])
def surrogate(request):
    return Surrogate(request.param())


def test_every_change_is_priced_as_one_by_one(surrogate):
    space, costs = surrogate.space, surrogate.costs(TARGETS)
    rng = np.random.default_rng(0)
    configs = space.sample(space.mask, 6, rng)
    target = rng.integers(0, len(TARGETS), 6)
    changes = SingleChanges(costs)
    totals = costs.totals(configs, target)
    ahead = changes.ahead(configs, totals, target)
    for d in range(space.n_decisions):
        alone = costs.lookahead(configs, d, totals, target)
        assert ahead[:, changes.decisions == d] == pytest.approx(alone, rel=1e-9, abs=1e-9)


def test_legal_changes_are_those_of_each_decision(surrogate):
    space = surrogate.space
    configs = space.sample(space.mask, 40, np.random.default_rng(1))
    changes = SingleChanges(surrogate.costs(TARGETS[:1]))
    legal = changes.legal(configs, space.mask)
    for d in range(space.n_decisions):
        alone = space.legal(configs, d, space.mask)
        assert np.array_equal(legal[:, changes.decisions == d], alone)


def test_polish_ends_where_no_single_change_helps(surrogate):
    space, costs = surrogate.space, surrogate.costs(TARGETS[:1])

    def value(totals):
        return -totals[..., LATENCY] / 0.01 - totals[..., SIZE] / 1e4

    changes = SingleChanges(costs)
    start = space.sample(space.mask, 5, np.random.default_rng(2))
    found = polish(changes, costs.priced(start), space.mask, value, turns=100)
    ends = found.configs
    assert found.totals == pytest.approx(costs.totals(ends), rel=1e-9)
    assert space.is_legal(ends, space.mask).all()
    found = value(costs.totals(ends))
    assert (found >= value(costs.totals(start))).all()
    ahead = value(changes.ahead(ends, costs.totals(ends)))
    ahead[~changes.legal(ends, space.mask)] = -np.inf
    assert (ahead.max(axis=1) <= found + 1e-9).all()


def test_narrowed_polish_loses_nothing_and_ends_as_well_with_its_best(surrogate):
    space, costs = surrogate.space, surrogate.costs(TARGETS[:1])

    def value(totals):
        return -totals[..., LATENCY] / 0.01 - totals[..., SIZE] / 1e4

    start = costs.priced(space.sample(space.mask, 16, np.random.default_rng(2)))
    changes, before = SingleChanges(costs), value(start.totals)
    narrowed = polish(changes, start, space.mask, value, 100, fewest=2)
    whole = polish(changes, start, space.mask, value, 100)
    assert (value(narrowed.totals) >= before).all()
    assert value(narrowed.totals).max() == pytest.approx(value(whole.totals).max(), rel=0.02)
