import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.sparse_factorization import dictionary_and_code
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import lenet

torch.set_num_threads(1)
CODING = get("sparse_coding")


def data(features, samples=2000):
    rows = torch.randn(samples, features, generator=torch.Generator().manual_seed(0))
    return rows * torch.logspace(-1, 1, features)


def error(weight, factors, rows):
    dictionary, code = factors
    return float(((code @ dictionary - weight.double()) @ rows.double().T).square().mean())


def test_rows_made_of_two_atoms_are_found_again():
    generator = torch.Generator().manual_seed(4)
    atoms = torch.randn(6, 30, generator=generator).double()
    code = torch.zeros(120, 6).double()
    for row in code:
        row[torch.randperm(6, generator=generator)[:2]] = torch.randn(
            2, generator=generator
        ).double()
    weight = code @ atoms
    dictionary, found = dictionary_and_code(6, 240, weight, None)
    assert torch.count_nonzero(found) == 240
    assert (found @ dictionary - weight).norm() < 0.1 * weight.norm()


def test_data_decide_what_the_dictionary_holds():
    weight = torch.randn(24, 32, generator=torch.Generator().manual_seed(2))
    rows = data(32)
    plain, fitted = (dictionary_and_code(8, 64, weight, seen) for seen in (None, rows))
    assert torch.count_nonzero(plain[1]) == torch.count_nonzero(fitted[1]) == 64
    assert error(weight, fitted, rows) < 0.7 * error(weight, plain, rows)


def test_turns_come_nearer_than_thinning_the_decomposition():
    weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(3)).double()
    left, values, right = torch.linalg.svd(weight, full_matrices=False)
    code = left[:, :12] * values[:12]
    order = code.abs().flatten().sort(descending=True).values[160]
    thinned = (code * (code.abs() > order)) @ right[:12]
    dictionary, found = dictionary_and_code(12, 160, weight, None)
    assert (found @ dictionary - weight).norm() < 0.95 * (thinned - weight).norm()


@pytest.mark.parametrize(("weight", "inputs"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_dead_layers_and_dead_inputs_stay_finite(weight, inputs):
    factors = dictionary_and_code(4, 20, weight * torch.randn(12, 9), inputs * data(9, 60))
    assert all(torch.isfinite(factor).all() for factor in factors)


def test_default_has_a_sixth_of_the_outputs_as_atoms_and_a_third_of_the_code():
    row = import_onnx(lenet()).profile.layer("fc1")
    dictionary, code = CODING.cost(row, {"dictionary_ratio": 1 / 6})
    assert (dictionary.out_shape, dictionary.density) == ((20,), 1.0)
    assert (code.in_shape, code.density) == ((20,), pytest.approx(1 / 3))
    assert code.macs == 20 * 120


def test_two_dense_layers_stand_for_one():
    changed = CODING.apply(import_onnx(lenet()), "fc1", {"dictionary_ratio": 1 / 6})
    rows = [row for row in changed.profile.layers if row.name.startswith("fc1")]
    assert [(row.in_channels * row.in_multiplier, row.bias) for row in rows] == [
        (400, False),
        (20, True),
    ]


def test_fitting_brings_the_answers_closer():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    params = {"dictionary_ratio": 1 / 3}
    raw = CODING.apply(network, "fc1", params)
    step = RecipeStep(layer="fc1", technique="sparse_coding", params=params)
    answers = logits(network, x)
    fitted = build(network, (step,), x).network
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


def test_layer_that_a_dictionary_would_not_shrink_is_refused():
    network = import_onnx(lenet())
    with pytest.raises(TechniqueRefusedError, match="only dense layers"):
        CODING.apply(network, "conv2", {"dictionary_ratio": 1 / 6})
    small = network.profile.layer("fc3").resized(in_channels=3, out_channels=2)
    assert "not be smaller" in CODING.applies_to(small, network.profile).reason
