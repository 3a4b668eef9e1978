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


def test_nearest_is_the_recipe_itself_where_it_is_a_choice(space):
    for config in space.sample(space.mask, 50, np.random.default_rng(0)):
        assert np.array_equal(space.nearest(space.decode(config)), config)


def test_nearest_leaves_out_what_is_no_choice_and_takes_the_nearest_level():
    space = ActionSpace(lenet_tables())
    steps = {
        "conv2": RecipeStep(
            layer="conv2", technique="filter_pruning", params={"pruning_ratio": 0.45}
        ),
        "nowhere": RecipeStep(layer="nowhere", technique="svd", params={"rank_ratio": 0.5}),
        "magic": RecipeStep(layer="fc1", technique="magic", params={}),
        "wrong": RecipeStep(layer="fc1", technique="svd", params={}),
    }
    with pytest.raises(BadRequestError):
        space.encode(tuple(steps.values()))
    found = {
        s.layer: (s.technique, s.params) for s in space.decode(space.nearest(steps.values()))
    }
    assert found["conv2"] == ("filter_pruning", {"pruning_ratio": 0.5})
    assert found["fc1"][0] == "svd"
    assert found.keys() == {"conv2", "fc1"}


def test_untouched_network_is_the_empty_recipe(space):
    assert space.decode(space.untouched()[0]) == ()


def test_pruning_comes_before_what_restructures_the_layer():
    space = ActionSpace(lenet_tables())
    config = space.untouched()[0]
    config[decision_of(space, "conv2")] = 1
    config[decision_of(space, "conv2", kind="narrows")] = 1
    config[decision_of(space, "fc1", kind="narrows")] = 1
    steps = [(step.layer, step.technique) for step in space.decode(config)]
    assert steps == [
        ("conv2", "filter_pruning"),
        ("conv2", "svd"),
        ("fc1", "filter_pruning"),
    ]


def test_every_distinct_recipe_is_enumerated_once():
    space = ActionSpace(toy_tables())
    configs = np.concatenate(list(space.enumerate(space.mask, chunk=500)))
    assert len(configs) == space.count(space.mask) == len(np.unique(configs, axis=0))
    assert space.is_legal(configs, space.mask).all()


def decision_of(space, layer, *, kind="builds"):
    return next(
        d for d, x in enumerate(space.decisions) if x.layer == layer and getattr(x, kind)
    )


def action_with(space, decision, technique):
    count = space.counts[decision]
    return next(i for i in range(count) if technique in space.techniques(decision, i))


def test_nothing_is_said_about_layers_that_are_gone():
    space = ActionSpace(lenet_tables())
    head, behind = decision_of(space, "fc1"), decision_of(space, "fc2")
    config = space.untouched()
    config[0, head] = action_with(space, head, "global_average_pooling")
    config[0, [behind, decision_of(space, "fc2", kind="thins")]] = 1
    assert not space.is_legal(config, space.mask)[0]
    assert space.canonical(config)[0].nonzero()[0].tolist() == [head]
    assert space.legal(config, behind, space.mask)[0].tolist().count(True) == 1


def test_removed_block_leaves_nothing_to_say_about_itself():
    space = ActionSpace(residual_tables())
    first, second = decision_of(space, "stage1_1_a"), decision_of(space, "stage1_1_b")
    config = space.untouched()
    config[0, first] = action_with(space, first, "block_removal")
    config[0, second] = 2
    assert space.canonical(config)[0].nonzero()[0].tolist() == [first]
    gone = space.removals.gone(space.canonical(config))[0]
    names = {name for name, out in zip(space.tables.layers, gone, strict=True) if out}
    assert names == {"stage1_1_b", "stage1_1_add"}


def test_what_takes_layers_out_is_not_narrowed_as_well():
    space = ActionSpace(lenet_tables())
    head, width = decision_of(space, "fc1"), decision_of(space, "fc1", kind="narrows")
    config = space.untouched()
    config[0, [head, width]] = action_with(space, head, "global_average_pooling"), 1
    assert space.canonical(config)[0].nonzero()[0].tolist() == [head]
    config[0, head] = action_with(space, head, "svd")
    assert space.is_legal(config, space.mask)[0]


def test_thinned_weights_are_a_decision_of_their_own():
    space = ActionSpace(lenet_tables())
    config = space.untouched()[0]
    config[decision_of(space, "conv2")] = 1
    config[decision_of(space, "conv2", kind="thins")] = 2
    assert [s.technique for s in space.decode(config)] == ["svd", "magnitude_pruning"]
    assert np.array_equal(space.encode(space.decode(config)), config)


def test_count_of_many_blocks_is_the_number_of_canonical_recipes():
    space = ActionSpace(residual_tables(blocks=3))
    free = space.mask.copy()
    free[:, 1:] = False
    blocks = [
        d
        for d, x in enumerate(space.decisions)
        if x.row >= 0 and d in space.removals.by_decision
    ]
    for d in blocks:
        free[d, space.counts[d] - 1] = True
        free[d + 1, 1] = True
    found = np.concatenate(list(space.enumerate(free)))
    assert len(found) == space.count(free) == len(np.unique(found, axis=0))
    assert space.is_legal(found, free).all()


def test_steps_that_do_not_narrow_a_small_layer_are_left_out():
    space = ActionSpace(lenet_tables())
    narrows = space.decisions[decision_of(space, "conv1", kind="narrows")]
    assert [action.width for action in narrows.actions] == [0, 1, 3]


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


def test_after_one_change_only_what_it_settles_is_to_be_silenced(space):
    rng = np.random.default_rng(0)
    configs = space.sample(space.mask, 200, rng)
    for decision in range(space.n_decisions):
        legal = space.legal(configs, decision, space.mask)
        changed = configs.copy()
        changed[:, decision] = np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1)
        found = space.removals.silenced_by(changed, decision)
        np.testing.assert_array_equal(found, space.canonical(changed))
