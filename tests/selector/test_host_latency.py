from dataclasses import replace

import numpy as np
import pytest

from compression.cost import FEATURES, load_device
from compression.types import LayerKind, Precision
from selector.action_space import ActionSpace
from selector.cell_prices import LATENCY
from selector.host_latency import SETTLED, Timed, recalibrated
from selector.network_choice import drawn, telling
from selector.pricing import CostTables
from selector.tables import PRECISIONS
from tests.selector.synthetic_tables import lenet_tables

TABLES = lenet_tables()
SPACE = ActionSpace(TABLES)
FULL_INT8 = PRECISIONS.index(Precision.INT8)


def priced_ms(tables, configs):
    costs = CostTables(tables, SPACE, [load_device("this-host")])
    return costs.totals(configs)[:, LATENCY]


def in_a_network(factor, operation_ms, floor_ms):
    """What whole networks would take if operations behaved like that."""
    counts = TABLES.features[..., 8]
    return replace(
        TABLES,
        host_ms=factor * TABLES.host_ms + operation_ms * counts,
        host_offset_ms=np.array([floor_ms, floor_ms]),
    )


def timed(tables, configs, noise=0.0):
    jitter = np.random.default_rng(3).normal(1.0, noise, len(configs))
    return [
        Timed(config=tuple(config), host_ms=float(ms * wobble))
        for config, ms, wobble in zip(
            configs.tolist(), priced_ms(tables, configs), jitter, strict=True
        )
    ]


def some(count, seed):
    configs = np.repeat(drawn(SPACE, count, seed), 2, axis=0)
    configs[1::2, -1] = FULL_INT8
    return np.concatenate([SPACE.untouched(), configs])


def test_whole_networks_show_what_operations_alone_do_not():
    truth = in_a_network(1.4, 0.0008, 0.04)
    found = recalibrated(TABLES, timed(truth, some(12, seed=0), noise=0.02))
    others = some(40, seed=1)
    error = np.abs(priced_ms(found, others) / priced_ms(truth, others) - 1)
    assert np.quantile(error, 0.9) < 0.05
    before = np.abs(priced_ms(TABLES, others) / priced_ms(truth, others) - 1)
    assert np.median(before) > 0.1


def test_a_type_of_operation_that_takes_longer_in_networks_is_found():
    dense = np.array([kind is LayerKind.DENSE for kind in TABLES.kinds])[:, None, None, None]
    truth = replace(TABLES, host_ms=TABLES.host_ms * np.where(dense, 1.5, 1.0))
    found = recalibrated(TABLES, timed(truth, some(16, seed=0), noise=0.01))
    others = some(40, seed=1)
    error = np.abs(priced_ms(found, others) / priced_ms(truth, others) - 1)
    assert np.quantile(error, 0.9) < 0.05


def off_by_layer_and_way(seed):
    """Rows that take other times in networks than alone, each way to build one by a share of its own."""
    rng = np.random.default_rng(seed)
    rows, ways = TABLES.host_ms.shape[1:3]
    factors = rng.normal(1.0, 0.2, (rows, 1)) + rng.normal(0.0, 0.1, (rows, ways))
    return replace(TABLES, host_ms=TABLES.host_ms * factors[:, :, None, None])


def misses(truth, networks, others):
    found = recalibrated(TABLES, timed(truth, networks, noise=0.01))
    return np.abs(priced_ms(found, others) / priced_ms(truth, others) - 1)


def test_a_layer_and_a_way_to_build_it_may_be_off_by_themselves():
    others = some(60, seed=1)
    errors = [misses(off_by_layer_and_way(s), some(19, seed=10 + s), others) for s in range(4)]
    assert np.median(errors) < 0.03
    assert np.quantile(errors, 0.9) < 0.09


def test_telling_networks_tell_more_than_drawn_ones():
    others = some(60, seed=1)
    told, by_chance = [], []
    for seed in range(4):
        truth = off_by_layer_and_way(seed)
        chosen = telling(TABLES, SPACE, 12, seed)
        told.append(misses(truth, np.concatenate([SPACE.untouched(), chosen]), others))
        by_chance.append(
            misses(
                truth,
                np.concatenate([SPACE.untouched(), drawn(SPACE, 12, seed)]),
                others,
            )
        )
    assert np.quantile(told, 0.9) < np.quantile(by_chance, 0.9)


def test_telling_networks_are_legal_different_float_and_the_same_for_a_seed():
    chosen = telling(TABLES, SPACE, 19, 5)
    assert len(np.unique(chosen, axis=0)) == 19
    assert SPACE.is_legal(chosen, SPACE.mask).all()
    assert not chosen[:, -1].any()
    assert chosen.any(axis=1).all()
    assert np.array_equal(chosen, telling(TABLES, SPACE, 19, 5))


def test_weights_that_no_cache_holds_take_time():
    # as many weights as a network of 12 MB has
    heavy = replace(TABLES, params=50 * TABLES.params)
    truth = replace(heavy, host_fetch=np.array([[4e6, 2e-8], [4e6, 0.0]]))
    found = recalibrated(heavy, timed(truth, some(16, seed=0), noise=0.01))
    others = some(40, seed=1)
    error = np.abs(priced_ms(found, others) / priced_ms(truth, others) - 1)
    assert np.quantile(error, 0.9) < 0.06
    assert found.host_fetch[0, 1] == pytest.approx(2e-8, rel=0.6)


def test_small_networks_stay_warm_where_large_ones_are_cold():
    heavy = replace(TABLES, params=50 * TABLES.params)
    fetch, cold = np.array([[2e6, 0.0], [2e6, 0.0]]), np.zeros((2, 9))
    cold[0, FEATURES.index("weight_elements")] = 2e-6
    truth = replace(heavy, host_fetch=fetch, host_cold=cold)
    found = recalibrated(heavy, timed(truth, some(19, seed=0), noise=0.01))
    others = some(60, seed=1)
    others = others[others[:, -1] != FULL_INT8]
    error = np.abs(priced_ms(found, others) / priced_ms(truth, others) - 1)
    assert np.quantile(error, 0.9) < 0.06
    assert found.host_fetch[0, 0] == 2e6
    assert (found.host_cold >= 0).all()


def test_cold_caches_are_kept_where_a_few_more_networks_say_nothing_else():
    cold = np.zeros((2, 9))
    cold[0, FEATURES.index("weight_elements")] = 2e-6
    settled = replace(
        replace(TABLES, params=50 * TABLES.params),
        host_fetch=np.array([[2e6, 0.0], [2e6, 0.0]]),
        host_cold=cold,
    )
    found = recalibrated(settled, timed(settled, some(4, seed=0)), SETTLED)
    others = some(40, seed=1)
    assert priced_ms(found, others) == pytest.approx(priced_ms(settled, others), rel=0.02)


def test_noise_moves_no_network_far_however_rich_in_a_rare_operation_it_is():
    found = recalibrated(TABLES, timed(TABLES, some(19, seed=3), noise=0.06))
    others = some(200, seed=103)
    error = np.abs(priced_ms(found, others) / priced_ms(TABLES, others) - 1)
    assert error.max() < 0.15


def test_settled_times_keep_the_size_of_the_cache():
    fetch = np.array([[4e6, 2e-8], [4e6, 0.0]])
    settled = replace(TABLES, params=50 * TABLES.params, host_fetch=fetch)
    found = recalibrated(settled, timed(settled, some(4, seed=0)), SETTLED)
    assert found.host_fetch[:, 0] == pytest.approx(fetch[:, 0])
    assert found.host_fetch[0, 1] == pytest.approx(2e-8, rel=0.3)


def test_few_networks_leave_the_band_unless_two_lie_outside():
    rows = timed(TABLES, some(4, seed=0)[::2])
    assert recalibrated(TABLES, rows, SETTLED).host_band == TABLES.host_band
    rows[2] = replace(rows[2], host_ms=2.0 * rows[2].host_ms)
    assert recalibrated(TABLES, rows, SETTLED).host_band < 2 * TABLES.host_band
    rows[3] = replace(rows[3], host_ms=2.0 * rows[3].host_ms)
    assert recalibrated(TABLES, rows, SETTLED).host_band > 2 * TABLES.host_band


def test_the_band_tells_how_far_predictions_are_off():
    truth = in_a_network(1.1, 0.0, 0.01)
    exact = recalibrated(TABLES, timed(truth, some(19, seed=0)))
    noisy = recalibrated(TABLES, timed(truth, some(19, seed=0), noise=0.15))
    assert exact.host_band == pytest.approx(0.09, abs=0.03)
    assert 0.12 < noisy.host_band <= 0.5


@pytest.mark.parametrize("seed", range(3))
def test_9_in_10_further_networks_lie_within_the_band(seed):
    truth = in_a_network(1.3, 0.0005, 0.01)
    found = recalibrated(TABLES, timed(truth, some(19, seed=seed), noise=0.08))
    others = some(100, seed=50 + seed)
    measured = np.array([row.host_ms for row in timed(truth, others, noise=0.08)])
    for arithmetic in (0, FULL_INT8):
        chosen = others[:, -1] == arithmetic
        error = np.abs(priced_ms(found, others[chosen]) / measured[chosen] - 1)
        assert (error <= found.host_band).mean() >= 0.87


def test_a_disturbed_timing_moves_little():
    rows = timed(TABLES, some(12, seed=0))
    rows[5] = replace(rows[5], host_ms=rows[5].host_ms * 3)
    found = recalibrated(TABLES, rows, SETTLED)
    base = SPACE.untouched()
    assert priced_ms(found, base) == pytest.approx(priced_ms(TABLES, base), rel=0.1)


def test_an_arithmetic_that_was_not_timed_keeps_its_times():
    rows = timed(in_a_network(1.4, 0.0, 0.01), SPACE.untouched())
    found = recalibrated(TABLES, rows)
    assert found.host_ms[1] == pytest.approx(TABLES.host_ms[1])
    assert found.host_ms[0] != pytest.approx(TABLES.host_ms[0])


def test_nothing_timed_changes_nothing():
    assert recalibrated(TABLES, []) is TABLES


def test_drawn_recipes_go_from_few_changes_to_many():
    configs = drawn(SPACE, 16, seed=2)
    changes = (configs > 0).sum(axis=1)
    assert changes[:4].mean() < changes[-4:].mean()
    assert not configs[:, -1].any()
    assert SPACE.is_legal(configs, SPACE.mask).all()
    assert np.array_equal(configs, drawn(SPACE, 16, seed=2))
