import pytest

from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.op_costs import totals
from compression.technique import get, head_rows, identity_cost, names
from compression.types import LayerKind
from tests.networks import ZOO, lenet, resnet


def test_the_folder_is_the_registry():
    assert names() == (
        *("block_removal", "block_sparsity", "cp", "depthwise_separable", "filter_pruning"),
        *("fire", "global_average_pooling", "half_precision", "int8", "magnitude_pruning"),
        *("merge_linear", "micro_mlp", "pool_to_stride", "random_sparse", "sparse_coding"),
        *("sparse_decomposition", "svd", "tucker", "weight_clustering"),
    )
    assert all(get(name).name == name for name in names())


def test_unknown_technique_is_refused_with_those_there_are():
    with pytest.raises(TechniqueRefusedError, match=r"no technique called “magic”.*svd"):
        get("magic")


@pytest.mark.parametrize("name", ZOO)
def test_layers_left_alone_cost_what_they_hold(name):
    for row in import_onnx(ZOO[name]()).profile.layers:
        if row.kind is not LayerKind.OTHER:
            assert totals(identity_cost(row)) == (row.macs, row.params)


def test_what_runtimes_fuse_is_free():
    costs = {row.op: identity_cost(row) for row in import_onnx(resnet()).profile.layers}
    assert costs["relu"] == costs["flatten"] == ()
    assert costs["add"][0].op == "add"
    assert costs["global_average_pool"][0].op == "average_pool"


def test_levels_that_round_to_the_same_are_listed_once():
    profile = import_onnx(lenet()).profile
    levels = get("filter_pruning").distinct_levels(profile.layer("conv1"), profile)
    assert [level["pruning_ratio"] for level in levels] == [0.25, 0.75]


def test_head_ends_with_the_last_dense_layer():
    assert [row.op for row in head_rows(import_onnx(lenet()).profile)][::2] == ["dense"] * 3


SETTING = [(name, parameter) for name in names() for parameter in get(name).parameters]


@pytest.mark.parametrize(("name", "parameter"), SETTING, ids=lambda x: getattr(x, "name", x))
def test_settings_that_are_none_are_refused_in_words(name, parameter):
    right = get(name).levels()[0]
    get(name).check_settings(right)
    outside = (-1, 0, True, None, [], "much", float("nan"), float("inf"))
    for params in (
        {key: value for key, value in right.items() if key != parameter.name},
        {**right, "speed": 1},
        *({**right, parameter.name: value} for value in outside),
    ):
        with pytest.raises(TechniqueRefusedError) as caught:
            get(name).check_settings(params)
        told = str(caught.value)
        assert told.startswith(get(name).title)
        assert "speed" in told or parameter.name in told
        assert told.endswith(".")


@pytest.mark.parametrize(
    ("name", "params", "words"),
    [
        (
            "svd",
            {"rank_ratio": 1.5},
            "rank_ratio is 1.5, but takes a share above 0 and up to 1",
        ),
        (
            "svd",
            {"rank_ratio": "n/13"},
            "“n/13”, but takes a share above 0 and up to 1 or “n/12”",
        ),
        ("block_sparsity", {"blocks": 2.5}, "but takes a whole number from 2 on"),
        ("int8", {"mode": "half"}, "mode is “half”, but takes “weights” or “full”"),
        ("half_precision", {"mode": "full"}, "there is no setting mode"),
    ],
)
def test_what_a_setting_takes_is_told(name, params, words):
    with pytest.raises(TechniqueRefusedError) as caught:
        get(name).check_settings(params)
    assert words in str(caught.value)


def test_numbers_between_the_levels_are_settings_too():
    get("filter_pruning").check_settings({"pruning_ratio": 0.3})
    get("block_sparsity").check_settings({"blocks": 16})
