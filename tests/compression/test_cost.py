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


@pytest.mark.parametrize("name", device_names())
def test_every_figure_of_a_device_has_a_source(name):
    import tomllib

    from compression.cost import DEVICES

    values = tomllib.loads((DEVICES / f"{name}.toml").read_text())
    figures = {
        key
        for table in ("latency", "energy")
        for key, value in values[table].items()
        if not isinstance(value, str | bool) and key != "threads"
    }
    assert figures <= set(values["sources"])


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
    """The rate of 38 GMAC/s gives 3.0 ms for 115.6 M MACs; shape factor and bytes add some."""
    assert 3.0 < latency_ms(op_features(CONV), load_device("rpi4"), Precision.FP32) < 6.0


@pytest.mark.parametrize("name", MODELLED)
def test_eight_bit_dense_layers_take_a_quarter(name):
    device, features = load_device(name), op_features(DENSE)
    fp32 = latency_ms(features, device, Precision.FP32)
    assert latency_ms(features, device, Precision.INT8) == pytest.approx(fp32 / 4, rel=0.02)
    assert latency_ms(features, device, Precision.INT8_WEIGHTS) == fp32


@pytest.mark.parametrize("name", MODELLED)
def test_eight_bit_convolutions_gain_as_published(name):
    device, features = load_device(name), op_features(CONV)
    ratio = latency_ms(features, device, Precision.INT8) / latency_ms(
        features, device, Precision.FP32
    )
    assert ratio == pytest.approx(0.77, abs=0.01)


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


def test_bands_follow_what_is_known_of_the_device():
    assert band(load_device("rpi4")) == (0.7, 1.3, "same chip")
    assert band(load_device("redmi-3s"))[1] == pytest.approx(1.7)
    assert band(load_device("redmi-3s"), "energy")[1] == 2.0
    assert band(load_device("this-host"), "energy") == (1 / 2.5, 2.5, "rough")


def test_band_widens_for_networks_unlike_any_the_rates_were_fitted_on():
    lenet_macs = 416_520
    assert band(load_device("rpi4"), macs=lenet_macs) == (1 / 1.7, 1.7, "same chip")
    assert band(load_device("rpi4"), macs=300e6) == band(load_device("rpi4"))
    assert band(load_device("this-host"), macs=1) == band(load_device("this-host"))


def test_unknown_target_is_refused_with_the_known_ones():
    with pytest.raises(CompressionError, match=r"called 'pixel'.*redmi-3s, rpi4"):
        load_device("pixel")


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
