from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from compression.building import Workbench, build
from compression.errors import TechniqueRefusedError
from compression.graph import Network
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.op_costs import totals
from compression.pooled_outputs import pooled_outputs
from compression.sensitivity import kl_to_original, logits
from compression.technique import Scope, get, names
from compression.types import RecipeStep
from tests.networks import ZOO, OnnxBuilder, inception, lenet, resnet

torch.set_num_threads(1)

METHOD = get("pool_to_stride")
SECOND = [n for n in names() if get(n).scope in (Scope.STRUCTURE, Scope.WEIGHTS)]


@cache
def imported(name: str) -> Network:
    return import_onnx(ZOO[name](), name=name)


def samples(network: Network, n: int) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def step(layer, technique="pool_to_stride", **params):
    return RecipeStep(layer=layer, technique=technique, params=params)


def pooled_layers(network: Network) -> list[str]:
    rows = network.profile.layers
    return [r.name for r in rows if METHOD.applies_to(r, network.profile).yes]


def test_pools_of_a_lenet_become_strides_and_the_layers_keep_their_names():
    network = imported("lenet")
    assert pooled_layers(network) == ["conv1", "conv2"]
    changed = METHOD.apply(METHOD.apply(network, "conv1", {}), "conv2", {})
    rows = {row.name: row for row in changed.profile.layers}
    assert not [row for row in rows.values() if row.op == "max_pool"]
    assert rows["conv1"].out_shape == (6, 14, 14)
    assert rows["conv2"].out_shape == (16, 5, 5)
    found = {name: (output.node, output.pooled) for name, output in changed.outputs_of.items()}
    assert found["conv1"] == ("conv1", True)
    assert found["relu_4"] == ("relu_4", True)
    assert found["maxpool_5"] == ("relu_4", False)
    assert METHOD.removes(network.profile.layer("conv2"), network.profile) == ("maxpool_10",)


@pytest.mark.parametrize("size", range(9, 14))
@pytest.mark.parametrize(("window", "pads"), [(2, 0), (3, 0), (3, 1), (4, 1)])
def test_strided_layer_has_the_positions_of_the_pool(size, window, pads):
    b = OnnxBuilder(2, size, size)
    x = b.relu(b.conv("x", "conv", 2, 8, 3, pads=[1] * 4))
    x = b.op("MaxPool", x, kernel_shape=[window] * 2, strides=[2, 2], pads=[pads] * 4)
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    network = import_onnx(b.build(b.dense(x, "fc", 8, 3), 3))
    pool = network.profile.layer(
        METHOD.removes(network.profile.layer("conv"), network.profile)[0]
    )
    changed = METHOD.apply(network, "conv", {})
    assert changed.profile.layer("conv").out_shape == pool.out_shape
    assert logits(changed, samples(network, 2)).shape == (2, 3)


def test_filters_sit_at_the_middle_of_the_windows():
    b = OnnxBuilder(2, 11, 11)
    x = b.relu(b.conv("x", "conv", 2, 8, 3, pads=[1] * 4))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    network = import_onnx(b.build(b.dense(x, "fc", 8, 3), 3))
    treated = METHOD.treated(network.profile.layer("conv"), network.profile)
    assert (treated.stride, treated.padding, treated.out_shape) == ((2, 2), (0, 0), (8, 5, 5))


def test_pool_that_no_padding_can_imitate_is_refused():
    b = OnnxBuilder(2, 7, 7)
    x = b.relu(b.conv("x", "conv", 2, 8, 1))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    x = b.op("MaxPool", b.conv(x, "second", 8, 8, 1), kernel_shape=[3, 3], strides=[2, 2])
    x = b.op("Flatten", x)
    network = import_onnx(b.build(b.dense(x, "fc", 8, 3), 3))
    METHOD.apply(network, "conv", {})
    with pytest.raises(TechniqueRefusedError, match=r"no padding gives .* 1 × 1 positions"):
        METHOD.apply(network, "second", {})


@pytest.mark.parametrize(
    ("make", "layer", "reason"),
    [
        (resnet, "conv1", "no max or average pool follows"),
        (inception, "stem", "no max or average pool follows"),
        (lenet, "fc1", "only a convolution"),
    ],
)
def test_layers_without_a_pool_of_their_own_are_refused(make, layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        METHOD.apply(import_onnx(make()), layer, {})


def test_dilated_kernels_are_refused():
    b = OnnxBuilder(2, 12, 12)
    x = b.max_pool(b.relu(b.conv("x", "conv", 2, 4, 3, dilations=[2, 2])))
    network = import_onnx(b.build(b.dense(b.op("Flatten", x), "fc", 64, 3), 3))
    with pytest.raises(TechniqueRefusedError, match="gaps"):
        METHOD.apply(network, "conv", {})


@pytest.mark.parametrize(
    "between",
    [[], [nn.ReLU()], [nn.Tanh()], [nn.BatchNorm2d(4), nn.ReLU()], [nn.Hardtanh(0.0, 0.4)]],
)
@pytest.mark.parametrize("pool", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.MaxPool2d(3, 2, 1)])
def test_pooled_outputs_give_behind_the_layers_what_the_pool_gave(between, pool):
    y = torch.randn(3, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    for layer in between:
        if isinstance(layer, nn.BatchNorm2d):
            layer.weight.data = torch.tensor([1.0, -0.5, 0.3, -2.0])
            layer.bias.data = torch.tensor([0.1, 0.2, -0.3, 0.4])
    f = nn.Sequential(*between).eval()
    with torch.inference_mode():
        found = f(pooled_outputs(y, between, pool))
        assert torch.allclose(found, pool(f(y)), atol=1e-4)


@pytest.mark.parametrize("name", ["lenet", "cnn_1d", "old_opset", "vgg"])
def test_fitting_to_the_pooled_outputs_brings_the_answers_closer(name):
    network = imported(name)
    x = samples(network, 256)
    recipe = (step(pooled_layers(network)[0]),)
    answers = logits(network, x)
    raw = METHOD.apply(network, recipe[0].layer, {})
    fitted = build(network, recipe, x).network
    assert kl_to_original(fitted, answers, x) < 0.7 * kl_to_original(raw, answers, x)


@pytest.mark.parametrize("second", [n for n in SECOND if n != "pool_to_stride"])
@pytest.mark.parametrize("name", ZOO)
def test_second_technique_treats_what_the_layer_has_become(name, second):
    network, method = imported(name), get(second)
    x = samples(network, 48)
    bench, answers = Workbench.of(network, x), logits(network, x)
    for layer in pooled_layers(network):
        treated = METHOD.treated(network.profile.layer(layer), network.profile)
        first = METHOD.apply(network, layer, {}).profile
        for params in method.distinct_levels(treated, first)[:1]:
            recipe = (step(layer), step(layer, second, **params))
            fitted, unfitted = bench.build(recipe), bench.build(recipe, fit=False)
            assert fitted.applied == recipe
            gone = (layer, *method.removes(first.layer(layer), first))
            promised, _ = totals(method.cost(method.treated(treated, first), params))
            left = first.macs - sum(first.layer(row).macs for row in gone)
            assert fitted.network.profile.macs == left + promised
            verify_export(export_onnx(fitted.network, x), fitted.network, x)
            error = [
                np.square(logits(r.network, x) - answers).mean() for r in (fitted, unfitted)
            ]
            assert error[0] < error[1]


def test_layer_that_was_narrowed_first_is_fitted_to_the_channels_left():
    network = imported("small_lenet")
    x = samples(network, 128)
    bench, answers = Workbench.of(network, x), logits(network, x)
    narrow = step("conv1", "filter_pruning", pruning_ratio=0.5)
    recipe = (step("conv1"), narrow, step("conv2"), step("conv2", "svd", rank_ratio=0.5))
    fitted, unfitted = bench.build(recipe), bench.build(recipe, fit=False)
    assert {s.technique for s in fitted.applied} == {"filter_pruning", "pool_to_stride", "svd"}
    assert not fitted.skipped
    assert fitted.network.profile.layer("conv1").out_shape == (4, 6, 6)
    assert fitted.network.outputs_of["conv1"].pooled
    assert kl_to_original(fitted.network, answers, x) < kl_to_original(
        unfitted.network, answers, x
    )
    verify_export(export_onnx(fitted.network, x), fitted.network, x)


def test_factors_are_split_from_weights_fitted_to_the_pool():
    network = imported("vgg")
    x = samples(network, 96)
    layer = pooled_layers(network)[-1]
    bench, answers = Workbench.of(network, x), logits(network, x)
    alone = bench.build((step(layer),)).network
    split = bench.build((step(layer), step(layer, "svd", rank_ratio=0.5))).network
    assert kl_to_original(split, answers, x) < 1.5 * kl_to_original(alone, answers, x)
