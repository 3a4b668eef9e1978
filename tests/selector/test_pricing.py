from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compression.cost import FEATURES, load_device
from selector.action_space import ActionSpace
from selector.cell_prices import DAMAGE, ENERGY, LATENCY, MACS, PARAMS, SIZE
from selector.job import TRAINING_TARGETS
from selector.pricing import CostTables
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = [load_device(name) for name in TRAINING_TARGETS]


@pytest.fixture(params=[lenet_tables, residual_tables, toy_tables])
def costs(request):
    tables = request.param()
    return CostTables(tables, ActionSpace(tables), TARGETS)


def test_lookahead_equals_pricing_each_change(costs):
    space, rng = costs.space, np.random.default_rng(1)
    configs = space.sample(space.mask, 40, rng)
    target = rng.integers(0, len(TARGETS), 40)
    totals = costs.totals(configs, target)
    for d in range(space.n_decisions):
        ahead = costs.lookahead(configs, d, totals, target)
        for a in np.flatnonzero(space.mask[d]):
            changed = configs.copy()
            changed[:, d] = a
            assert ahead[:, a] == pytest.approx(
                costs.totals(changed, target), rel=1e-9, abs=1e-9
            )


def test_lookahead_knows_that_what_fits_the_caches_is_not_fetched():
    fetch = np.array([[100_000.0, 1e-6], [30_000.0, 1e-6]])
    cold = np.array([[2e-4], [1e-4]]) * np.arange(9)
    tables = replace(lenet_tables(), host_fetch=fetch, host_cold=cold)
    costs = CostTables(tables, ActionSpace(tables), TARGETS)
    space, rng = costs.space, np.random.default_rng(1)
    configs = np.concatenate([space.untouched(), space.sample(space.mask, 40, rng)])
    host = TARGETS.index(load_device("this-host"))
    totals = costs.totals(configs, host)
    for d in range(space.n_decisions):
        ahead = costs.lookahead(configs, d, totals, host)
        for a in np.flatnonzero(space.mask[d]):
            changed = configs.copy()
            changed[:, d] = a
            assert ahead[:, a] == pytest.approx(costs.totals(changed, host))


def test_weights_beyond_the_caches_take_time_and_energy_here():
    plain = lenet_tables()
    fetch = np.array([[100_000.0, 1e-6], [0.0, 0.0]])
    tables = replace(plain, host_fetch=fetch)
    space = ActionSpace(tables)
    host = TARGETS.index(load_device("this-host"))
    without, found = (
        CostTables(each, space, TARGETS).totals(space.untouched(), host)[0]
        for each in (plain, tables)
    )
    fetched_ms = (4 * 61_706 - 100_000) * 1e-6
    assert found[LATENCY] - without[LATENCY] == pytest.approx(fetched_ms)
    watts = TARGETS[host].power_w
    assert found[ENERGY] - without[ENERGY] == pytest.approx(fetched_ms * watts)
    elsewhere = [
        CostTables(each, space, TARGETS).totals(space.untouched(), 1 - min(host, 1))
        for each in (plain, tables)
    ]
    assert np.array_equal(*elsewhere)


@pytest.mark.parametrize(
    ("cached", "share"), [(80_000.0, 0.0), (61_706 / 1.25, 0.25), (20_000.0, 1.0)]
)
def test_operations_take_longer_while_weights_push_one_another_out_of_the_caches(cached, share):
    fetch, cold = np.array([[4 * cached, 0.0], [0.0, 0.0]]), np.zeros((2, 9))
    cold[0, FEATURES.index("operations")] = 0.001
    tables = replace(lenet_tables(), host_fetch=fetch, host_cold=cold)
    costs = CostTables(tables, ActionSpace(tables), [load_device("this-host")])
    base = costs.space.untouched()
    warm = tables.host_ms[0, :, 0, 0, 0].sum() + tables.host_offset_ms[0]
    n_operations = tables.features[:, 0, 0, 0, 8].sum()
    total = costs.totals(base)[0, LATENCY]
    assert total == pytest.approx(warm + share * 0.001 * n_operations)
    of_rows = costs.row_totals(base[0])[:, LATENCY].sum()
    assert of_rows + tables.host_offset_ms[0] == pytest.approx(total)


@pytest.mark.parametrize("weights", [10_000.0, 30_000.0, 50_000.0, 90_000.0])
def test_marginal_prices_are_the_slopes_of_what_totals_cost(weights):
    fetch, cold = np.array([[160_000.0, 1e-6], [0.0, 0.0]]), np.full((2, 9), 1e-7)
    tables = replace(lenet_tables(), host_fetch=fetch, host_cold=cold)
    costs = CostTables(tables, ActionSpace(tables), [load_device("this-host")])
    sums, block = np.ones((1, 7)), np.zeros(1, dtype=np.int64)
    sums[:, PARAMS] = weights
    prices = np.array([[3.0, 0.5, 1.0, 2.0, 0.1, 1.0, 0.0]])
    steps = np.eye(7) * 1e-3
    ends = costs.with_fetches(sums + steps, np.zeros(7, dtype=np.int64)) @ prices[0]
    start = costs.with_fetches(sums, block) @ prices[0]
    found = costs.marginal_prices(prices, costs.with_fetches(sums, block), block)
    assert found[0] == pytest.approx((ends - start) / 1e-3, rel=1e-6, abs=1e-6)


def test_untouched_network_costs_what_was_measured():
    tables = lenet_tables()
    costs = CostTables(tables, ActionSpace(tables), TARGETS)
    base = costs.totals(costs.space.untouched(), TARGETS.index(load_device("this-host")))[0]
    assert base[PARAMS] == 61_706
    assert base[SIZE] == pytest.approx(tables.base_file_bytes)
    assert base[LATENCY] == pytest.approx(tables.host_ms[0, :, 0, 0, 0].sum() + 0.02)
    assert base[DAMAGE] == 0


def test_pooled_head_costs_nothing_behind_it():
    tables = lenet_tables()
    costs = CostTables(tables, ActionSpace(tables), TARGETS)
    space = costs.space
    config = space.untouched()
    head = next(d for d, decision in enumerate(space.decisions) if decision.layer == "fc1")
    count = space.counts[head]
    config[0, head] = next(
        i for i in range(count) if "global_average_pooling" in space.techniques(head, i)
    )
    assert costs.totals(config)[0, PARAMS] == 156 + 2416 + 16 * 10 + 10


def test_thinned_weights_save_bytes_and_nothing_else():
    tables = lenet_tables()
    costs = CostTables(tables, ActionSpace(tables), TARGETS)
    space = costs.space
    config = space.untouched()
    thinner = next(d for d, x in enumerate(space.decisions) if x.layer == "fc1" and x.thins)
    config[0, thinner] = 2
    change = (costs.totals(config) - costs.totals(space.untouched()))[0]
    saved = tables.weight_bytes[0, 0, 4, 0, 0, 0] - tables.weight_bytes[0, 2, 4, 0, 0, 0]
    assert change[SIZE] == pytest.approx(-saved)
    assert change[DAMAGE] == pytest.approx(np.sqrt(tables.kl_thinning[4, 2]))
    assert np.delete(change, [SIZE, DAMAGE]) == pytest.approx(np.zeros(5))


def test_concat_interpolates_between_the_widths_of_its_groups():
    tables = toy_tables()
    costs = CostTables(tables, ActionSpace(tables), TARGETS)
    config = costs.space.untouched()
    decisions = costs.space.decisions
    left = next(d for d, x in enumerate(decisions) if x.layer == "left" and x.narrows)
    config[0, left] = [action.width for action in decisions[left].actions].index(2)
    macs = costs.totals(config)[0, MACS] - costs.totals(costs.space.untouched())[0, MACS]
    own = 64 * 3 * 9 * (8 - 16)
    join = tables.macs[2, 0, :, 0]
    assert macs == pytest.approx(own + join[1] + (join[2] - join[1]) / 3 - join[0])
