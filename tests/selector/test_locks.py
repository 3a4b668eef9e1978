from __future__ import annotations

import numpy as np
import pytest

from selector.action_space import ActionSpace
from selector.errors import BadRequestError
from selector.locks import locked_mask
from selector.types import Lock
from tests.selector.synthetic_tables import lenet_tables, residual_tables


@pytest.fixture
def space():
    return ActionSpace(lenet_tables())


def allowed(space, locks, layer, kind=None):
    """What the locks leave of a layer's first decision, or of that kind of decision."""
    decisions = [d for d, decision in enumerate(space.decisions) if decision.layer == layer]
    d = next(d for d in decisions if kind is None or getattr(space.decisions[d], kind))
    mask = locked_mask(space, locks)
    return [space.techniques(d, int(i)) for i in np.flatnonzero(mask[d])]


def test_kept_layer_has_no_choice(space):
    assert allowed(space, {"conv2": Lock(technique="keep")}, "conv2") == [{}]


def test_technique_with_any_level(space):
    found = allowed(space, {"conv2": Lock(technique="svd")}, "conv2")
    assert [level["svd"]["rank_ratio"] for level in found] == [0.5, 0.25, 0.125]


def test_technique_at_one_level(space):
    lock = Lock(technique="filter_pruning", params={"pruning_ratio": 0.5})
    assert allowed(space, {"fc1": lock}, "fc1", "narrows") == [
        {"filter_pruning": {"pruning_ratio": 0.5}}
    ]
    assert allowed(space, {"fc1": lock}, "fc1", "builds") == [{}]
    assert allowed(space, {"fc1": lock}, "fc1", "thins") == [{}]


def test_all_that_is_done_to_a_layer_at_its_levels(space):
    treatments = {
        "filter_pruning": {"pruning_ratio": 0.5},
        "svd": {"rank_ratio": 0.25},
    }
    locks = {"fc1": Lock(treatments=treatments)}
    narrowed = allowed(space, locks, "fc1", "narrows")
    built = allowed(space, locks, "fc1", "builds")
    assert [one | other for one in narrowed for other in built] == [treatments]
    assert allowed(space, locks, "fc1", "thins") == [{}]


def test_what_is_done_to_a_layer_leaves_the_width_of_its_group_free():
    space = ActionSpace(residual_tables())
    locks = {"stage1_1_b": Lock(treatments={"svd": {"rank_ratio": 0.5}})}
    assert allowed(space, locks, "stage1_1_b") == [{"svd": {"rank_ratio": 0.5}}]
    assert allowed(space, locks, "stem") == allowed(space, {}, "stem")


def test_excluded_technique_is_gone_also_where_it_is_stacked(space):
    found = allowed(space, {"fc1": Lock(exclude=("svd",))}, "fc1")
    assert found
    assert not any("svd" in techniques for techniques in found)


def test_precision_is_locked_like_a_layer(space):
    found = allowed(space, {"*": Lock(technique="int8", params={"mode": "weights"})}, "*")
    assert found == [{"int8": {"mode": "weights"}}]


def test_layer_behind_a_replaced_head_keeps_the_head(space):
    found = allowed(space, {"fc2": Lock(technique="svd")}, "fc1")
    assert not any("global_average_pooling" in techniques for techniques in found)


def test_kept_layer_of_a_shared_group_keeps_the_group():
    space = ActionSpace(residual_tables())
    found = allowed(space, {"stage1_1_b": Lock(technique="keep")}, "stem")
    assert found == [{}]


def test_excluding_pruning_elsewhere_leaves_other_techniques_alone():
    space = ActionSpace(residual_tables())
    locks = {"stage1_1_b": Lock(exclude=("filter_pruning",))}
    assert len(allowed(space, locks, "stage1_1_b")) == 7
    assert allowed(space, locks, "stem") == [{}]


@pytest.mark.parametrize(
    ("locks", "message"),
    [
        ({"conv7": Lock(technique="keep")}, "There is no layer called 'conv7' to lock."),
        ({"pool1": Lock(technique="svd")}, "Layer pool1 cannot be treated with svd"),
        (
            {"fc1": Lock(treatments={"svd": {"rank_ratio": 0.5}, "fire": {}})},
            "Layer fc1 cannot be treated with fire and svd at that level",
        ),
        (
            {"fc1": Lock(treatments={"svd": {"rank_ratio": 0.51}})},
            "Layer fc1 cannot be treated with svd at that level",
        ),
        (
            {"fc3": Lock(technique="fire")},
            "Layer fc3 cannot be treated with fire at that level.",
        ),
        (
            {
                "fc1": Lock(technique="global_average_pooling"),
                "fc2": Lock(technique="svd"),
            },
            "The locks leave nothing to choose for layer fc1.",
        ),
    ],
)
def test_impossible_lock_is_explained(space, locks, message):
    with pytest.raises(BadRequestError, match=message):
        locked_mask(space, locks)
