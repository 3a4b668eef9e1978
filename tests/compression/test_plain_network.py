from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compression.evaluation import onnx_logits
from compression.onnx_export import export_onnx
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
    plain = export_onnx(plain_network(data))
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
