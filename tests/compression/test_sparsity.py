import copy

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from compression.building import build
from compression.finetuning import FineTuning, distill
from compression.least_squares import fitted_weights
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.sparsity import largest, mask_of, set_weight, thin_out, zero_again
from compression.surgery import thinned, weights_of, without_channels
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import lenet, small_lenet

torch.set_num_threads(1)


def samples(network, n=96):
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def prune(layer, sparsity=0.75):
    return RecipeStep(layer=layer, technique="magnitude_pruning", params={"sparsity": sparsity})


def zeros(network, layer):
    return weights_of(network, layer) == 0


def test_thinned_layer_holds_exact_zeros_in_copies_and_files():
    layer = nn.Linear(6, 4)
    mask = torch.rand(4, 6, generator=torch.Generator().manual_seed(0)) > 0.5
    thin_out(layer, mask)
    assert torch.equal(layer.weight != 0, mask)
    fresh = copy.deepcopy(layer)
    fresh.load_state_dict(load(save(layer.state_dict())))
    assert torch.equal(mask_of(fresh), mask)


def test_second_mask_leaves_what_the_first_took():
    layer = nn.Linear(4, 1)
    thin_out(layer, torch.tensor([[True, True, False, False]]))
    thin_out(layer, torch.tensor([[True, False, True, False]]))
    assert mask_of(layer).tolist() == [[True, False, False, False]]


def test_zeros_come_back_after_a_step():
    layer = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    thin_out(layer[0], torch.eye(3, 4).bool())
    with torch.no_grad():
        for weight in layer.parameters():
            weight.add_(1.0)
    zero_again(layer)
    assert torch.equal(layer[0].weight != 0, torch.eye(3, 4).bool())
    assert (layer[2].weight != 0).all()


def test_new_weights_move_the_mask_of_a_sparse_layer_only():
    sparse, plain = nn.Linear(3, 1), nn.Linear(3, 1)
    thin_out(sparse, torch.tensor([[True, False, False]]))
    for layer in (sparse, plain):
        set_weight(layer, torch.tensor([[0.0, 2.0, 3.0]]))
    assert mask_of(sparse).tolist() == [[False, True, True]]
    assert mask_of(plain) is None


def test_largest_takes_exactly_so_many():
    scores = torch.tensor([[1.0, 3.0, 3.0], [3.0, 2.0, 0.0]])
    assert largest(scores, 2).tolist() == [[False, True, True], [False, False, False]]


@pytest.mark.parametrize("rows", [400, 20])
def test_regression_on_a_support_is_the_best_there(rows):
    """Against each output solved by itself, with the same ridge."""
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(rows, 30, generator=generator)
    y = x @ torch.randn(30, 5, generator=generator) + 2.0
    start = torch.randn(5, 30, generator=generator)
    support = torch.rand(5, 30, generator=generator) > 0.6
    found, bias = fitted_weights(x, y, start, support=support)
    assert torch.equal(found != 0, support)
    centred, wanted = (x - x.mean(0)).double(), (y - y.mean(0)).double()
    ridge = 1e-2 * float(centred.square().sum()) / 30
    for output in range(5):
        at = support[output]
        part, begin = centred[:, at], start[output, at].double()
        gram = part.T @ part + ridge * torch.eye(int(at.sum()))
        best = torch.linalg.solve(gram, part.T @ wanted[:, output] + ridge * begin)
        assert torch.allclose(found[output, at], best, atol=1e-4)
    assert torch.allclose(bias, y.mean(0).double() - found @ x.mean(0).double(), atol=1e-6)


def test_regression_on_an_empty_support_gives_the_means():
    x, y = torch.randn(50, 4), torch.randn(50, 3)
    found, bias = fitted_weights(x, y, torch.randn(3, 4), support=torch.zeros(3, 4).bool())
    assert not found.any()
    assert torch.allclose(bias, y.double().mean(0))


def test_narrowing_cuts_the_mask_with_the_weights():
    network = import_onnx(lenet())
    mask = torch.rand(16, 6, 5, 5, generator=torch.Generator().manual_seed(2)) > 0.5
    sparse = thinned(network, "conv2", mask)
    group = network.profile.layer("conv1").out_group
    narrow = without_channels(sparse, group, [0, 2, 5])
    conv = narrow.module.get_submodule("conv2")
    assert torch.equal(mask_of(conv), mask[:, [0, 2, 5]])
    own = without_channels(sparse, network.profile.layer("conv2").out_group, [1, 4])
    assert torch.equal(mask_of(own.module.get_submodule("conv2")), mask[[1, 4]])


def test_weights_that_are_fitted_again_stay_sparse():
    network = import_onnx(lenet())
    x = samples(network)
    pool = RecipeStep(layer="conv1", technique="filter_pruning", params={"pruning_ratio": 0.5})
    built = build(network, (prune("conv2"), prune("fc1"), pool), x).network
    for layer in ("conv2", "fc1"):
        assert zeros(built, layer).float().mean() == pytest.approx(0.75, abs=0.01)


def test_grouped_layers_are_scaled_and_stay_sparse():
    network = import_onnx(lenet())
    x = samples(network)
    separate = RecipeStep(layer="conv2", technique="depthwise_separable", params={})
    built = build(network, (separate, prune("conv2", 0.5)), x).network
    for part in ("conv2_depthwise", "conv2_pointwise"):
        assert zeros(built, part).float().mean() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("inner", ["svd", "tucker", "fire"])
def test_parts_of_a_replaced_layer_stay_sparse(inner):
    network = import_onnx(lenet())
    x = samples(network)
    params = get(inner).levels()[0]
    steps = (RecipeStep(layer="conv2", technique=inner, params=params), prune("conv2"))
    result = build(network, steps, x)
    assert result.applied == steps
    parts = [row.name for row in result.network.profile.layers if row.name.startswith("conv2_")]
    parts = [name for name in parts if result.network.profile.layer(name).params >= 32]
    convs = [n for n in parts if result.network.profile.layer(n).op == "conv"]
    assert len(convs) >= 2
    for part in convs:
        assert zeros(result.network, part).float().mean() == pytest.approx(0.75, abs=0.02)


def test_fine_tuning_keeps_zeros_and_moves_the_rest():
    network = import_onnx(small_lenet())
    x = samples(network, 128)
    sparse = build(network, (prune("fc1"), prune("conv2")), x[:64]).network
    settings = FineTuning(steps=12, batch_size=32, checks=3)
    tuned = distill(sparse, network, x, None, settings, (x, None), lambda *_: True)
    for layer in ("fc1", "conv2"):
        assert torch.equal(zeros(tuned, layer), zeros(sparse, layer))
        assert not torch.equal(weights_of(tuned, layer), weights_of(sparse, layer))


def test_exported_file_holds_exact_zeros():
    network = import_onnx(small_lenet())
    x = samples(network, 32)
    sparse = build(network, (prune("fc1", 0.9),), x).network
    again = import_onnx(export_onnx(sparse, x))
    assert torch.equal(zeros(again, "fc1"), zeros(sparse, "fc1"))
    assert zeros(again, "fc1").float().mean() == pytest.approx(0.9, abs=0.01)
