from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.cost import load_device
from selector.cell_prices import DAMAGE, N_COLUMNS
from selector.elimination import Cheapest
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Lock
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGET = load_device("redmi-3s")
FEW = {
    "conv2": Lock(exclude=("svd", "fire")),
    "fc1": Lock(exclude=("svd", "filter_pruning")),
    "fc2": Lock(exclude=("svd", "filter_pruning", "magnitude_pruning")),
    "conv1": Lock(exclude=("magnitude_pruning",)),
}
PAIRS = {(2, 1, 4, 0): 4.0, (2, 0, 4, 2): 1e-4, (0, 0, 1, 2): 9.0}
NETWORKS = {
    "branches": (toy_tables(), {}),
    "removals": (lenet_tables(), FEW),
    "pairs": (lenet_tables().with_pairs(PAIRS), FEW),
}
price = st.floats(-1.0, 1.0)


def asked(name):
    tables, locks = NETWORKS[name]
    return Question(surrogate=Surrogate(tables), target=TARGET, locks=locks).prepared()


QUESTIONS = {name: asked(name) for name in NETWORKS}
EVERY = {
    name: np.concatenate(list(q.costs.space.enumerate(q.mask))) for name, q in QUESTIONS.items()
}


@pytest.mark.parametrize("name", sorted(NETWORKS))
@settings(max_examples=40, deadline=None)
@given(prices=st.tuples(*[price] * N_COLUMNS), data=st.data())
def test_no_recipe_is_cheaper_at_any_prices(name, prices, data):
    question, every = QUESTIONS[name], EVERY[name]
    precision = data.draw(st.sampled_from(np.flatnonzero(question.mask[-1]).tolist()))
    totals = question.costs.totals(every[every[:, -1] == precision])
    at = np.array(prices) / totals.mean(axis=0).clip(1e-9)
    cost, config = Cheapest(question.costs, question.mask, precision).find(at)
    assert cost == pytest.approx((totals @ at).min(), abs=1e-9)
    assert cost == pytest.approx((question.costs.totals(config[None])[0] @ at), abs=1e-9)
    assert question.costs.space.is_legal(config[None], question.mask)[0]


def test_deep_networks_are_no_harder():
    question = Question(
        surrogate=Surrogate(residual_tables(blocks=3)), target=TARGET
    ).prepared()
    prices = 1.0 / question.costs.totals(question.start())[0].clip(1e-9)
    prices[DAMAGE] = 0.3
    cost, config = Cheapest(question.costs, question.mask, 0).find(prices)
    mask = question.mask.copy()
    mask[-1, 1:] = False
    drawn = question.costs.space.sample(mask, 2000, np.random.default_rng(0))
    assert cost < (question.costs.totals(drawn) @ prices).min()
    assert cost == pytest.approx(question.costs.totals(config[None])[0] @ prices)


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_many_prices_at_once_are_the_same_as_one_after_the_other(name):
    question = QUESTIONS[name]
    solver = Cheapest(question.costs, question.mask, 0)
    scale = question.costs.totals(EVERY[name]).mean(axis=0).clip(1e-9)
    prices = np.random.default_rng(0).uniform(-1.0, 1.0, (9, N_COLUMNS)) / scale
    costs, configs = solver.find_many(prices)
    for at, cost, config in zip(prices, costs, configs, strict=True):
        one, same = solver.find(at)
        assert cost == pytest.approx(one, abs=1e-9)
        assert question.costs.totals(np.stack([config, same])) @ at == pytest.approx(
            one, abs=1e-9
        )
