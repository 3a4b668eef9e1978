from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector import reward
from selector.cell_prices import ENERGY, LATENCY, SIZE
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals
from tests.selector.synthetic_tables import lenet_tables

TARGET = load_device("redmi-3s")


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(lenet_tables())


def wants(surrogate, goals=None, **budgets):
    return reward.preferences(surrogate, [TARGET], goals or Goals(), Budgets(**budgets))


def values(surrogate, count=200):
    configs = surrogate.space.sample(surrogate.space.mask, count, np.random.default_rng(2))
    return reward.quantities(surrogate, surrogate.costs((TARGET,)).totals(configs))[None]


def test_score_is_the_published_sum(surrogate):
    asked = wants(surrogate, Goals(accuracy=2, latency=1, energy=1, storage=0))
    base = surrogate.costs((TARGET,)).totals(surrogate.space.untouched())[0]
    halved = np.array([[1.5, base[LATENCY] / 2, base[ENERGY], base[SIZE] / 3]])
    best = surrogate.best_log2(TARGET)
    assert reward.score(halved, asked)[0] == pytest.approx(0.5 * -1.5 / 5 + 0.25 * 1 / best[0])


def test_untouched_network_scores_zero(surrogate):
    base = surrogate.costs((TARGET,)).totals(surrogate.space.untouched())
    found = reward.quantities(surrogate, base)
    assert reward.score(found, wants(surrogate))[0] == pytest.approx(0)


def test_many_points_lost_count_as_one_term_at_most(surrogate):
    asked = wants(surrogate, Goals(accuracy=1, latency=0, energy=0, storage=0))
    lost = np.array([[60.0, *asked.base[0]]])
    assert reward.score(lost, asked)[0] == -1


def test_best_attainable_ratio_is_not_beaten_by_any_recipe(surrogate):
    found = values(surrogate, 20_000)[0]
    ratios = np.log2(wants(surrogate).base[0] / found[:, 1:].min(axis=0))
    assert np.all(ratios <= surrogate.best_log2(TARGET) + 1e-9)


def test_any_recipe_within_budgets_beats_any_without(surrogate):
    asked = wants(surrogate, max_accuracy_drop=3.0, max_size_bytes=100_000)
    found = values(surrogate)
    keeps = (found[0, :, 0] <= 3.0) & (found[0, :, 3] <= 100_000)
    utility = reward.utility(found, asked)[0]
    assert 0 < keeps.sum() < len(keeps)
    assert utility[keeps].min() > utility[~keeps].max()


def test_nearer_to_the_budgets_is_better_when_none_is_met(surrogate):
    asked = wants(surrogate, max_size_bytes=1.0)
    utility = reward.utility(values(surrogate), asked)[0]
    assert values(surrogate)[0, utility.argmax(), 3] == values(surrogate)[0, :, 3].min()


def test_no_gain_of_score_pays_for_a_violation_in_training(surrogate):
    asked = wants(
        surrogate, Goals(accuracy=0, latency=0, energy=0, storage=1), max_accuracy_drop=1.0
    )
    base, best = asked.base[0], asked.best_log2[0]
    inside = np.array([[1.0, *base]])
    outside = np.array([[1.01, base[0], base[1], base[2] / 2 ** (0.2 * best[2])]])
    assert reward.potential(outside, asked)[0] < reward.potential(inside, asked)[0]


def test_gap_is_a_share_of_what_compression_wins():
    assert reward.relative_gap(np.array(0.3), np.array(0.4)) == pytest.approx(0.25)
    assert reward.relative_gap(np.array(-0.001), np.array(0.0)) == pytest.approx(0.1)


def test_gap_is_unknown_where_nobody_keeps_the_limits_and_whole_where_only_others_do():
    missed = reward.INFEASIBLE - 0.2
    assert reward.gap_to_best(missed, missed + 0.1) is None
    assert reward.gap_to_best(missed, 0.3) == 1.0
    assert reward.gap_to_best(0.3, missed) == 0.0
    assert reward.gap_to_best(0.3, 0.4) == pytest.approx(0.25)
