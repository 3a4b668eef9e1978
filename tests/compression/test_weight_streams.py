"""Files whose weights are packed or stored without their zeros: what they compute, how small they are."""

from collections import Counter
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from compression.errors import VerificationError
from compression.graph import Network
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.technique import identity_cost
from compression.types import LayerKind, Precision
from compression.weight_storage import rounded, stored_bytes
from tests.networks import ZOO, lenet

STORING = [p for p in Precision if p is not Precision.INT8]
WEIGHTED = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)


def inputs(network: Network, n: int = 8) -> np.ndarray:
    rng = np.random.default_rng(2)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def thinned(network: Network, density: float, *, windows: bool = False) -> Network:
    """Random weights, or whole kernel windows, set to zero."""
    module, rng = network.copied_module(), np.random.default_rng(3)
    for layer in module.modules():
        if isinstance(layer, WEIGHTED):
            shape = layer.weight.shape
            drawn = (*shape[:2], *[1] * (len(shape) - 2)) if windows else tuple(shape)
            kept = torch.from_numpy((rng.random(drawn) < density).astype(np.float32))
            layer.weight = torch.nn.Parameter(layer.weight.detach() * kept)
    return replace(network, module=module)


def network_of(name: str, precision: Precision, density: float = 1.0, **how: bool) -> Network:
    network = replace(import_onnx(ZOO[name]()), precision=precision)
    return network if density == 1.0 else thinned(network, density, **how)


def loaded_ops(data: bytes, folder) -> Counter:
    """The nodes that ONNX Runtime is left with once it has loaded a file."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(folder / "optimised.onnx").graph
    return Counter(node.op_type for node in graph.node)


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("precision", [Precision.FP16_WEIGHTS, Precision.CODEBOOK])
def test_small_forms_compute_what_rounded_weights_compute(name, precision):
    network = network_of(name, precision)
    data = export_onnx(network)
    onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
    assert verify_export(data, network, inputs(network)) <= 1e-5


@pytest.mark.parametrize("name", ZOO)
@pytest.mark.parametrize("density", [0.3, 0.08])
def test_sparse_weights_compute_the_same_in_every_form(name, density):
    for precision in STORING:
        network = network_of(name, precision, density)
        data = export_onnx(network)
        onnx.checker.check_model(onnx.load_from_string(data), full_check=True)
        assert verify_export(data, network, inputs(network)) <= 1e-5


@pytest.mark.parametrize("precision", STORING)
@pytest.mark.parametrize("opset", [7, 9, 11, 12, 13, 17, 20])
def test_old_and_new_opsets(opset, precision):
    network = replace(import_onnx(lenet(opset=opset)), precision=precision)
    for changed in (network, thinned(network, 0.1), thinned(network, 0.4, windows=True)):
        data = export_onnx(changed)
        assert verify_export(data, changed, inputs(changed)) <= 1e-5
        assert onnx.load_from_string(data).opset_import[0].version in (opset, max(opset, 11))


def test_opset_stays_where_nothing_needs_a_newer_one():
    for precision in (Precision.FP32, Precision.FP16_WEIGHTS, Precision.INT8_WEIGHTS):
        network = replace(import_onnx(lenet(opset=8)), precision=precision)
        model = onnx.load_from_string(export_onnx(network))
        assert model.opset_import[0].version == 8


@pytest.mark.parametrize("precision", STORING)
@pytest.mark.parametrize("density", [1.0, 0.4, 0.1, 0.01])
def test_onnxruntime_folds_every_form_when_it_loads_it(precision, density, tmp_path):
    whole = loaded_ops(export_onnx(network_of("lenet", Precision.FP32)), tmp_path)
    stored = loaded_ops(export_onnx(network_of("lenet", precision, density)), tmp_path)
    assert stored == whole


def test_windows_are_folded_too(tmp_path):
    network = network_of("resnet", Precision.INT8_WEIGHTS, 0.3, windows=True)
    whole = loaded_ops(export_onnx(replace(network, precision=Precision.FP32)), tmp_path)
    assert loaded_ops(export_onnx(network), tmp_path) == whole
    assert not whole["Gather"] + whole["Split"]


def test_file_holds_exactly_the_rounded_weights():
    network = network_of("lenet", Precision.CODEBOOK, 0.3)
    again = import_onnx(export_onnx(network))
    before = dict(network.module.named_modules())
    layers = [(n, m) for n, m in again.module.named_modules() if isinstance(m, WEIGHTED)]
    assert len(layers) == 5
    for name, layer in layers:
        expected = rounded(before[name].weight.detach().numpy(), Precision.CODEBOOK)
        np.testing.assert_array_equal(layer.weight.detach().numpy(), expected)


@pytest.mark.parametrize("name", ["lenet", "resnet", "densenet"])
@pytest.mark.parametrize(
    "precision",
    [Precision.FP32, Precision.FP16_WEIGHTS, Precision.INT8_WEIGHTS, Precision.CODEBOOK],
)
def test_stored_file_can_be_uploaded_again(name, precision):
    network = network_of(name, precision, 0.2)
    again = import_onnx(export_onnx(network)).profile
    assert (again.macs, again.params) == (network.profile.macs, network.profile.params)


@pytest.mark.parametrize(
    ("precision", "density", "times"),
    [
        (Precision.FP16_WEIGHTS, 1.0, 1.95),
        (Precision.CODEBOOK, 1.0, 6.8),
        (Precision.FP32, 0.1, 7.5),
        (Precision.INT8_WEIGHTS, 0.1, 18.0),
        (Precision.CODEBOOK, 0.1, 21.0),
    ],
)
def test_file_is_so_many_times_smaller(precision, density, times):
    assert len(lenet()) / len(export_onnx(network_of("lenet", precision, density))) > times


@pytest.mark.parametrize("precision", list(Precision))
@pytest.mark.parametrize("density", [0.5, 0.15])
def test_foretold_bytes_are_near_what_a_file_saves(precision, density):
    network = network_of("lenet", precision)
    rows = [r for r in network.profile.layers if r.kind is not LayerKind.OTHER]
    ops = [identity_cost(row)[0] for row in rows]
    thin = [replace(op, density=density) for op in ops]
    saved = [
        stored_bytes(a, precision) - stored_bytes(b, precision)
        for a, b in zip(ops, thin, strict=True)
    ]
    sparse = thinned(network, density)
    x = inputs(network, 32)
    real = len(export_onnx(network, x)) - len(export_onnx(sparse, x))
    assert real == pytest.approx(sum(saved), rel=0.04)


def test_sparse_network_without_zeros_left_out_does_not_pass_verification():
    network = network_of("lenet", Precision.CODEBOOK, 0.1)
    other = network_of("lenet", Precision.CODEBOOK, 0.2)
    with pytest.raises(VerificationError, match="differs from the network"):
        verify_export(export_onnx(other), network, inputs(network))


def test_export_is_deterministic():
    for density in (1.0, 0.1):
        network = network_of("resnet", Precision.CODEBOOK, density)
        assert export_onnx(network) == export_onnx(network)


# --- 8-bit arithmetic -----------------------------------------------------------------------------


@pytest.mark.parametrize("windows", [False, True])
def test_sparse_weights_of_8_bit_arithmetic_stay_on_integer_kernels(windows, tmp_path):
    dense = network_of("lenet", Precision.INT8)
    sparse = thinned(dense, 0.2, windows=windows)
    data = export_onnx(sparse, inputs(sparse, 32))
    assert verify_export(data, sparse, inputs(sparse, 32)) <= 0.1
    kernels = loaded_ops(export_onnx(dense, inputs(dense, 32)), tmp_path)
    assert loaded_ops(data, tmp_path) == kernels
    assert kernels["QLinearConv"] == 2
    assert len(export_onnx(dense, inputs(dense))) > 2.2 * len(data)
