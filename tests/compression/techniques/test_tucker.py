import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.factorization import reading_core_and_mixing
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import ZOO, cnn_1d, grouped, lenet, mobilenet, vgg

TUCKER = get("tucker")


def whole(factors):
    """The filters that three layers amount to."""
    reading, core, mixing = (factor.flatten(2) for factor in factors)
    return torch.einsum("osx,srt,riy->oit", mixing, core, reading)


def data(weight, samples=3000):
    """Rows in which some inputs vary much more than others, and neighbours vary together."""
    generator = torch.Generator().manual_seed(0)
    features = weight[0].numel()
    rows = torch.randn(samples, features, generator=generator)
    rows = rows + 0.5 * rows.roll(1, 1)
    return rows * torch.logspace(-1, 1, features)


def error(weight, factors, rows):
    change = (whole(factors) - weight.double().flatten(2)).flatten(1)
    return float((rows.double() @ change.T).square().mean())


@pytest.mark.parametrize("shape", [(6, 5, 3, 3), (4, 7, 5), (8, 4, 1, 3)])
def test_full_ranks_are_the_identity(shape):
    weight = torch.randn(shape)
    factors = reading_core_and_mixing((shape[1], shape[0]), weight, None)
    assert torch.allclose(whole(factors), weight.double().flatten(2), atol=1e-6)


def test_filters_of_low_rank_are_found_again():
    factors = torch.randn(3, 8, 1, 1), torch.randn(4, 3, 3, 3), torch.randn(10, 4, 1, 1)
    weight = whole([f.double() for f in factors]).reshape(10, 8, 3, 3)
    found = reading_core_and_mixing((3, 4), weight, None)
    assert torch.allclose(whole(found), weight.flatten(2), atol=1e-6)


def test_sweeps_come_nearer_than_the_first_projection():
    weight = torch.randn(12, 10, 3, 3, generator=torch.Generator().manual_seed(1)).double()
    inputs = torch.linalg.eigh(torch.einsum("oiab,ojab->ij", weight, weight))[1][:, -4:]
    outputs = torch.linalg.eigh(torch.einsum("oiab,piab->op", weight, weight))[1][:, -5:]
    start = torch.einsum("op,piab,ij->ojab", outputs @ outputs.T, weight, inputs @ inputs.T)
    found = whole(reading_core_and_mixing((4, 5), weight, None))
    assert (found - weight.flatten(2)).norm() < (start - weight).norm()


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (12, 6, 7), (16, 140, 3, 3)])
def test_data_decide_what_is_kept(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    rows, ranks = data(weight), (shape[1] // 2, shape[0] // 2)
    plain = reading_core_and_mixing(ranks, weight, None)
    fitted = reading_core_and_mixing(ranks, weight, rows)
    assert error(weight, fitted, rows) < 0.9 * error(weight, plain, rows)


def test_kernel_stands_between_two_layers_that_mix_channels():
    network = TUCKER.apply(import_onnx(vgg()), "features_1", {"rank_ratio": 0.5})
    rows = [row for row in network.profile.layers if row.name.startswith("features_1")]
    assert [row.kernel for row in rows] == [(1, 1), (3, 3), (1, 1)]
    assert [row.bias for row in rows] == [False, False, True]


@pytest.mark.parametrize(("weight", "inputs"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_dead_layers_and_dead_inputs_stay_finite(weight, inputs):
    filters, rows = weight * torch.randn(8, 6, 3, 3), inputs * torch.randn(200, 54)
    factors = reading_core_and_mixing((3, 4), filters, rows)
    assert all(torch.isfinite(factor).all() for factor in factors)


def test_signal_kernel_is_treated_alike():
    network = import_onnx(cnn_1d())
    conv = next(
        row for row in network.profile.layers if row.op == "conv" and row.in_channels > 4
    )
    changed = TUCKER.apply(network, conv.name, {"rank_ratio": 0.25})
    rows = [row for row in changed.profile.layers if row.name.startswith(conv.name)]
    assert [row.kernel for row in rows] == [(1,), conv.kernel, (1,)]


def test_ranks_are_widths_that_runtimes_like():
    for make in (ZOO["alexnet"], ZOO["vgg"]):
        profile = import_onnx(make()).profile
        for row in profile.layers:
            for params in TUCKER.distinct_levels(row, profile):
                inner, outer, _ = (op.out_shape[0] for op in TUCKER.cost(row, params))
                assert inner % 2 == outer % 2 == 0
                assert outer % 16 == 0 or outer < 48


def test_fitting_brings_the_answers_closer():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    raw = TUCKER.apply(network, "conv2", {"rank_ratio": 0.5})
    step = RecipeStep(layer="conv2", technique="tucker", params={"rank_ratio": 0.5})
    fitted = build(network, (step,), x).network
    answers = logits(network, x)
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


def test_narrowed_layer_is_fitted_too():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    recipe = (
        RecipeStep(layer="conv1", technique="filter_pruning", params={"pruning_ratio": 0.25}),
        RecipeStep(layer="conv2", technique="tucker", params={"rank_ratio": 0.5}),
    )
    result = build(network, recipe, x)
    assert not result.skipped
    assert result.network.profile.layer("conv2_reading").in_channels == 4


@pytest.mark.parametrize(
    ("network", "layer", "reason"),
    [
        (lenet, "conv1", "too few channels"),
        (lenet, "fc1", "convolutions"),
        (mobilenet, "expand", "single value"),
    ],
)
def test_refusals(network, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        TUCKER.apply(import_onnx(network()), layer, {"rank_ratio": 0.5})


def test_level_that_saves_nothing_is_refused():
    with pytest.raises(TechniqueRefusedError, match="not be smaller"):
        TUCKER.apply(import_onnx(lenet()), "conv2", {"rank_ratio": 1.0})


def test_grouped_convolution_is_refused():
    network = import_onnx(grouped())
    conv = next(row for row in network.profile.layers if row.groups > 1)
    assert "grouped" in TUCKER.applies_to(conv, network.profile).reason
