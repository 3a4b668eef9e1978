import numpy as np
import pytest

from compression.latency import LatencyLookup, paired_latency
from compression.onnx_import import import_onnx
from compression.types import OpSpec, Precision
from tests import networks


def dense(size):
    return OpSpec(op="dense", in_shape=(size,), out_shape=(size,), macs=size**2, params=size**2)


def example(model):
    return np.zeros((1, *import_onnx(model).profile.input_shape), np.float32)


def test_a_file_is_as_fast_as_itself():
    model = networks.small_lenet()
    times = paired_latency({"base": model, "same": model}, example(model), rounds=30)
    assert times["base"].ratio == 1.0
    assert times["same"].ratio == pytest.approx(1.0, rel=0.5)
    assert times["same"].ratio_ci[0] <= times["same"].ratio <= times["same"].ratio_ci[1]


def test_undisturbed_calls_are_among_the_fastest():
    model = networks.small_lenet()
    found = paired_latency({"base": model}, example(model), rounds=30)["base"]
    assert 0 < found.undisturbed_ms <= found.p50


def test_rounds_are_summed_up_for_the_report():
    model = networks.small_lenet()
    found = paired_latency({"base": model}, example(model), rounds=30)["base"].to_json()
    assert found["rounds"] == 30
    assert 0 < found["p10"] <= found["p50"] <= found["p90"]


def test_timing_stops_when_told_to():
    model = networks.small_lenet()
    asked = []

    def keep_on(done, rounds):
        asked.append((done, rounds))
        return done < 3

    times = paired_latency({"base": model}, example(model), rounds=40, keep_on=keep_on)
    assert len(times["base"].rounds_ms) == 3
    assert asked[-1] == (3, 40)


def test_models_of_a_fixed_batch_can_be_timed():
    model = networks.fixed_batch()
    assert paired_latency({"base": model}, example(model), rounds=2)["base"].p50 > 0


def test_larger_operations_take_longer():
    found = LatencyLookup().measure(
        [(dense(16), Precision.FP32), (dense(1024), Precision.FP32)]
    )
    assert 0 < found[dense(16), Precision.FP32] < found[dense(1024), Precision.FP32]


def test_an_operation_that_is_known_is_not_timed_again():
    lookup = LatencyLookup()
    key = (dense(64), Precision.INT8)
    first = lookup.measure([key, key])
    assert lookup.measure([key]) == first


def test_operations_are_timed_among_the_calls_of_their_network():
    keys = [(dense(16), Precision.FP32), (dense(1024), Precision.FP32)]
    model = networks.small_lenet()
    found = LatencyLookup(model, example(model)).measure(keys)
    alone = LatencyLookup().measure(keys)
    assert 0 < found[keys[0]] < found[keys[1]] < 10 * alone[keys[1]]


def test_lookup_that_is_stopped_gives_what_it_has():
    keys = [(dense(8 * n), Precision.FP32) for n in range(1, 60)]
    found = LatencyLookup().measure(keys, keep_on=lambda _done, _total: False)
    assert 0 < len(found) < len(keys)


def test_what_a_neighbour_takes_in_costs_next_to_nothing():
    shape = (64, 32, 32)
    add = OpSpec(op="add", in_shape=shape, out_shape=shape)
    multiply = OpSpec(op="multiply", in_shape=shape, out_shape=shape)
    found = LatencyLookup().measure([(add, Precision.FP32), (multiply, Precision.FP32)])
    assert 0 < found[add, Precision.FP32] < found[multiply, Precision.FP32]
