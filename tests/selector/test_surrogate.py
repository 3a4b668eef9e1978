from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compression.cost import latency_ms, load_device
from compression.types import Precision
from selector.cell_prices import SIZE
from selector.job import TRAINING_TARGETS
from selector.local_search import climb
from selector.surrogate import Surrogate, Validated
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = [load_device(name) for name in TRAINING_TARGETS]


@pytest.mark.parametrize("make", [lenet_tables, residual_tables, toy_tables])
@pytest.mark.parametrize("target", TARGETS, ids=TRAINING_TARGETS)
def test_predictions_are_sane(make, target):
    surrogate = Surrogate(make())
    configs = surrogate.space.sample(surrogate.space.mask, 500, np.random.default_rng(0))
    base, found = surrogate.baseline(target), surrogate.evaluate(configs, target)
    assert base.drop_points == 0
    assert base.size_bytes == pytest.approx(surrogate.tables.base_file_bytes)
    for column in found:
        assert np.isfinite(column).all()
        assert (column >= 0).all()
    assert (found.drop_points[configs.any(axis=1)] > 0).all()


def test_validated_candidates_move_predictions_towards_what_was_measured():
    surrogate = Surrogate(lenet_tables())
    configs = surrogate.space.sample(surrogate.space.mask, 10, np.random.default_rng(1))
    before = surrogate.evaluate(configs, TARGETS[0]).drop_points
    measured = [
        Validated(config=tuple(c.tolist()), drop_points=float(d) / 4)
        for c, d in zip(configs, before, strict=True)
    ]
    refitted = surrogate.refit(measured)
    after = refitted.evaluate(configs, TARGETS[0]).drop_points
    wanted = before / 4
    assert np.abs(np.log(after / wanted)).mean() < 0.3 * np.abs(np.log(before / wanted)).mean()
    assert refitted.model.n_validated == 10


def test_climbing_ends_where_no_single_change_helps():
    surrogate = Surrogate(residual_tables())
    costs, space = surrogate.costs((TARGETS[1],)), surrogate.space
    start = space.sample(space.mask, 5, np.random.default_rng(2))
    end = climb(costs, start, space.mask, lambda totals: -totals[..., SIZE])
    sizes = costs.totals(end)[:, SIZE]
    assert (sizes <= costs.totals(start)[:, SIZE]).all()
    for decision in range(space.n_decisions):
        ahead = costs.lookahead(end, decision, costs.totals(end))[..., SIZE]
        legal = space.legal(end, decision, space.mask)
        assert (np.where(legal, ahead, np.inf).min(axis=1) >= sizes - 1e-6).all()


@pytest.mark.parametrize("make", [lenet_tables, residual_tables, toy_tables])
def test_features_of_a_network_price_it_as_the_tables_do(make):
    surrogate, board = Surrogate(make()), load_device("rpi4")
    configs = surrogate.space.sample(surrogate.space.mask, 20, np.random.default_rng(0))
    configs[:, -1] = 0
    for config, expected in zip(
        configs, surrogate.evaluate(configs, board).latency_ms, strict=True
    ):
        features = surrogate.network_features(config)
        assert latency_ms(features, board, Precision.FP32) == pytest.approx(expected)


def test_profile_that_has_changed_is_priced_anew():
    surrogate, board = Surrogate(lenet_tables()), load_device("rpi4")
    slower = replace(board, rates={kind: rate / 2 for kind, rate in board.rates.items()})
    before = surrogate.baseline(board), surrogate.best_log2(board)
    after = surrogate.baseline(slower), surrogate.best_log2(slower)
    assert after[0].latency_ms > 1.2 * before[0].latency_ms
    assert after[1][0] != before[1][0]
