import pytest

from compression.errors import TechniqueRefusedError
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.technique import get
from compression.types import NETWORK, Precision
from tests.networks import lenet

INT8 = get("int8")


@pytest.mark.parametrize(
    ("mode", "precision"), [("weights", Precision.INT8_WEIGHTS), ("full", Precision.INT8)]
)
def test_mode_sets_the_precision_and_nothing_else(mode, precision):
    network = import_onnx(lenet())
    changed = INT8.apply(network, NETWORK, {"mode": mode})
    assert changed.precision is precision
    assert changed.profile == network.profile


def test_stored_weights_make_a_quarter_of_the_file():
    network = import_onnx(lenet())
    changed = INT8.apply(network, NETWORK, {"mode": "weights"})
    assert len(export_onnx(changed)) < len(export_onnx(network)) / 3


def test_single_layer_is_refused():
    with pytest.raises(TechniqueRefusedError, match="whole network"):
        INT8.apply(import_onnx(lenet()), "conv1", {"mode": "weights"})


def test_second_choice_for_all_weights_is_refused():
    network = get("weight_clustering").apply(import_onnx(lenet()), NETWORK, {})
    with pytest.raises(TechniqueRefusedError, match="chosen by an earlier step"):
        INT8.apply(network, NETWORK, {"mode": "full"})
