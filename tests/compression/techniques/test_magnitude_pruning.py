import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.sparse_factorization import fewer_weights
from compression.surgery import weights_of
from compression.technique import get
from compression.types import OpSpec, RecipeStep
from tests.networks import lenet, mobilenet

torch.set_num_threads(1)
PRUNING = get("magnitude_pruning")


def data(features, samples=2000):
    """Rows in which some inputs vary much more than others, and neighbours vary together."""
    generator = torch.Generator().manual_seed(0)
    rows = torch.randn(samples, features, generator=generator)
    return (rows + 0.5 * rows.roll(1, 1)) * torch.logspace(-1, 1, features)


def error(weight, found, rows):
    return float(((found - weight.double()).flatten(1) @ rows.double().T).square().mean())


def test_without_data_the_largest_weights_stay_as_they_are():
    weight = torch.tensor([[0.1, -3.0], [2.0, 0.5]])
    (found,) = fewer_weights(2, weight, None)
    assert found.tolist() == [[0.0, -3.0], [2.0, 0.0]]


@pytest.mark.parametrize("shape", [(12, 40), (8, 4, 3, 3), (6, 5, 7)])
def test_data_choose_and_refit_what_stays(shape):
    weight = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    rows, count = data(weight[0].numel()), weight.numel() // 4
    (plain,), (fitted,) = fewer_weights(count, weight, None), fewer_weights(count, weight, rows)
    assert torch.count_nonzero(plain) == torch.count_nonzero(fitted) == count
    assert error(weight, fitted, rows) < 0.5 * error(weight, plain, rows)


def test_weights_that_are_zero_already_stay_zero():
    weight = torch.randn(6, 10, generator=torch.Generator().manual_seed(2))
    weight[:, :4] = 0.0
    (found,) = fewer_weights(20, weight, data(10))
    assert not found[:, :4].any()


@pytest.mark.parametrize(("weight", "inputs"), [(0.0, 1.0), (1.0, 0.0), (0.0, 0.0)])
def test_dead_layers_and_dead_inputs_stay_finite(weight, inputs):
    (found,) = fewer_weights(10, weight * torch.randn(8, 6), inputs * torch.randn(50, 6))
    assert torch.isfinite(found).all()


def test_choice_by_data_answers_better_than_choice_by_size():
    network = import_onnx(lenet())
    x = np.random.default_rng(0).standard_normal((128, 1, 28, 28)).astype(np.float32)
    layers = ("conv2", "fc1", "fc2")
    steps = tuple(
        RecipeStep(layer=layer, technique="magnitude_pruning", params={"sparsity": 0.75})
        for layer in layers
    )
    raw = network
    for layer in layers:
        raw = PRUNING.apply(raw, layer, {"sparsity": 0.75})
    answers = logits(network, x)
    fitted = build(network, steps, x).network
    assert kl_to_original(fitted, answers, x) < 0.5 * kl_to_original(raw, answers, x)


def test_stored_weights_follow_the_stronger_of_two_steps():
    op = OpSpec(op="dense", in_shape=(10,), out_shape=(10,), params=100, density=0.3)
    row = import_onnx(lenet()).profile.layer("fc1")
    assert PRUNING.stored(op, row, {"sparsity": 0.5}).density == 0.3
    assert PRUNING.stored(op, row, {"sparsity": 0.75}).density == 0.25
    assert PRUNING.stored(op, row, {"sparsity": 0.75}).params == 100


def with_small_weights(share):
    """A LeNet with that share of ``fc1``'s weights smaller than 0.001."""
    model = onnx.load_from_string(lenet())
    (stored,) = [t for t in model.graph.initializer if t.name == "fc1.weight"]
    weight = numpy_helper.to_array(stored).copy()
    weight.ravel()[: round(share * weight.size)] *= 1e-4
    stored.CopyFrom(numpy_helper.from_array(weight, stored.name))
    return import_onnx(model.SerializeToString())


def test_published_threshold_removes_what_is_below_it():
    network = with_small_weights(0.6)
    thin = PRUNING.apply(network, "fc1", {"sparsity": "below 0.001"})
    before, after = weights_of(network, "fc1"), weights_of(thin, "fc1")
    assert torch.equal(after != 0, before.abs() > 0.001)
    (op,) = PRUNING.cost(network.profile.layer("fc1"), {"sparsity": "below 0.001"})
    assert op.density == pytest.approx(float((after != 0).float().mean()))


def test_published_threshold_is_refused_where_the_index_would_cost_more():
    network = with_small_weights(0.01)
    reason = PRUNING.refusal(
        network.profile.layer("fc1"), network.profile, {"sparsity": "below 0.001"}
    )
    assert (
        "costs more than the 1% that would go" in reason or "costs more than the 2%" in reason
    )
    assert PRUNING.applies_to(network.profile.layer("fc1"), network.profile).yes


def test_pruning_what_is_sparser_already_is_refused():
    once = PRUNING.apply(import_onnx(lenet()), "fc1", {"sparsity": 0.9})
    with pytest.raises(TechniqueRefusedError, match="already"):
        PRUNING.apply(once, "fc1", {"sparsity": 0.75})


def test_later_and_stronger_pruning_keeps_some_of_what_was_left():
    once = PRUNING.apply(import_onnx(lenet()), "fc1", {"sparsity": 0.5})
    twice = PRUNING.apply(once, "fc1", {"sparsity": 0.9})
    left = weights_of(twice, "fc1") != 0
    assert not (left & (weights_of(once, "fc1") == 0)).any()
    assert left.sum() == 4800


def test_layer_of_few_weights_is_refused():
    network = import_onnx(mobilenet())
    small = [row for row in network.profile.layers if row.op == "conv" and row.params < 32]
    for row in small:
        assert "only" in PRUNING.applies_to(row, network.profile).reason
    relu = next(row for row in network.profile.layers if not row.params)
    assert "hold weights" in PRUNING.applies_to(relu, network.profile).reason


def test_parts_of_a_layer_that_refuse_are_told():
    network = import_onnx(lenet())
    steps = (
        RecipeStep(layer="conv1", technique="svd", params={"rank_ratio": 0.5}),
        RecipeStep(layer="conv1", technique="magnitude_pruning", params={"sparsity": 0.75}),
    )
    found = build(network, steps, np.zeros((8, 1, 28, 28), np.float32))
    assert found.applied == steps
    ((step, reason),) = found.skipped
    assert step == steps[1]
    assert reason.startswith("only in part. conv1_")
