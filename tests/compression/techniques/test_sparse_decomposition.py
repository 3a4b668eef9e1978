import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.sparse_factorization import channels_bases_and_mixing
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import cnn_1d, grouped, inception, lenet, vgg

torch.set_num_threads(1)
DECOMPOSITION = get("sparse_decomposition")


def whole(factors):
    """The filters that three layers amount to."""
    transform, bases, mixing = (factor.double().flatten(2) for factor in factors)
    channels = len(transform)
    filters = bases.reshape(channels, -1, bases.shape[2])
    mixed = mixing.reshape(len(mixing), channels, -1)
    return torch.einsum("omb,mbt,mi->oit", mixed, filters, transform[..., 0])


def data(weight, samples=2000):
    features = weight[0].numel()
    rows = torch.randn(samples, features, generator=torch.Generator().manual_seed(0))
    return (rows + 0.5 * rows.roll(1, 1)) * torch.logspace(-1, 1, features)


def error(weight, factors, rows):
    change = (whole(factors) - weight.double().flatten(2)).flatten(1)
    return float((rows.double() @ change.T).square().mean())


@pytest.mark.parametrize("shape", [(10, 4, 3, 3), (6, 3, 5)])
def test_all_bases_and_all_weights_are_the_identity(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    taps = weight[0, 0].numel()
    factors = channels_bases_and_mixing(taps, shape[0] * shape[1] * taps, weight, None)
    assert torch.allclose(whole(factors), weight.double().flatten(2), atol=1e-3)


@pytest.mark.parametrize("shape", [(16, 8, 3, 3), (12, 6, 7)])
def test_data_decide_what_is_kept(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(2))
    rows, count = data(weight), shape[0] * shape[1]
    plain, fitted = (channels_bases_and_mixing(3, count, weight, seen) for seen in (None, rows))
    assert torch.count_nonzero(fitted[2]) == count
    assert error(weight, fitted, rows) < 0.9 * error(weight, plain, rows)


@pytest.mark.parametrize(("weight", "inputs"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_dead_layers_and_dead_inputs_stay_finite(weight, inputs):
    filters, rows = weight * torch.randn(8, 6, 3, 3), inputs * torch.randn(200, 54)
    factors = channels_bases_and_mixing(2, 40, filters, rows)
    assert all(torch.isfinite(factor).all() for factor in factors)


def test_bases_are_half_of_what_would_save_nothing():
    row = import_onnx(vgg()).profile.layer("features_3")
    transform, filters, mixing = DECOMPOSITION.cost(row, {"density": 1 / 4})
    assert transform.out_shape[0] == 32
    assert filters.out_shape[0] == 32 * 3  # of (9 * 32 - 32) / (9 + 32) = 6.2
    assert filters.groups == 32
    assert mixing.density == pytest.approx(1 / 4)


def test_signal_kernel_is_treated_alike():
    network = import_onnx(cnn_1d())
    conv = next(row for row in network.profile.layers if row.name == "conv3")
    changed = DECOMPOSITION.apply(network, "conv3", {"density": 1 / 4})
    rows = [row for row in changed.profile.layers if row.name.startswith("conv3")]
    assert [row.kernel for row in rows] == [(1,), conv.kernel, (1,)]


def test_fitting_brings_the_answers_closer():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    raw = DECOMPOSITION.apply(network, "conv2", {"density": 1 / 2})
    step = RecipeStep(
        layer="conv2", technique="sparse_decomposition", params={"density": 1 / 2}
    )
    answers = logits(network, x)
    fitted = build(network, (step,), x).network
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


@pytest.mark.parametrize(
    ("make", "layer", "reason"),
    [
        (lenet, "conv1", "single channel"),
        (lenet, "fc1", "only convolutions"),
        (inception, "mixed0_b1", "single value"),
        (grouped, "conv2", "grouped"),
    ],
)
def test_layers_without_several_filters_a_channel_are_refused(make, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        DECOMPOSITION.apply(import_onnx(make()), layer, {"density": 1 / 4})
