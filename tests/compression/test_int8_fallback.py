from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch

from compression.evaluation import onnx_log_probabilities
from compression.graph import Network
from compression.int8_fallback import ALLOWED_KL, Int8Export, export_int8, layer_errors
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.saturation import sums_overflow
from compression.sensitivity import kl_divergence, logits
from compression.types import Precision
from tests.networks import ZOO


def samples(network: Network, n: int, seed: int = 1) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def surer(network: Network, factor: float) -> Network:
    """The same answers with larger differences between them, as a trained network gives."""
    module = network.copied_module()
    last = [m for m in module.modules() if isinstance(m, torch.nn.Linear)][-1]
    with torch.no_grad():
        last.weight *= factor
        last.bias *= factor
    return replace(network, module=module)


def with_outliers(network: Network, first: str, second: str, factor: float) -> Network:
    """Four channels between two layers made that much larger and smaller again: the same function.

    A ReLU between the two lets the factor through. One range for all channels then leaves the other
    channels a handful of steps.
    """
    module = network.copied_module()
    with torch.no_grad():
        module.get_submodule(first).weight[:4] *= factor
        module.get_submodule(first).bias[:4] *= factor
        module.get_submodule(second).weight[:, :4] /= factor
    return replace(network, module=module)


def kernels(data: bytes) -> Counter:
    """Layers by whether they read a dequantised input."""
    graph = onnx.load_from_string(data).graph
    makers = {name: node.op_type for node in graph.node for name in node.output}
    layers = [n for n in graph.node if n.op_type in ("Conv", "Gemm")]
    return Counter(
        "8-bit" if makers.get(n.input[1]) == "DequantizeLinear" else "float" for n in layers
    )


@pytest.fixture(scope="module")
def outlier_network() -> Network:
    network = surer(import_onnx(ZOO["lenet"]()), 4)
    return with_outliers(network, "fc1", "fc2", 100.0)


def test_harmless_arithmetic_is_used_everywhere():
    network = import_onnx(ZOO["lenet"]())
    found = export_int8(network, samples(network, 64), samples(network, 64, seed=2))
    assert found.in_float == ()
    assert found.holds
    assert found.sentence == ""
    assert kernels(found.data) == {"8-bit": 5}


def test_layers_around_an_outlier_stay_in_float_and_the_answers_hold(outlier_network):
    x, held_out = samples(outlier_network, 64), samples(outlier_network, 200, seed=2)
    everywhere = export_int8(surer(import_onnx(ZOO["lenet"]()), 4), x, held_out)
    found = export_int8(outlier_network, x, held_out)
    assert sums_overflow() or everywhere.in_float == ()  # with 7 bits a layer may stay behind
    assert found.holds
    assert 1 <= len(found.in_float) <= 2
    assert set(found.in_float) <= {"fc1", "fc2"}
    assert kernels(found.data) == {
        "8-bit": 5 - len(found.in_float),
        "float": len(found.in_float),
    }
    network = replace(outlier_network, precision=Precision.INT8)
    assert verify_export(found.data, network, held_out) < 0.1
    assert all(f"“{name}”" in found.sentence for name in found.in_float)


def test_plain_arithmetic_would_have_failed_there(outlier_network):
    network = replace(outlier_network, precision=Precision.INT8)
    held_out = samples(network, 200, seed=2)
    data = export_onnx(network, samples(network, 64))
    answers = logits(network, held_out)
    assert kl_divergence(answers, onnx_log_probabilities(data, held_out)) > 5 * ALLOWED_KL


def test_errors_of_single_layers_point_at_the_outlier(outlier_network):
    errors = layer_errors(outlier_network, samples(outlier_network, 64))
    worst = sorted(errors, key=lambda name: -errors[name])[:2]
    assert set(worst) == {"fc1", "fc2"}
    assert min(errors.values()) > 0
    assert max(errors[name] for name in ("conv1", "conv2", "fc3")) < 0.01


def test_depthwise_network_holds():
    network = import_onnx(ZOO["mobilenet"]())
    found = export_int8(network, samples(network, 64), samples(network, 128, seed=2))
    assert found.holds
    errors = layer_errors(network, samples(network, 64))
    assert set(found.in_float) <= set(errors)


def test_what_never_holds_says_so():
    hopeless = Int8Export(data=b"", in_float=("fc1",), kl=0.5, kl_weights=0.01)
    assert not hopeless.holds
    assert "whichever layers stay in float" in hopeless.sentence
    assert "0.5" in hopeless.sentence


@pytest.mark.parametrize("name", ["resnet", "cnn_1d", "attention"])
def test_every_network_gets_a_file_that_verifies(name):
    network = import_onnx(ZOO[name]())
    x = samples(network, 32)
    found = export_int8(network, x, samples(network, 64, seed=2))
    assert verify_export(found.data, replace(network, precision=Precision.INT8), x) <= 0.1
