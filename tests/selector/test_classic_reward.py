from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compression.analytic_cost import AnalyticConstants
from compression.cost import load_device
from compression.types import Precision
from selector.classic_figures import Figures
from selector.classic_reward import Demand
from selector.classic_settings import ClassicSettings, Norm, View
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.tables import PRECISIONS
from selector.types import Budgets, Goals
from tests.selector.synthetic_tables import lenet_tables

TARGET = load_device("redmi-3s")
ELEMENTS_READ_AND_WRITTEN = 5488 + 5880 + 2200 + 2000 + 520 + 204 + 94
"""Of conv1, pool1, conv2 (whose input these tables take to be cut to 10x10), pool2, fc1, fc2 and fc3."""


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(lenet_tables())


def prepared(surrogate, budgets=None, goals=None):
    return Question(
        surrogate=surrogate,
        target=TARGET,
        goals=goals or Goals(accuracy=0.4, latency=0.1, energy=0.3, storage=0.2),
        budgets=budgets or Budgets(),
    ).prepared()


def demand(question, **settings):
    chosen = ClassicSettings(**settings)
    figures = Figures(question, chosen)
    space = question.costs.space
    drawn = space.sample(question.mask, 100, np.random.default_rng(0))
    return Demand.of(question, chosen, figures, drawn), figures


def test_analytic_figures_of_lenet_are_those_by_hand(surrogate):
    question = prepared(surrogate)
    _, figures = demand(question)
    energy, macs, bits = (values[0] for values in figures.analytic(question.start()))
    activations = ELEMENTS_READ_AND_WRITTEN / 2
    assert macs == 416_520
    assert bits == 32 * (61_706 + activations)
    assert energy == pytest.approx(52.8e-9 * (416_520 + 6 * 61_706 + 200 * activations))


def test_analytic_view_and_device_view_are_never_mixed(surrogate):
    question = prepared(surrogate)
    by_device = demand(question)[1].of(question.start())[0]
    counted = demand(question, view=View.ANALYTIC)[1]
    by_count = counted.of(question.start())[0]
    assert by_device[0] == by_count[0] == pytest.approx(0.99)
    base = surrogate.baseline(TARGET)
    assert by_device[1:].tolist() == [base.energy_mj, base.latency_ms, base.size_bytes]
    assert by_count[1:].tolist() == [float(v[0]) for v in counted.analytic(question.start())]


def test_a_lower_precision_changes_nothing_that_the_paper_counts(surrogate):
    question = prepared(surrogate)
    _, figures = demand(question)
    lower = question.start()
    lower[0, -1] = 2
    for whole, low in zip(
        figures.analytic(question.start()), figures.analytic(lower), strict=True
    ):
        assert whole == low


def test_places_of_weights_are_counted_or_not():
    tables = lenet_tables()
    bytes_ = tables.weight_bytes.copy()
    halved = PRECISIONS.index(Precision.FP16_WEIGHTS)
    bytes_[halved] = bytes_[0] / 2
    bytes_[:, 1] += 1000.0  # where the kept weights of a thinned layer lie
    surrogate = Surrogate(replace(tables, weight_bytes=bytes_))
    question = prepared(surrogate)
    thinned = question.start()
    d = next(i for i, x in enumerate(surrogate.space.decisions) if x.layer == "fc1" and x.thins)
    thinned[0, d] = 1
    bits = [
        demand(question, count_indices=counted)[1].analytic(thinned)[2][0]
        for counted in (True, False)
    ]
    assert bits[0] - bits[1] == 8000.0


def test_limits_are_what_was_asked_or_what_the_original_is(surrogate):
    base = surrogate.baseline(TARGET)
    asked = Budgets(max_accuracy_drop=2.0, max_latency_ms=float(base.latency_ms) / 2)
    found, _ = demand(prepared(surrogate, asked))
    expected = [0.97, base.energy_mj, base.latency_ms / 2, base.size_bytes]
    assert found.limits == pytest.approx(expected)


def test_limits_carry_over_to_counts_as_shares_of_the_original(surrogate):
    base = surrogate.baseline(TARGET)
    asked = Budgets(
        max_energy_mj=float(base.energy_mj) / 4, max_size_bytes=base.size_bytes / 10
    )
    question = prepared(surrogate, asked)
    found, figures = demand(question, view=View.ANALYTIC)
    energy, macs, bits = (float(values[0]) for values in figures.analytic(question.start()))
    assert found.limits[1:] == pytest.approx([energy / 4, macs, bits / 10])


def test_goals_become_weights_and_a_limit_raises_its_multiplier(surrogate):
    assert demand(prepared(surrogate))[0].weights == pytest.approx([0.4, 0.3, 0.1, 0.2])
    limited = prepared(surrogate, Budgets(max_size_bytes=100_000))
    assert demand(limited)[0].weights == pytest.approx([0.4, 0.3, 0.1, 1.0])
    fixed = demand(limited, mu1=0.6, mu2=0.4, lambda2=0.5)[0]
    assert fixed.weights == pytest.approx([0.6, 0.4, 0.1, 0.5])


def test_norm_is_zero_at_the_limit_and_one_at_the_best(surrogate):
    found, _ = demand(prepared(surrogate, Budgets(max_accuracy_drop=1.0)))
    assert found.terms(found.limits) == pytest.approx(0.0)
    best = [0.99, *found.one[1:]]
    assert found.terms(np.array(best)) == pytest.approx(1.0)


def test_between_worst_and_best_the_limits_of_accuracy_and_energy_cancel_out(surrogate):
    loose = prepared(surrogate, Budgets(max_accuracy_drop=8.0))
    tight = prepared(surrogate, Budgets(max_accuracy_drop=0.5))
    configs = surrogate.space.sample(surrogate.space.mask, 20, np.random.default_rng(1))
    for norm, same in ((Norm.RANGE, True), (Norm.LIMIT, False)):
        rewards = [
            found.reward(figures.of(configs))
            for found, figures in (demand(q, norm=norm) for q in (loose, tight))
        ]
        assert np.allclose(*rewards) == same


def test_slack_pays_only_where_it_is_to(surrogate):
    base = surrogate.baseline(TARGET)
    question = prepared(surrogate, Budgets(max_latency_ms=float(base.latency_ms) / 2))
    for rewarded in (True, False):
        found, _ = demand(question, slack_rewarded=rewarded)
        inside, beyond = found.limits.copy(), found.limits.copy()
        inside[2] *= 0.8
        beyond[2] *= 1.2
        assert (found.terms(inside)[2] > 0) == rewarded
        assert found.terms(beyond)[2] < 0


def test_terms_that_are_not_normalised_are_in_their_own_units(surrogate):
    found, _ = demand(prepared(surrogate), constraints_normalised=False)
    figures = found.limits - [0.0, 0.0, 0.25, 1000.0]
    assert found.terms(figures)[2:] == pytest.approx([0.25, 1000.0])


def test_clipped_terms_stay_within_one(surrogate):
    found, _ = demand(prepared(surrogate), norm_clipped=True)
    far = np.array([0.1, 100.0, 100.0, 1e9])
    assert found.terms(far).tolist() == [-1.0] * 4


def test_only_multipliers_of_broken_limits_rise(surrogate):
    base = surrogate.baseline(TARGET)
    limited = prepared(surrogate, Budgets(max_latency_ms=float(base.latency_ms) / 2))
    found, figures = demand(limited, dual_step=0.1)
    over = found.tightened(figures.of(limited.start())[0]).weights - found.weights
    assert over[2] > 0
    assert over[[0, 1, 3]].tolist() == [0.0, 0.0, 0.0]


def test_a_demand_is_told_in_the_papers_symbols_with_units(surrogate):
    told = demand(prepared(surrogate))[0].to_json()
    assert told["view"] == "device"
    assert told["units"] == {"E_max": "mJ", "T_bgt": "ms", "S_bgt": "bytes"}
    assert told["A_min"] == pytest.approx(0.94)
    by_bit = demand(
        prepared(surrogate), view=View.ANALYTIC, analytic=AnalyticConstants(mac_pj=1.0)
    )
    assert by_bit[0].to_json()["E_max"] < told["T_bgt"]
