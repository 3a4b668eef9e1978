import numpy as np
import pytest
import torch

from compression.building import Workbench
from compression.errors import TechniqueRefusedError
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.exporting import exported, seeded
from tests.networks import ZOO, OnnxBuilder, attention, lenet, mobilenet, resnet
from tests.zoo_vision import convnext

torch.set_num_threads(1)

METHOD = get("block_removal")


def samples(network, n=128):
    rng = np.random.default_rng(4)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def removable(network):
    rows = network.profile.layers
    return [r.name for r in rows if METHOD.applies_to(r, network.profile).yes]


def step(layer, technique="block_removal", **params):
    return RecipeStep(layer=layer, technique=technique, params=params)


def test_the_readers_of_the_sum_read_what_skipped_the_block():
    network = import_onnx(resnet())
    assert removable(network) == ["layer1_0_conv1", "layer2_1_conv1"]
    row = network.profile.layer("layer1_0_conv1")
    gone = METHOD.removes(row, network.profile)
    assert gone == ("relu_16", "layer1_0_conv2", "add_24", "relu_25")
    changed = METHOD.apply(network, "layer1_0_conv1", {})
    left = {row.name: row for row in changed.profile.layers}
    assert left.keys() == {r.name for r in network.profile.layers} - {*gone, row.name}
    assert left["layer2_0_conv1"].reads == ("relu_8",)
    assert "layer1_0_conv2" not in changed.outputs_of


def test_answers_are_those_of_a_network_whose_branch_gives_nothing():
    network = import_onnx(resnet())
    x = samples(network, 8)
    silent = import_onnx(resnet())
    last = silent.module.get_submodule("layer2_1_conv2")
    last.weight.data.zero_()
    last.bias.data.zero_()
    changed = METHOD.apply(network, "layer2_1_conv1", {})
    assert np.allclose(logits(changed, x), logits(silent, x), atol=1e-5)


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (attention, {"blocks_0_attention_qkv", "blocks_0_wide"}),
        (mobilenet, {"expand"}),
        (lambda: exported(seeded(convnext), 3, 16, 16), None),
    ],
)
def test_transformer_branches_and_inverted_residuals_are_blocks(make, named):
    network = import_onnx(make())
    found = removable(network)
    assert found
    if named is not None:
        assert named & set(found)
    for layer in found:
        changed = METHOD.apply(network, layer, {})
        x = samples(network, 4)
        verify_export(export_onnx(changed, x), changed, x)


def test_block_that_changes_the_shape_is_refused():
    with pytest.raises(
        TechniqueRefusedError, match="skip path of “add_44” holds a convolution"
    ):
        METHOD.apply(import_onnx(resnet()), "layer2_0_conv1", {})


def test_later_layer_of_a_block_is_refused_with_the_name_of_the_first():
    with pytest.raises(TechniqueRefusedError, match="first layer, “layer2_1_conv1”"):
        METHOD.apply(import_onnx(resnet()), "layer2_1_conv2", {})


def test_network_without_blocks_is_refused():
    with pytest.raises(TechniqueRefusedError, match="not part of a residual block"):
        METHOD.apply(import_onnx(lenet()), "conv1", {})


def test_branch_that_something_else_reads_is_refused():
    b = OnnxBuilder(4, 8, 8)
    x = b.relu(b.conv("x", "stem", 4, 8, 3, pads=[1] * 4))
    inner = b.relu(b.conv(x, "first", 8, 8, 3, pads=[1] * 4))
    y = b.op("Add", b.conv(inner, "last", 8, 8, 3, pads=[1] * 4), x)
    y = b.op("Flatten", b.op("GlobalAveragePool", b.op("Concat", y, inner, axis=1)))
    network = import_onnx(b.build(b.dense(y, "fc", 16, 3), 3))
    with pytest.raises(TechniqueRefusedError, match="more than the sum “add_12” reads"):
        METHOD.apply(network, "first", {})


@pytest.mark.parametrize("name", [n for n in ZOO if removable(import_onnx(ZOO[n]()))])
def test_layers_behind_are_fitted_to_what_they_put_out(name):
    network = import_onnx(ZOO[name]())
    x = samples(network, 192)
    bench, answers = Workbench.of(network, x), logits(network, x)
    for layer in removable(network):
        fitted = bench.build((step(layer),)).network
        unfitted = bench.build((step(layer),), fit=False).network
        assert kl_to_original(fitted, answers, x) < kl_to_original(unfitted, answers, x)


def test_all_blocks_can_go_and_what_is_left_can_be_narrowed_and_split():
    network = import_onnx(resnet())
    x = samples(network, 96)
    recipe = (
        *(step(layer) for layer in removable(network)),
        step("layer2_0_conv1", "filter_pruning", pruning_ratio=0.5),
        step("layer2_0_conv1", "svd", rank_ratio=0.25),
    )
    result = Workbench.of(network, x).build(recipe)
    assert result.applied == recipe
    assert result.network.profile.layer("layer2_0_conv1_wide").out_channels == 16
    verify_export(export_onnx(result.network, x), result.network, x)


def test_step_on_a_layer_that_went_is_skipped_with_a_reason():
    network = import_onnx(resnet())
    x = samples(network, 48)
    svd = step("layer1_0_conv2", "svd", rank_ratio=0.5)
    result = Workbench.of(network, x).build((svd, step("layer1_0_conv1")))
    assert [s.technique for s in result.applied] == ["block_removal"]
    assert "no layer called “layer1_0_conv2”" in result.skipped[0][1]


def test_layer_that_skipped_the_block_is_still_fitted_when_narrowed():
    b = OnnxBuilder(4, 8, 8)
    x = b.relu(b.conv("x", "stem", 4, 16, 3, pads=[1] * 4))
    x = b.conv(x, "bottleneck", 16, 16, 1)
    y = b.conv(b.relu(b.conv(x, "expand", 16, 32, 1)), "project", 32, 16, 1)
    x = b.op("Flatten", b.op("GlobalAveragePool", b.relu(b.op("Add", y, x))))
    network = import_onnx(b.build(b.dense(x, "fc", 16, 3), 3))
    bench = Workbench.of(network, samples(network, 192))
    recipe = (step("expand"), step("stem", "filter_pruning", pruning_ratio=0.5))
    weights = [
        bench.build(recipe, fit=fit).network.module.get_submodule("bottleneck").weight
        for fit in (True, False)
    ]
    assert not torch.allclose(*weights)
