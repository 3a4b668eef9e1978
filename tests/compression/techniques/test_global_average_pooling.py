import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get, head_rows
from compression.types import RecipeStep
from tests.networks import OnnxBuilder, flat_relu, lenet, mlp, resnet

POOL = get("global_average_pooling")


def test_whole_head_is_one_layer_afterwards():
    network = import_onnx(lenet())
    changed = POOL.apply(network, "fc1", {})
    assert [row.name for row in head_rows(network.profile) if row.op == "dense"] == [
        *("fc1", "fc2", "fc3")
    ]
    assert [row.name for row in head_rows(changed.profile)] == ["fc1_classes"]
    assert changed.outputs_of["fc3"].node == "fc1_classes"
    assert "fc1" not in changed.outputs_of


def test_reconstruction_fits_the_new_layer_to_the_old_answers():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((256, 1, 28, 28)).astype(np.float32)
    raw = POOL.apply(network, "fc1", {})
    step = RecipeStep(layer="fc1", technique="global_average_pooling", params={})
    fitted = build(network, (step,), x).network
    answers = logits(network, x)
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


def test_head_that_is_a_mean_already_is_refused():
    network = import_onnx(resnet())
    last = network.profile.layers[-1].name
    with pytest.raises(TechniqueRefusedError, match="does not read a feature map"):
        POOL.apply(network, last, {})


def test_network_without_maps_is_refused():
    network = import_onnx(mlp())
    assert not POOL.applies_to(network.profile.layers[0], network.profile).yes


def test_later_layer_of_the_head_is_refused():
    with pytest.raises(TechniqueRefusedError, match="not the first layer"):
        POOL.apply(import_onnx(lenet()), "fc2", {})


def test_mean_comes_after_the_activation_that_follows_the_flattened_map():
    network = import_onnx(flat_relu())
    x = np.random.default_rng(0).standard_normal((64, 1, 8, 8)).astype(np.float32)
    module = POOL.apply(network, "fc1", {}).module
    maps = torch.relu(network.module.get_submodule("conv1")(torch.from_numpy(x)))
    found = module.get_submodule("fc1_classes")(maps.mean(dim=(2, 3)))
    assert torch.allclose(module(torch.from_numpy(x)), found, atol=1e-5)


def test_head_that_makes_a_map_again_is_refused():
    b = OnnxBuilder(1, 8, 8)
    x = b.op("Flatten", b.conv("x", "conv1", 1, 6, 3, pads=[1, 1, 1, 1]))
    x = b.relu(b.dense(x, "fc1", 384, 64))
    x = b.op("Reshape", x, b.const(np.array([-1, 8, 8])))
    x = b.op("MatMul", x, b.const(np.ones((8, 4), np.float32)))
    network = import_onnx(b.build(x, (8, 4)))
    layer = network.profile.layer("fc1")
    assert "a map again" in POOL.applies_to(layer, network.profile).reason


def test_what_follows_on_the_layer_finds_the_new_head():
    network = import_onnx(lenet())
    x = np.zeros((8, 1, 28, 28), np.float32)
    steps = tuple(
        RecipeStep(layer="fc1", technique=name, params=params)
        for name, params in (
            ("global_average_pooling", {}),
            ("magnitude_pruning", {"sparsity": 0.5}),
        )
    )
    found = build(network, steps, x)
    assert found.applied == steps
    zeros = found.network.module.get_submodule("fc1_classes").weight == 0
    assert 0.4 < zeros.float().mean() < 0.6


def test_what_took_the_place_of_the_layer_is_named():
    steps = (
        RecipeStep(layer="fc1", technique="global_average_pooling", params={}),
        RecipeStep(layer="fc1", technique="svd", params={"rank_ratio": 0.25}),
    )
    found = build(import_onnx(lenet()), steps, np.zeros((8, 1, 28, 28), np.float32))
    assert found.applied == steps[1:]
    ((step, reason),) = found.skipped
    assert step == steps[0]
    assert reason.endswith("called “fc1” (any more). Low-rank (SVD) has taken its place.")
