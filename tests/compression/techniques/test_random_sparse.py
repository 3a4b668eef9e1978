import pytest
import torch

from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.surgery import weights_of
from compression.technique import get
from compression.types import OpSpec
from tests.networks import grouped, lenet, vgg

RANDOM = get("random_sparse")


def connections(network, layer):
    """``[outputs, inputs]``: how many taps of each pair of channels are left."""
    return (weights_of(network, layer).flatten(2) != 0).sum(2)


@pytest.mark.parametrize("share", [0.75, 0.5, 0.25])
def test_pairs_of_channels_keep_all_taps_or_none(share):
    changed = RANDOM.apply(import_onnx(vgg()), "features_1", {"connected": share})
    taps = connections(changed, "features_1")
    assert set(taps.flatten().tolist()) == {0, 9}
    assert (taps > 0).float().mean() == pytest.approx(share)


def test_every_channel_keeps_a_connection_at_the_strongest_level():
    network = import_onnx(lenet())
    taps = connections(RANDOM.apply(network, "conv2", {"connected": 0.01}), "conv2")
    assert (taps > 0).any(0).all()
    assert (taps > 0).any(1).all()
    assert (taps > 0).sum() == 16


def test_what_stays_is_not_changed():
    network = import_onnx(lenet())
    before = weights_of(network, "conv2")
    after = weights_of(RANDOM.apply(network, "conv2", {"connected": 0.5}), "conv2")
    assert torch.equal(after, before * (after != 0))


def test_layers_of_one_shape_are_drawn_differently_and_alike_each_time():
    network = import_onnx(vgg())
    network = RANDOM.apply(network, "features_1", {"connected": 0.5})
    again = RANDOM.apply(import_onnx(vgg()), "features_1", {"connected": 0.5})
    first = connections(network, "features_1")
    assert torch.equal(first, connections(again, "features_1"))
    third = connections(RANDOM.apply(network, "features_3", {"connected": 0.5}), "features_3")
    assert not torch.equal(first, third[:16, :16])


def test_single_input_channel_and_groups_are_refused():
    with pytest.raises(TechniqueRefusedError, match="every channel keeps one"):
        RANDOM.apply(import_onnx(lenet()), "conv1", {"connected": 0.5})
    network = import_onnx(grouped())
    conv = next(row for row in network.profile.layers if row.groups > 1)
    assert "grouped" in RANDOM.applies_to(conv, network.profile).reason


def test_operations_that_connect_no_channels_are_stored_as_they_are():
    dense = OpSpec(op="dense", in_shape=(8,), out_shape=(8,), params=64)
    depthwise = OpSpec(op="conv", in_shape=(8, 4), out_shape=(8, 4), groups=8, params=24)
    row = import_onnx(lenet()).profile.layer("conv2")
    assert RANDOM.stored(dense, row, {"connected": 0.5}) == dense
    assert RANDOM.stored(depthwise, row, {"connected": 0.5}) == depthwise
