import numpy as np
import onnx
import pytest
import torch
from torch import nn

from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from tests.exporting import exported, seeded
from tests.networks import OnnxBuilder


class Written(nn.Module):
    """A dense layer, an activation in some spelling, and another dense layer."""

    def __init__(self, spelling):
        super().__init__()
        self.first, self.second, self.spelling = nn.Linear(4, 8), nn.Linear(8, 3), spelling

    def forward(self, x):
        return self.second(self.spelling(self.first(x)))


def ops_of(spelling, opset: int = 13) -> list[str]:
    profile = import_onnx(exported(seeded(Written, spelling), 4, opset=opset)).profile
    return [row.op for row in profile.layers]


@pytest.mark.parametrize(
    ("word", "spelling"),
    [
        ("gelu", lambda x: 0.5 * x * (1 + torch.erf(x / 2**0.5))),
        ("gelu", lambda x: x * ((torch.erf(x * 0.7071067811865476) + 1) * 0.5)),
        ("gelu", nn.GELU(approximate="tanh")),
        ("silu", lambda x: x * torch.sigmoid(x)),
        ("silu", lambda x: x / (1 + torch.exp(-x))),
        ("hard_swish", lambda x: x * torch.clamp(x + 3, 0, 6) / 6),
        ("mish", lambda x: x * torch.tanh(nn.functional.softplus(x))),
    ],
)
def test_activation_is_known_by_what_it_computes(word, spelling):
    assert ops_of(spelling) == ["dense", word, "dense"]


@pytest.mark.parametrize(
    "spelling",
    [lambda x: x * torch.sigmoid(1.702 * x), lambda x: x * torch.sigmoid(x + 1)],
)
def test_what_only_looks_like_one_stays(spelling):
    assert "silu" not in ops_of(spelling)
    assert "sigmoid" in ops_of(spelling)


def test_activation_whose_inside_is_read_elsewhere_stays():
    def spelling(x):
        gate = torch.sigmoid(x)
        return x * gate + gate

    assert "sigmoid" in ops_of(spelling)


@pytest.mark.parametrize("affine", [True, False])
def test_layer_norm_of_old_exporters_can_be_trained_and_written_again(affine):
    norm = nn.LayerNorm(8, elementwise_affine=affine)
    if affine:
        nn.init.normal_(norm.weight)
        nn.init.normal_(norm.bias)
    network = import_onnx(exported(seeded(Written, norm), 5, 4, opset=11))
    (found,) = [m for m in network.module.modules() if isinstance(m, nn.LayerNorm)]
    torch.testing.assert_close(found.weight, norm.weight if affine else torch.ones(8))
    assert [row.op for row in network.profile.layers] == ["dense", "layer_norm", "dense"]
    data = export_onnx(network)
    x = np.random.default_rng(0).standard_normal((3, 5, 4)).astype(np.float32)
    assert verify_export(data, network, x) <= 1e-5
    assert "LayerNormalization" not in {
        n.op_type for n in onnx.load_from_string(data).graph.node
    }


def test_norm_over_another_axis_stays_arithmetic():
    b = OnnxBuilder(6, 8)
    mean = b.op("ReduceMean", "x", axes=[1])
    centred = b.op("Sub", "x", mean)
    variance = b.op("ReduceMean", b.op("Mul", centred, centred), axes=[1])
    spread = b.op("Sqrt", b.op("Add", variance, b.const(np.float32(1e-5))))
    profile = import_onnx(b.build(b.op("Div", centred, spread), (6, 8))).profile
    assert "layer_norm" not in {row.op for row in profile.layers}
