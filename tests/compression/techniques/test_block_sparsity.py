import numpy as np
import pytest
import torch

from compression.building import Workbench
from compression.errors import TechniqueRefusedError
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep
from tests.networks import OnnxBuilder, lenet, mobilenet, resnet

torch.set_num_threads(1)

METHOD = get("block_sparsity")


def wide(inputs=64, outputs=32, kernel=3, **attributes):
    b = OnnxBuilder(8, 8, 8)
    x = b.relu(b.conv("x", "stem", 8, inputs, 3, pads=[1] * 4))
    x = b.relu(b.conv(x, "layer", inputs, outputs, kernel, **attributes))
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return import_onnx(b.build(b.dense(x, "fc", outputs, 5), 5))


def samples(network, n=192):
    rng = np.random.default_rng(6)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def step(blocks):
    return RecipeStep(layer="layer", technique="block_sparsity", params={"blocks": blocks})


@pytest.mark.parametrize("kernel", [1, 3])
def test_weights_beside_the_diagonal_are_gone_and_the_rest_stays(kernel):
    network = wide(kernel=kernel)
    x = samples(network, 4)
    masked = wide(kernel=kernel)
    weight = masked.module.get_submodule("layer").weight.data
    weight[:16, 32:] = 0
    weight[16:, :32] = 0
    changed = METHOD.apply(network, "layer", {"blocks": 2})
    assert changed.profile.layer("layer_blocks").groups == 2
    assert changed.profile.layer("layer_blocks").macs * 2 == network.profile.layer("layer").macs
    assert np.allclose(logits(changed, x), logits(masked, x), atol=1e-5)
    verify_export(export_onnx(changed, x), changed, x)


@pytest.mark.parametrize("strides", [1, 2])
def test_each_block_is_fitted_to_the_outputs_of_the_full_layer(strides):
    network = wide(pads=[1] * 4, strides=[strides] * 2)
    x = samples(network)
    bench, answers = Workbench.of(network, x), logits(network, x)
    fitted, unfitted = (bench.build((step(2),), fit=fit).network for fit in (True, False))
    assert kl_to_original(fitted, answers, x) < 0.5 * kl_to_original(unfitted, answers, x)


def test_blocks_that_data_allow_are_found_exactly():
    """Where the layer is block-diagonal already, wrong weights are put right again."""
    network = wide()
    weight = network.module.get_submodule("layer").weight.data
    weight[:16, 32:] = 0
    weight[16:, :32] = 0
    x = samples(network)
    bench = Workbench.of(network, x)
    built = bench.build((step(2),)).network
    assert np.allclose(logits(built, x), logits(network, x), atol=1e-4)


@pytest.mark.parametrize(
    ("network", "layer", "blocks", "reason"),
    [
        (wide, "layer", 4, "groups of 8 channels run hardly faster"),
        (lambda: wide(32, 32, 1, strides=[2, 2]), "layer", 2, "computed so fast already"),
        (lambda: wide(66, 66), "layer", 2, "groups of 33 channels"),
        (lambda: wide(66, 66), "layer", 4, "do not fall into 4 groups"),
        (lambda: import_onnx(mobilenet()), "depthwise", 2, "grouped already"),
        (lambda: import_onnx(lenet()), "fc1", 2, "only convolutions"),
        (lambda: import_onnx(resnet()), "layer1_0_conv1", 2, "groups of 8 channels"),
    ],
)
def test_groups_that_do_not_pay_are_refused(network, layer, blocks, reason):
    with pytest.raises(TechniqueRefusedError, match=reason):
        METHOD.apply(network(), layer, {"blocks": blocks})
