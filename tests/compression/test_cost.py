import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from compression.cost import (
    FEATURES,
    band,
    device_names,
    energy_mj,
    latency_ms,
    load_device,
    mac_type,
    op_features,
)
from compression.errors import CompressionError
from compression.types import OpSpec, Precision

CONV = OpSpec(
    op="conv",
    in_shape=(64, 56, 56),
    out_shape=(64, 56, 56),
    kernel=(3, 3),
    stride=(1, 1),
    padding=(1, 1, 1, 1),
    macs=64 * 64 * 9 * 56 * 56,
    params=64 * 64 * 9,
)
DENSE = OpSpec(op="dense", in_shape=(4096,), out_shape=(4096,), macs=4096**2, params=4096**2)
MODELLED = [name for name in device_names() if not load_device(name).measured_here]


def test_this_host_is_offered_first():
    assert device_names()[0] == "this-host"
    assert {"redmi-3s", "rpi4"} <= set(device_names())


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({}, "conv3x3_s1"),
        ({"stride": (2, 2)}, "conv_kxk"),
        ({"in_shape": (3, 56, 56)}, "conv_kxk"),
        ({"kernel": (1, 1)}, "conv1x1"),
        ({"groups": 64}, "depthwise"),
        ({"groups": 2}, "group_conv"),
        ({"op": "max_pool"}, ""),
    ],
)
def test_operations_are_told_apart(changes, kind):
    assert mac_type(replace(CONV, **changes)) == kind


def test_one_dimensional_kernel_of_three_is_not_winograd():
    op = replace(CONV, in_shape=(64, 128), out_shape=(64, 128), kernel=(3,), stride=(1,))
    assert mac_type(op) == "conv_kxk"


def test_resnet_like_layer_costs_what_the_board_is_known_for():
    """43 GMAC/s give 2.7 ms for 115.6 M MACs, and half as fast with 64 outputs; bytes add some."""
    assert 3.0 < latency_ms(op_features(CONV), load_device("rpi4"), Precision.FP32) < 7.0


@pytest.mark.parametrize("name", MODELLED)
def test_eight_bit_dense_layers_take_a_quarter(name):
    device, features = load_device(name), op_features(DENSE)
    fp32 = latency_ms(features, device, Precision.FP32)
    assert latency_ms(features, device, Precision.INT8) == pytest.approx(fp32 / 4, rel=0.02)
    assert latency_ms(features, device, Precision.INT8_WEIGHTS) == fp32


@pytest.mark.parametrize("name", MODELLED)
def test_eight_bit_convolutions_gain_as_measured_on_such_cores(name):
    device, features = load_device(name), op_features(CONV)
    ratio = latency_ms(features, device, Precision.INT8) / latency_ms(
        features, device, Precision.FP32
    )
    assert ratio == pytest.approx(device.int8_dense, abs=0.01)


def test_costs_add_up_over_any_leading_shape():
    features = np.stack([op_features(CONV), op_features(DENSE)])
    batch = np.stack([features, 2 * features])
    device = load_device("redmi-3s")
    each = latency_ms(batch, device, Precision.FP32)
    assert batch.shape == (2, 2, len(FEATURES))
    assert each.shape == (2, 2)
    assert each.sum(-1)[0] == pytest.approx(
        float(latency_ms(features.sum(0), device, Precision.FP32))
    )


def test_energy_is_power_times_time_and_a_little_memory():
    device = load_device("rpi4")
    features = op_features(CONV)
    energy = energy_mj(np.array(10.0), features, device, Precision.FP32)
    assert 32.0 < energy < 32.5


def test_bands_are_as_wide_as_hidden_devices_showed():
    low, high, label = band(load_device("rpi4"))
    assert (low, high) == pytest.approx((0.75, 1.33), abs=0.02)
    assert label == "same chip"
    assert low * high == pytest.approx(1.0)
    assert band(load_device("redmi-3s")).high == pytest.approx(1.8, abs=0.1)


def test_energy_is_no_surer_than_time_and_power_together():
    for name in MODELLED:
        device = load_device(name)
        assert band(device, "energy").high > band(device).high
        assert band(device, "energy").label == device.energy_label


def test_band_widens_for_networks_unlike_any_the_rates_were_fitted_on():
    lenet_macs = 416_520
    assert band(load_device("rpi4"), macs=lenet_macs).high > band(load_device("rpi4")).high
    assert band(load_device("rpi4"), macs=lenet_macs).label == "same chip"
    assert band(load_device("rpi4"), macs=300e6) == band(load_device("rpi4"))
    assert band(load_device("this-host"), macs=1) == band(load_device("this-host"))


def test_device_that_is_measured_has_no_latency_model():
    with pytest.raises(CompressionError, match="measured layer by layer"):
        latency_ms(op_features(CONV), load_device("this-host"), Precision.FP32)


def test_web_process_may_import_the_cost_model():
    code = (
        "import sys, compression.cost; print('torch' in sys.modules or 'onnx' in sys.modules)"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "False"


def test_band_is_wider_for_layers_that_were_not_timed_for_the_device():
    board = load_device("rpi4")
    wide = band(board, macs=300e6, has_untimed=True)
    assert wide.high == pytest.approx(band(board).high ** 1.5)
    assert wide.label == "same chip"
    assert band(board, "energy", has_untimed=True).high > band(board, "energy").high
