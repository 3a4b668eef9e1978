import numpy as np
import pytest
import torch
from torch.nn import functional

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.factorization import hidden_and_mixing, hidden_bias, thin_and_wide
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import OnnxBuilder, grouped, inception, lenet, vgg

torch.set_num_threads(1)
MICRO = get("micro_mlp")


def test_start_without_data_is_exact_in_half_as_many_directions():
    weight = torch.randn(8, 4, 3, 3, generator=torch.Generator().manual_seed(0))
    hidden, mixing = hidden_and_mixing(6, weight, None)
    thin, wide = thin_and_wide(3, weight, None)
    x = torch.randn(2, 4, 7, 7).double()
    low_rank = functional.conv2d(functional.conv2d(x, thin), wide)
    perceptron = functional.conv2d(functional.conv2d(x, hidden).relu(), mixing)
    assert torch.allclose(perceptron, low_rank, atol=1e-9)


def test_start_with_data_is_exact_in_all_directions():
    weight = torch.randn(8, 20, generator=torch.Generator().manual_seed(1)).reshape(8, 5, 2, 2)
    rows = torch.randn(500, 20, generator=torch.Generator().manual_seed(2)) + 1.0
    hidden, mixing = hidden_and_mixing(6, weight, rows)
    bias = hidden_bias(hidden, rows)
    active = (rows.double() @ hidden.flatten(1).T + bias).relu() - bias
    thin, wide = thin_and_wide(6, weight, rows)
    low_rank = rows.double() @ (wide.flatten(1) @ thin.flatten(1)).T
    assert torch.allclose(active @ mixing.flatten(1).T, low_rank, atol=1e-9)


def test_bias_of_hidden_units_that_see_nothing_is_zero():
    assert not hidden_bias(torch.randn(4, 3, 1, 1), torch.zeros(10, 3)).any()


def test_relu_stands_between_the_two_layers():
    changed = MICRO.apply(import_onnx(vgg()), "features_3", {"hidden_ratio": 1 / 6})
    rows = [row for row in changed.profile.layers if row.name.startswith("features_3_")]
    assert [(row.op, row.kernel, row.out_channels) for row in rows] == [
        ("conv", (3, 3), 6),
        ("relu", (), 6),
        ("conv", (1, 1), 32),
    ]


def test_layer_without_bias_gets_one():
    b = OnnxBuilder(4, 10, 10)
    x = b.relu(b.conv("x", "plain", 4, 12, 3, bias=False))
    network = import_onnx(b.build(b.dense(b.op("Flatten", x), "fc", 768, 3), 3))
    assert not network.profile.layer("plain").bias
    changed = MICRO.apply(network, "plain", {"hidden_ratio": 1 / 3})
    rows = [row for row in changed.profile.layers if row.name.startswith("plain_")]
    assert [row.bias for row in rows if row.op == "conv"] == [True, True]


def test_fitted_perceptron_answers_as_low_rank_does():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    params = {"hidden_ratio": 1 / 3}
    step = RecipeStep(layer="conv2", technique="micro_mlp", params=params)
    answers = logits(network, x)
    fitted, raw = build(network, (step,), x).network, MICRO.apply(network, "conv2", params)
    assert kl_to_original(fitted, answers, x) < 0.5 * kl_to_original(raw, answers, x)
    hidden = fitted.module.get_submodule("conv2_hidden")
    assert (hidden.bias > 0).all()


@pytest.mark.parametrize(
    ("make", "layer", "reason"),
    [
        (lenet, "fc1", "only convolutions"),
        (inception, "mixed0_b1", "single value"),
        (grouped, "conv2", "grouped"),
    ],
)
def test_layers_without_filters_that_slide_are_refused(make, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        MICRO.apply(import_onnx(make()), layer, {"hidden_ratio": 1 / 6})
