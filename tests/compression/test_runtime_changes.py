from dataclasses import replace

import pytest

from compression.device_profiles import load_device
from compression.runtime_changes import in_runtime

BOARD = load_device("rpi4")


@pytest.mark.parametrize("runtime", ["TFLite 1.15", "tflite-v1.15", "TensorFlow Lite 1.13.1"])
def test_known_change_of_runtime_moves_all_times(runtime):
    moved = in_runtime(BOARD, runtime=runtime, arithmetic="fp32")
    assert 0.5 < moved.rates["conv3x3_s1"] / BOARD.rates["conv3x3_s1"] < 1
    assert moved.activation_gb_s < BOARD.activation_gb_s
    assert moved.weight_gb_s < BOARD.weight_gb_s
    assert moved.overhead_ms > BOARD.overhead_ms
    assert moved.sources["rate_gmacs"].startswith(BOARD.sources["rate_gmacs"])
    assert "TFLite 1.15" in moved.sources["overhead_ms"]
    assert moved.sources["latency_log_sd"] == BOARD.sources["latency_log_sd"]


@pytest.mark.parametrize(
    ("runtime", "arithmetic"),
    [
        ("ncnn", "fp32"),
        ("onnxruntime", "fp32"),
        ("TFLite 2.16", "fp32"),
        ("LiteRT", "fp32"),
        ("TFLite 1.15", "int8"),
        ("TFLite 1.15", "fp16"),
    ],
)
def test_what_nobody_measured_changes_nothing(runtime, arithmetic):
    assert in_runtime(BOARD, runtime=runtime, arithmetic=arithmetic) is BOARD


def test_profile_that_is_not_of_the_measured_runtime_stays():
    other = replace(BOARD, runtime="X-CUBE-AI")
    assert in_runtime(other, runtime="TFLite 1.15", arithmetic="fp32") is other
