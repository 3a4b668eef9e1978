import numpy as np
import pytest
import torch

from compression.building import build
from compression.errors import TechniqueRefusedError
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import OnnxBuilder, lenet, linear_pairs, mobilenet

torch.set_num_threads(1)

METHOD = get("merge_linear")


def samples(network, n=64):
    rng = np.random.default_rng(5)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def step(layer, technique="merge_linear", **params):
    return RecipeStep(layer=layer, technique=technique, params=params)


def chain(*layers, shape=(4, 8, 8)):
    """A network of convolutions ``(name, inputs, outputs, kernel, attributes)`` and a dense end."""
    b = OnnxBuilder(*shape)
    x = "x"
    for name, inputs, outputs, kernel, attributes in layers:
        x = b.conv(x, name, inputs, outputs, kernel, **attributes)
    x = b.op("Flatten", b.op("GlobalAveragePool", b.relu(x)))
    return import_onnx(b.build(b.dense(x, "fc", layers[-1][2], 3), 3))


@pytest.mark.parametrize("layer", ["wide", "rich", "spread", "fc1"])
def test_one_layer_gives_what_the_two_gave(layer):
    network = import_onnx(linear_pairs())
    x = samples(network)
    before, after = logits(network, x), logits(METHOD.apply(network, layer, {}), x)
    assert np.abs(after - before).max() < 1e-5 * np.abs(before).max()


def test_all_pairs_of_a_network_merge_one_after_the_other():
    network = import_onnx(linear_pairs())
    x = samples(network)
    recipe = tuple(step(layer) for layer in ("wide", "rich", "fc1", "spread"))
    result = build(network, recipe, x)
    assert result.applied == recipe
    assert [r.name for r in result.network.profile.layers if r.params] == [
        "wide",
        "rich",
        "spread",
    ]
    before, after = logits(network, x), logits(result.network, x)
    assert np.abs(after - before).max() < 1e-5 * np.abs(before).max()
    found = {name: output.node for name, output in result.network.outputs_of.items()}
    assert not found.keys() & {"wide", "rich", "spread", "fc1"}
    assert (found["filters"], found["mixed"], found["fc2"]) == ("wide", "rich", "spread")
    verify_export(export_onnx(result.network, x), result.network, x)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("a", 4, 16, 1, {"bias": False}), ("b", 16, 6, 3, {"pads": [1] * 4})),
        (("a", 4, 16, 1, {}), ("b", 16, 6, 3, {"dilations": [2, 2]})),
        (("a", 4, 16, 3, {"pads": [1] * 4, "strides": [2, 2]}), ("b", 16, 6, 1, {})),
        (("a", 4, 16, 3, {"dilations": [2, 2]}), ("b", 16, 6, 1, {"bias": False})),
        (("a", 4, 16, (1, 3), {"bias": False}), ("b", 16, 6, 1, {"strides": [2, 1]})),
    ],
)
def test_steps_gaps_and_padding_are_those_of_both(first, second):
    network = chain(first, second)
    x = samples(network)
    changed = METHOD.apply(network, "a", {})
    row = changed.profile.layer("a")
    treated = METHOD.treated(network.profile.layer("a"), network.profile)
    assert (row.macs, row.params, row.out_shape) == (
        treated.macs,
        treated.params,
        treated.out_shape,
    )
    before = logits(network, x)
    assert np.abs(logits(changed, x) - before).max() < 1e-5 * np.abs(before).max()
    verify_export(export_onnx(changed, x), changed, x)


@pytest.mark.parametrize(
    ("layers", "reason"),
    [
        (
            [("a", 4, 16, 1, {}), ("b", 16, 6, 3, {"pads": [1] * 4})],
            "“b” pads with zeros",
        ),
        ([("a", 4, 16, 3, {}), ("b", 16, 6, 3, {})], "neither it nor the next layer is a 1x1"),
        ([("a", 4, 16, 1, {"groups": 2}), ("b", 16, 6, 1, {})], "grouped"),
        ([("a", 4, 2, 1, {}), ("b", 2, 16, 1, {})], "“b” would not be smaller"),
    ],
)
def test_pairs_that_are_not_one_smaller_layer_are_refused(layers, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        METHOD.apply(chain(*layers), "a", {})


@pytest.mark.parametrize(
    ("make", "layer"), [(lenet, "fc1"), (mobilenet, "depthwise"), (linear_pairs, "fc2")]
)
def test_layer_behind_which_nothing_linear_stands_is_refused(make, layer):
    with pytest.raises(TechniqueRefusedError, match="nothing curved"):
        METHOD.apply(import_onnx(make()), layer, {})


def test_merged_layer_can_be_treated_again_behind_a_narrowed_one():
    network = import_onnx(linear_pairs())
    x = samples(network, 128)
    narrow = step("filters", "filter_pruning", pruning_ratio=0.5)
    recipe = (step("rich"), narrow, step("rich", "depthwise_separable"))
    result = build(network, recipe, x)
    assert len(result.applied) == 3, result.skipped
    assert result.network.profile.layer("rich_depthwise").in_channels == 4
    assert np.isfinite(kl_to_original(result.network, logits(network, x), x))
    verify_export(export_onnx(result.network, x), result.network, x)


def test_cost_follows_a_narrowed_input():
    profile = import_onnx(linear_pairs()).profile
    row = profile.layer("rich")
    narrow = row.resized(in_channels=4, out_channels=row.out_channels)
    (op,) = METHOD.cost(METHOD.treated(narrow, profile), {})
    assert (op.in_shape, op.out_shape, op.params) == ((4, 9, 9), (8, 4, 4), 4 * 8 * 9 + 8)
