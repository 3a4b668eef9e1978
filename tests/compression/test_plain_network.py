from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compression.evaluation import onnx_logits
from compression.onnx_export import export_dense, export_onnx
from compression.onnx_import import import_onnx
from compression.plain_network import plain_network, without_slices
from compression.types import Precision
from tests import networks
from tests.exporting import exported, seeded


class Shortcut(nn.Module):
    """A residual block whose shortcut holds no weights: every second position, zeros for new channels."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.branch = nn.Conv2d(6, 10, 3, stride=2, padding=1)
        self.head = nn.Linear(10, 4)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        short = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 3))
        return self.head(torch.relu(self.branch(x) + short).mean((2, 3)))


def operators(network):
    return {node.op_type for node in onnx.load_from_string(export_onnx(network)).graph.node}


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8_WEIGHTS])
def test_stored_forms_become_plain_weights_that_compute_the_same(precision):
    network = import_onnx(networks.small_lenet())
    stored = export_onnx(replace(network, precision=precision))
    plain = export_onnx(plain_network(stored))
    assert {n.op_type for n in onnx.load_from_string(plain).graph.node}.isdisjoint(
        {"Cast", "Mul"}
    )
    x = np.random.default_rng(0).standard_normal((3, *network.profile.input_shape))
    x = x.astype(np.float32)
    np.testing.assert_allclose(onnx_logits(plain, x), onnx_logits(stored, x), atol=1e-5)


def test_fixed_batch_becomes_free():
    data = networks.ZOO["fixed_batch"]()
    shape = import_onnx(data).profile.input_shape
    x = np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32)
    plain = export_dense(plain_network(data))
    assert onnx.load_from_string(plain).graph.input[0].type.tensor_type.shape.dim[0].dim_param
    np.testing.assert_allclose(onnx_logits(plain, x), onnx_logits(data, x), atol=1e-5)


@pytest.mark.parametrize("size", [8, 9])
def test_shortcut_without_weights_needs_neither_slice_nor_pad(size):
    network = import_onnx(exported(seeded(Shortcut), 3, size, size))
    simple = without_slices(network)
    assert {"Slice", "Pad"} <= operators(network)
    assert {"Slice", "Pad"}.isdisjoint(operators(simple))
    x = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(simple.module(x), network.module(x))


def test_other_slices_and_pads_stay():
    class Cropped(Shortcut):
        def forward(self, x):
            return super().forward(nn.functional.pad(x[:, :, 1::2, ::2], (1, 1, 1, 1)))

    network = import_onnx(exported(seeded(Cropped), 3, 12, 12))
    assert "Slice" in operators(without_slices(network))


def stored_dense():
    """Weights as a codebook, in half precision, scattered among zeros, and in 8 bits."""
    rng = np.random.default_rng(0)
    builder = networks.OnnxBuilder(16)
    values = builder.const(rng.standard_normal(16).astype(np.float32))
    indices = builder.const(rng.integers(0, 16, (12, 16)).astype(np.uint8))
    codebook = builder.op(
        "Gather", values, builder.op("Cast", indices, to=onnx.TensorProto.INT32)
    )
    half = builder.const(rng.standard_normal((10, 12)).astype(np.float16))
    places = builder.const(np.array([[0, 1], [3, 9], [4, 2]], np.int64))
    some = builder.const(np.array([1.0, -2.0, 0.5], np.float32))
    zeros = builder.const(np.zeros((5, 10), np.float32))
    sparse = builder.op("ScatterND", zeros, places, some)
    float_half = builder.op("Cast", half, to=onnx.TensorProto.FLOAT)
    x = "x"
    for weights in (codebook, float_half, sparse):
        x = builder.relu(builder.op("Gemm", x, weights, transB=1))
    eighths = [builder.const(rng.integers(-99, 99, (5, 5)).astype(np.int8))]
    eighths += [builder.const(np.float32(0.02)), builder.const(np.int8(0))]
    x = builder.op("Gemm", x, builder.op("DequantizeLinear", *eighths), transB=1)
    return builder.build(x, 5)


@pytest.mark.parametrize("name", list(networks.ZOO))
def test_every_network_of_the_zoo_keeps_its_function_and_its_names(name):
    data = networks.ZOO[name]()
    network = plain_network(data)
    before = import_onnx(data).profile
    names = ("input_name", "input_shape", "output_names")
    assert [getattr(network.profile, n) for n in names] == [getattr(before, n) for n in names]
    x = np.random.default_rng(0).standard_normal((4, *before.input_shape)).astype(np.float32)
    expected = onnx_logits(data, x)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(
        onnx_logits(export_onnx(network), x), expected, atol=1e-4 * scale
    )


def test_other_stored_forms_become_plain_weights():
    data = stored_dense()
    x = np.random.default_rng(1).standard_normal((3, 16)).astype(np.float32)
    plain = export_dense(plain_network(data))
    kinds = {node.op_type for node in onnx.load_from_string(plain).graph.node}
    assert kinds == {"Gemm", "Relu"}
    np.testing.assert_allclose(onnx_logits(plain, x), onnx_logits(data, x), atol=1e-5)
