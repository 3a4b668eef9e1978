import pytest
import torch

from compression.errors import TechniqueRefusedError
from compression.factorization import depthwise_and_pointwise
from compression.onnx_import import import_onnx
from compression.technique import get
from tests.networks import lenet, vgg

SEPARATE = get("depthwise_separable")


def test_separable_kernel_is_found_again():
    filters, mixing = torch.randn(5, 1, 3, 3), torch.randn(8, 5, 1, 1)
    weight = mixing * filters.transpose(0, 1)
    depthwise, pointwise = depthwise_and_pointwise(weight, None)
    product = pointwise * depthwise.transpose(0, 1)
    assert torch.allclose(product, weight.double(), atol=1e-5)


def test_data_decide_which_taps_matter():
    weight = torch.zeros(2, 1, 1, 2)
    weight[0, 0, 0, 0], weight[1, 0, 0, 1] = 1.0, 2.0
    rows = torch.randn(500, 2) * torch.tensor([10.0, 1.0])
    plain, _ = depthwise_and_pointwise(weight, None)
    fitted, _ = depthwise_and_pointwise(weight, rows)
    assert plain.abs().flatten().argmax() == 1
    assert fitted.abs().flatten().argmax() == 0


def test_one_filter_a_channel_then_a_mixing_layer():
    network = SEPARATE.apply(import_onnx(vgg()), "features_1", {})
    first, second = (r for r in network.profile.layers if r.name.startswith("features_1"))
    assert first.is_depthwise
    assert second.kernel == (1, 1)


@pytest.mark.parametrize(
    ("layer", "reason"), [("conv1", "single channel"), ("fc1", "convolutions")]
)
def test_refusals(layer, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        SEPARATE.apply(import_onnx(lenet()), layer, {})
