from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from compression.building import Workbench, build
from compression.channel_moments import observed
from compression.least_squares import (
    Unsolvable,
    fitted_weights,
    layer_rows,
    output_positions,
    output_rows,
)
from compression.onnx_import import import_onnx
from compression.reconstruction import reconstruct
from compression.sensitivity import kl_divergence, kl_to_original, logits
from compression.technique import get
from compression.types import NETWORK, Precision, RecipeStep
from tests.networks import ZOO, densenet, lenet, resnet, vgg


def samples(network, n=96):
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def prune(layer, ratio=0.5):
    return RecipeStep(layer=layer, technique="filter_pruning", params={"pruning_ratio": ratio})


def test_regression_finds_the_weights_behind_the_targets():
    x, weight = torch.randn(400, 6), torch.randn(3, 6)
    found, bias = fitted_weights(x, x @ weight.T + 2.0, weight + 0.01 * torch.randn(3, 6))
    assert torch.allclose(found, weight.double(), atol=2e-3)
    assert torch.allclose(bias, torch.full((3,), 2.0).double(), atol=1e-3)


def test_regression_keeps_inherited_weights_where_data_say_nothing():
    x = torch.zeros(50, 4)
    x[:, 0] = torch.randn(50)
    start = torch.ones(2, 4)
    found, _ = fitted_weights(x, 3 * x[:, :1].repeat(1, 2), start)
    assert torch.allclose(found[:, 1:], start[:, 1:].double())
    assert (found[:, 0] > 2.5).all()


def test_fewer_rows_than_unknowns_give_the_same_answer_either_way():
    x, y, start = torch.randn(30, 30), torch.randn(30, 4), torch.randn(4, 30)
    wide = fitted_weights(x, y, start)
    tall = fitted_weights(torch.cat([x, x[:1]]), torch.cat([y, y[:1]]), start)
    narrow = fitted_weights(x[:29], y[:29], start)
    assert (wide[0] - tall[0]).abs().max() < 1.0
    assert narrow[0].shape == wide[0].shape


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 5, (3, 5), stride=(2, 1), padding=(1, 2)),
        nn.Conv2d(4, 6, 3, dilation=2),
        nn.Conv1d(3, 4, 5, stride=2, padding=1),
        nn.Linear(12, 5),
    ],
)
def test_rows_times_weights_are_the_layer(layer):
    x = torch.randn(
        4,
        *{nn.Conv2d: (layer.weight.shape[1], 9, 8), nn.Conv1d: (3, 17)}.get(type(layer), (12,)),
    )
    y = layer(x)
    positions = output_positions(tuple(y.shape[2:]), 7)
    rows = layer_rows(layer, x, positions)
    product = rows @ layer.weight.flatten(1).T + layer.bias
    wanted = output_rows(y, positions, dense=isinstance(layer, nn.Linear))
    assert torch.allclose(product, wanted, atol=1e-5)


@pytest.mark.parametrize("name", [n for n in ZOO if n != "fixed_batch"])
def test_unchanged_network_is_left_as_it_is(name):
    network = import_onnx(ZOO[name]())
    same = reconstruct(network, network, samples(network, 32))
    before, after = network.module.state_dict(), same.module.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before)


@pytest.mark.parametrize("make", [lenet, resnet, vgg, densenet])
def test_fitting_narrowed_layers_brings_the_answers_closer(make):
    network = import_onnx(make())
    x = samples(network, 192)
    leader = next(g.leader for g in network.profile.groups if g.prunable)
    raw = get("filter_pruning").apply(observed(network, x), leader, {"pruning_ratio": 0.5})
    answers = logits(network, x)
    fitted = reconstruct(raw, network, x)
    assert kl_to_original(fitted, answers, x) < kl_to_original(raw, answers, x)


def test_layer_that_no_finite_weights_fit_keeps_its_own_and_says_so():
    network = import_onnx(lenet())
    x = samples(network)
    x[0, 0, 5, 5] = np.nan
    pruned = build(network, (prune("conv2"),), x)
    assert all(t.isfinite().all() for t in pruned.network.module.state_dict().values())
    assert "fc1" in pruned.network.notes[0]
    assert "keeps the weights that it had" in pruned.network.notes[0]
    factored = build(
        network, (RecipeStep(layer="conv2", technique="svd", params={"rank_ratio": 0.25}),), x
    )
    assert all(t.isfinite().all() for t in factored.network.module.state_dict().values())
    assert factored.network.notes


def test_regression_without_a_finite_solution_says_so():
    with pytest.raises(Unsolvable, match="not finite"):
        fitted_weights(torch.full((9, 2), torch.inf), torch.ones(9, 1), torch.ones(1, 2))


def test_recipe_is_built_widths_first_whatever_its_order():
    network = import_onnx(lenet())
    x = samples(network)
    svd = RecipeStep(layer="fc1", technique="svd", params={"rank_ratio": 0.25})
    int8 = RecipeStep(layer=NETWORK, technique="int8", params={"mode": "weights"})
    result = build(network, (int8, svd, prune("fc1")), x)
    assert [step.technique for step in result.applied] == ["filter_pruning", "svd", "int8"]
    assert result.network.precision is Precision.INT8_WEIGHTS
    assert result.network.profile.layer("fc1_wide").out_channels == 64


def test_refused_steps_are_skipped_with_their_reason():
    network = import_onnx(lenet())
    wrong = RecipeStep(layer="conv1", technique="depthwise_separable", params={})
    unknown = RecipeStep(layer="conv1", technique="magic", params={})
    gone = RecipeStep(layer="nowhere", technique="svd", params={"rank_ratio": 0.25})
    result = build(network, (wrong, unknown, gone, prune("fc1")), samples(network))
    assert result.applied == (prune("fc1"),)
    assert [step for step, _ in result.skipped] == [wrong, unknown, gone]
    assert "single channel" in result.skipped[0][1]
    assert "magic" in result.skipped[1][1]
    assert "nowhere" in result.skipped[2][1]


def test_recipe_goes_on_without_steps_whose_settings_are_none():
    network = import_onnx(lenet())
    missing = RecipeStep(layer="conv2", technique="svd", params={})
    word = RecipeStep(layer="fc1", technique="magnitude_pruning", params={"sparsity": "much"})
    beyond = RecipeStep(layer="conv2", technique="filter_pruning", params={"pruning_ratio": 5})
    mode = RecipeStep(layer=NETWORK, technique="int8", params={"mode": "quarter"})
    result = build(network, (missing, word, beyond, mode, prune("fc1")), samples(network))
    assert result.applied == (prune("fc1"),)
    assert [step for step, _ in result.skipped] == [missing, word, beyond, mode]
    assert "rank_ratio is missing" in result.skipped[0][1]


def test_layer_that_the_head_swallowed_is_skipped_with_a_reason():
    network = import_onnx(lenet())
    pool = RecipeStep(layer="fc1", technique="global_average_pooling", params={})
    svd = RecipeStep(layer="fc1", technique="svd", params={"rank_ratio": 0.25})
    result = build(network, (pool, svd), samples(network))
    assert result.applied == (svd,)
    assert result.skipped[0][0] == pool


def test_workbench_serves_many_builds_alike():
    network = import_onnx(lenet())
    x = samples(network)
    bench = Workbench.of(network, x)
    bench.build((prune("conv2"),))
    again, alone = bench.build((prune("fc1"),)), build(network, (prune("fc1"),), x)
    assert np.array_equal(logits(again.network, x), logits(alone.network, x))


def test_divergence_is_zero_only_for_the_same_answers():
    answers = np.random.default_rng(0).standard_normal((20, 5))
    assert kl_divergence(answers, answers + 3.0) == pytest.approx(0.0, abs=1e-12)
    assert kl_divergence(answers, answers * 0.5) > 0.01


def test_softmax_at_the_end_gives_the_same_divergence():
    network = import_onnx(lenet())
    x = samples(network, 8)
    module = network.copied_module()
    last = [n for n in module.graph.nodes if n.op != "output"][-1]
    module.add_module("soft", nn.Softmax(1))
    with module.graph.inserting_after(last):
        soft = module.graph.call_module("soft", (last,))
    last.replace_all_uses_with(soft)
    soft.args = (last,)
    module.recompile()
    assert kl_to_original(replace(network, module=module), logits(network, x), x) < 1e-5
