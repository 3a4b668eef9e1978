import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.factorization import depthwise_and_pointwise, reading_filters_and_mixing
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import cnn_1d, grouped, lenet, mobilenet, vgg

CP = get("cp")


def whole(factors):
    """The filters that three layers amount to."""
    reading, filters, mixing = (factor.double().flatten(2) for factor in factors)
    return torch.einsum("orx,rt,riy->oit", mixing, filters[:, 0], reading)


def filters_of(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def data(weight, samples=3000):
    """Rows in which some inputs vary much more than others, and neighbours vary together."""
    rows = filters_of(samples, weight[0].numel())
    return (rows + 0.5 * rows.roll(1, 1)) * torch.logspace(-1, 1, rows.shape[1])


def error(weight, factors, rows):
    change = (whole(factors) - weight.double().flatten(2)).flatten(1)
    return float((rows.double() @ change.T).square().mean())


@pytest.mark.parametrize("shape", [(3, 2, 3, 3), (4, 5, 3)])
def test_enough_terms_are_the_identity(shape):
    weight = filters_of(*shape)
    factors = reading_filters_and_mixing(weight[0].numel(), weight, None)
    assert torch.allclose(whole(factors), weight.double().flatten(2), atol=1e-5)


def test_terms_are_found_again():
    terms = filters_of(3, 8, 1, 1), filters_of(3, 1, 3, 3, seed=1), filters_of(10, 3, 1, 1)
    weight = whole(terms).reshape(10, 8, 3, 3)
    found = whole(reading_filters_and_mixing(3, weight, None))
    assert (found - weight.flatten(2)).norm() < 0.02 * weight.norm()


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (12, 6, 7), (16, 140, 3, 3)])
def test_data_decide_what_is_kept(shape):
    weight = filters_of(*shape, seed=2)
    rows = data(weight)
    plain = reading_filters_and_mixing(shape[0], weight, None)
    fitted = reading_filters_and_mixing(shape[0], weight, rows)
    assert error(weight, fitted, rows) < 0.9 * error(weight, plain, rows)


def test_a_term_for_each_input_is_nearer_than_a_depthwise_layer():
    weight = filters_of(12, 8, 3, 3, seed=3)
    rows = data(weight)
    filters, mixing = depthwise_and_pointwise(weight, rows)
    separable = torch.eye(8).reshape(8, 8, 1, 1), filters, mixing
    terms = reading_filters_and_mixing(8, weight, rows)
    assert error(weight, terms, rows) < error(weight, separable, rows)


def test_all_three_factors_of_a_term_weigh_the_same():
    factors = reading_filters_and_mixing(5, 100 * filters_of(9, 7, 3, 3), None)
    reading, filters, mixing = (factor.flatten(1) for factor in factors)
    assert torch.allclose(reading.norm(dim=1), filters.norm(dim=1))
    assert torch.allclose(filters.norm(dim=1), mixing.norm(dim=0))


def test_filters_stand_between_two_layers_that_mix_channels():
    network = CP.apply(import_onnx(vgg()), "features_1", {"rank_ratio": 0.5})
    rows = [row for row in network.profile.layers if row.name.startswith("features_1")]
    assert [row.kernel for row in rows] == [(1, 1), (3, 3), (1, 1)]
    assert [row.is_depthwise for row in rows] == [False, True, False]
    assert [row.bias for row in rows] == [False, False, True]


@pytest.mark.parametrize(("weight", "inputs"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_dead_layers_and_dead_inputs_stay_finite(weight, inputs):
    filters, rows = weight * torch.randn(8, 6, 3, 3), inputs * torch.randn(200, 54)
    factors = reading_filters_and_mixing(6, filters, rows)
    assert all(torch.isfinite(factor).all() for factor in factors)


def test_signal_kernel_is_treated_alike():
    network = import_onnx(cnn_1d())
    conv = next(
        row for row in network.profile.layers if row.op == "conv" and row.in_channels > 4
    )
    changed = CP.apply(network, conv.name, {"rank_ratio": 0.5})
    rows = [row for row in changed.profile.layers if row.name.startswith(conv.name)]
    assert [row.kernel for row in rows] == [(1,), conv.kernel, (1,)]


def test_fitting_brings_the_answers_closer():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    raw = CP.apply(network, "conv2", {"rank_ratio": 0.5})
    step = RecipeStep(layer="conv2", technique="cp", params={"rank_ratio": 0.5})
    fitted = build(network, (step,), x).network
    answers = logits(network, x)
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


@pytest.mark.parametrize(
    ("network", "layer", "reason"),
    [
        (lenet, "conv1", "single channel"),
        (lenet, "fc1", "convolutions"),
        (mobilenet, "expand", "single value"),
    ],
)
def test_refusals(network, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        CP.apply(import_onnx(network()), layer, {"rank_ratio": 0.5})


def test_grouped_convolution_is_refused():
    network = import_onnx(grouped())
    conv = next(row for row in network.profile.layers if row.groups > 1)
    assert "grouped" in CP.applies_to(conv, network.profile).reason
