import pytest

from compression.errors import TechniqueRefusedError
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.technique import get
from compression.types import NETWORK, Precision
from tests.networks import lenet

TECHNIQUE = get("half_precision")


def test_it_sets_the_precision_and_nothing_else():
    network = import_onnx(lenet())
    changed = TECHNIQUE.apply(network, NETWORK, {})
    assert changed.precision is Precision.FP16_WEIGHTS
    assert changed.profile == network.profile
    assert changed.module is network.module


def test_file_becomes_smaller():
    network = import_onnx(lenet())
    changed = TECHNIQUE.apply(network, NETWORK, {})
    assert len(export_onnx(changed)) < len(export_onnx(network)) / 1.9


def test_single_layer_is_refused():
    with pytest.raises(TechniqueRefusedError, match="whole network"):
        TECHNIQUE.apply(import_onnx(lenet()), "conv1", {})
