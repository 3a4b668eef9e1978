from __future__ import annotations

import numpy as np
import pytest

from compression.types import RecipeStep
from selector.action_space import ActionSpace
from selector.errors import BadRequestError
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables


@pytest.fixture(params=[lenet_tables, residual_tables, toy_tables])
def space(request):
    return ActionSpace(request.param())


def test_recipes_and_configurations_go_both_ways(space):
    for config in space.sample(space.mask, 50, np.random.default_rng(0)):
        assert np.array_equal(space.encode(space.decode(config)), config)


def test_untouched_network_is_the_empty_recipe(space):
    assert space.decode(space.untouched()[0]) == ()


def test_pruning_comes_before_what_restructures_the_layer():
    space = ActionSpace(lenet_tables())
    both = next(
        (d, i)
        for d, decision in enumerate(space.decisions)
        for i, action in enumerate(decision.actions)
        if action.width and action.structure
    )
    config = space.untouched()[0]
    config[both[0]] = both[1]
    assert [step.technique for step in space.decode(config)] == ["filter_pruning", "svd"]


def test_every_distinct_recipe_is_enumerated_once():
    space = ActionSpace(toy_tables())
    configs = np.concatenate(list(space.enumerate(space.mask, chunk=500)))
    assert len(configs) == space.count(space.mask) == len(np.unique(configs, axis=0))
    assert space.is_legal(configs, space.mask).all()


def test_nothing_is_said_about_layers_that_are_gone():
    space = ActionSpace(lenet_tables())
    config = space.untouched()
    config[0, space.head] = np.flatnonzero(space.pools)[0]
    config[0, space.vanishing] = 1
    assert not space.is_legal(config, space.mask)[0]
    assert not space.canonical(config)[0, space.vanishing].any()
    later = int(np.flatnonzero(space.vanishing)[0])
    assert space.legal(config, later, space.mask)[0].tolist().count(True) == 1


def test_pooled_head_is_never_narrowed():
    space = ActionSpace(lenet_tables())
    assert not space.widths[space.head][space.pools].any()


def test_steps_that_do_not_narrow_a_small_layer_are_left_out():
    space = ActionSpace(lenet_tables())
    assert [action.width for action in space.decisions[0].actions] == [0, 1, 3]


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (
            RecipeStep(layer="conv9", technique="svd", params={}),
            "There is nothing to choose for layer conv9.",
        ),
        (
            RecipeStep(layer="fc3", technique="fire", params={}),
            "Layer fc3 cannot be built with fire at that level.",
        ),
    ],
)
def test_foreign_recipe_is_refused_by_name(step, message):
    with pytest.raises(BadRequestError, match=message):
        ActionSpace(lenet_tables()).encode((step,))
