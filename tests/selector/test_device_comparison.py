import numpy as np
import pytest

from compression.cost import band, device_names, load_device
from selector import reward
from selector.device_comparison import Priced, Wish, indistinct, on_devices
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals
from tests.selector.synthetic_tables import lenet_tables

WISH = Wish(Goals(accuracy=0.2, latency=0.6, energy=0.1, storage=0.1), Budgets())


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(lenet_tables())


@pytest.fixture(scope="module")
def pool(surrogate):
    rng = np.random.default_rng(0)
    return surrogate.space.sample(surrogate.space.mask, 60, rng)


def compared(surrogate, pool, config, wish=WISH, names=None):
    devices = [load_device(name) for name in names or device_names()]
    return list(on_devices(surrogate, pool, config, wish, devices))


def test_every_device_has_a_row_priced_as_the_surrogate_prices_it(surrogate, pool):
    rows = compared(surrogate, pool, pool[0])
    assert [row.device.name for row in rows] == list(device_names())
    for row in rows:
        metrics = surrogate.evaluate(pool[:1], row.device)
        assert row.recipe.latency_ms == pytest.approx(float(metrics.latency_ms[0]))
        assert row.original.score == 0


def test_best_is_at_least_as_good_as_the_recipe_asked_about(surrogate, pool):
    for row in compared(surrogate, pool, pool[0]):
        assert row.best.score >= row.recipe.score


def test_limits_hold_on_each_device_by_itself(surrogate, pool):
    name = "rpi4"
    times = surrogate.evaluate(pool, load_device(name)).latency_ms
    limit = float(np.quantile(times, 0.3))
    wish = Wish(WISH.goals, Budgets(max_latency_ms=limit))
    (row,) = compared(surrogate, pool, pool[int(times.argmax())], wish, [name])
    assert row.recipe.latency_ms > limit
    assert row.best.latency_ms <= limit


def test_best_is_the_best_of_those_that_fit(surrogate, pool):
    (free,) = compared(surrogate, pool, pool[0], names=["rpi4"])

    def on(fits):
        return next(on_devices(surrogate, pool, pool[0], WISH, [load_device("rpi4")], fits))

    fitting = on(lambda _, priced: priced.config != free.best.config)
    assert fitting.best.config != free.best.config
    assert fitting.recipe.score <= fitting.best.score <= free.best.score
    assert on(lambda *_: False).best == free.best


def test_recipe_that_is_itself_the_best_is_a_tie(surrogate, pool):
    rows = compared(surrogate, pool[:1], pool[0])
    assert any(row.tie for row in rows)
    assert all(row.tie for row in rows if row.best.config == row.recipe.config)


def test_much_faster_recipe_is_no_tie(surrogate, pool):
    wish = Wish(Goals(accuracy=0, latency=1, energy=0, storage=0), Budgets())
    (row,) = compared(surrogate, pool, surrogate.space.untouched()[0], wish, ["rpi4"])
    assert row.best.latency_ms < row.recipe.latency_ms / 1.3
    assert not row.tie


@pytest.mark.parametrize(
    ("factors", "alike"),
    [
        ({"latency_ms": 1.1, "energy_mj": 1.1, "size_bytes": 1.01}, True),
        ({"latency_ms": 1.3}, False),
        ({"energy_mj": 1.3}, False),
        ({"energy_mj": 1 / 1.3}, False),
        ({"size_bytes": 1.05}, False),
    ],
)
def test_recipes_tie_only_where_time_energy_and_bytes_are_about_the_same(
    surrogate, factors, alike
):
    one = Priced((0,), 0.5, 10.0, 20.0, 30.0, 0.4)
    changed = {name: getattr(one, name) * factor for name, factor in factors.items()}
    other = one._replace(config=(1,), **changed)
    assert indistinct(surrogate, one, other) == alike


def test_band_is_that_of_the_recipe_on_the_device(surrogate, pool):
    (row,) = compared(surrogate, pool, pool[0], names=["rpi4"])
    assert (
        row.latency.high > band(load_device("rpi4")).high
    )  # LeNet is smaller than any measured


def test_comparison_keeps_no_prices(surrogate, pool):
    before = len(surrogate._costs)
    compared(surrogate, pool, pool[0])
    assert len(surrogate._costs) == before


def test_score_is_on_the_scale_of_the_pool(surrogate, pool):
    wish = Wish(Goals(accuracy=0, latency=1, energy=0, storage=0), Budgets())
    (row,) = compared(surrogate, pool, pool[0], wish, ["rpi4"])
    assert row.best.score == pytest.approx(1.0)
    assert reward.BUDGET_NAMES[1] == "max_latency_ms"
