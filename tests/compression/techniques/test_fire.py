import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import alexnet, lenet

FIRE = get("fire")


def test_halves_are_joined_in_the_order_of_the_layer():
    network = import_onnx(lenet())
    changed = FIRE.apply(network, "conv2", {"squeeze_ratio": 0.25})
    assert changed.outputs_of["conv2"].node == "conv2_join"
    full = changed.module.get_submodule("conv2_full")
    assert full.out_channels == 8
    assert torch.equal(full.bias, network.module.get_submodule("conv2").bias[8:])


def test_small_filters_sit_in_the_middle_of_an_unpadded_kernel():
    network = FIRE.apply(import_onnx(lenet()), "conv2", {"squeeze_ratio": 0.25})
    assert network.profile.layer("conv2_middle").op == "slice"
    shapes = [
        network.profile.layer(f"conv2_{part}").out_shape[1:] for part in ("small", "full")
    ]
    assert shapes[0] == shapes[1]


def test_fitting_brings_the_answers_closer():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    raw = FIRE.apply(network, "conv2", {"squeeze_ratio": 0.25})
    step = RecipeStep(layer="conv2", technique="fire", params={"squeeze_ratio": 0.25})
    fitted = build(network, (step,), x).network
    answers = logits(network, x)
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


@pytest.mark.parametrize(
    ("network", "layer", "reason"),
    [(lenet, "conv1", "too few channels"), (lenet, "fc1", "convolutions")],
)
def test_refusals(network, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        FIRE.apply(import_onnx(network()), layer, {"squeeze_ratio": 0.25})


def test_squeeze_as_wide_as_the_input_is_refused():
    network = import_onnx(alexnet())
    first = network.profile.layers[0]
    assert not FIRE.applies_to(first, network.profile).yes
