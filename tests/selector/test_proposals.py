from dataclasses import replace

import numpy as np
import pytest

from compression.cost import device_names, load_device
from selector.learning import learnt
from selector.proposals import EVEN_SHARES, HOPELESS, even_recipes, local_bests, propose
from selector.surrogate import Surrogate, Validated
from tests.selector.synthetic_tables import lenet_tables

KINDS = ("kl_structure", "kl_width", "kl_thinning", "kl_precision")
TARGETS = [load_device(name) for name in device_names()[:3]]


@pytest.fixture(scope="module")
def begun():
    """A first round of candidates, and the predictions that learnt from them."""
    surrogate = Surrogate(lenet_tables())
    configs = propose(surrogate, 6, TARGETS, 0)
    predicted = surrogate.evaluate(configs, TARGETS[0]).drop_points
    built = [
        Validated(config=tuple(config.tolist()), drop_points=3 * points)
        for config, points in zip(configs, predicted.tolist(), strict=True)
    ]
    return learnt(surrogate, built), built


def test_the_next_round_builds_nothing_twice_and_repeats_for_a_seed(begun):
    surrogate, built = begun
    found = propose(surrogate, 6, TARGETS, 1, built)
    assert len(found) == 6
    every = {each.config for each in built} | {tuple(config.tolist()) for config in found}
    assert len(every) == len(built) + 6
    assert np.array_equal(found, propose(surrogate, 6, TARGETS, 1, built))
    assert not np.array_equal(found, propose(surrogate, 6, TARGETS, 2, built))


def test_wishes_asked_side_by_side_end_where_each_would_alone(begun):
    surrogate, _ = begun
    rng = np.random.default_rng(5)
    starts = surrogate.space.sample(surrogate.space.mask, 6, rng)
    starts = np.concatenate([surrogate.space.untouched(), starts])
    for asked, ends in list(local_bests(surrogate, TARGETS, 5, unsure=True))[::7]:
        assert np.array_equal(ends, asked.polished(starts))


def test_beliefs_differ_more_where_less_was_built(begun):
    surrogate, built = begun
    configs = surrogate.space.sample(surrogate.space.mask, 50, np.random.default_rng(3))

    def spread_of(model):
        rng = np.random.default_rng(0)
        drawn = [
            model.believing(rng).evaluate(configs, TARGETS[0]).drop_points for _ in range(40)
        ]
        return np.log(np.array(drawn) + 0.3).std(axis=0).mean()

    unsure, surer = spread_of(Surrogate(lenet_tables())), spread_of(surrogate)
    assert 0.05 < surer < 0.7 * unsure
    assert surrogate.believing(np.random.default_rng(0)).costs(TARGETS) is surrogate.costs(
        TARGETS
    )
    assert len(built) == 6


def test_where_every_change_is_ruinous_nothing_is_proposed():
    tables = lenet_tables()
    ruinous = {name: np.where(getattr(tables, name) > 0, 1e3, 0.0) for name in KINDS}
    assert len(propose(Surrogate(replace(tables, **ruinous)), 4, TARGETS, 0)) == 0


def test_hopeless_recipes_are_not_built_while_others_are_left(begun):
    surrogate, built = begun
    dire = [replace(each, drop_points=30 * each.drop_points) for each in built]
    taught = learnt(surrogate, dire)
    found = propose(taught, 4, TARGETS, 1, dire)
    asked = local_bests(taught, TARGETS, 1, unsure=True)
    every = np.unique([prepared.best(ends) for prepared, ends in asked], axis=0)
    losses, known = (taught.evaluate(rows, TARGETS[0]).drop_points for rows in (found, every))
    assert losses.max() < max(HOPELESS, np.sort(known)[4])


def test_the_first_round_begins_with_even_recipes():
    surrogate = Surrogate(lenet_tables())
    even = even_recipes(surrogate.space)
    found = propose(surrogate, 6, TARGETS, 0)
    assert np.array_equal(found[:2], even)
    for config, share in zip(even, EVEN_SHARES, strict=True):
        narrowed = [
            s for s in surrogate.space.decode(config) if s.technique == "filter_pruning"
        ]
        assert len(narrowed) > 2
        assert max(step.params["pruning_ratio"] for step in narrowed) == share
    assert len(propose(surrogate, 1, TARGETS, 0)) == 1
