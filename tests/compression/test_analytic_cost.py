import math

import numpy as np
import pytest

from compression.analytic_cost import (
    AnalyticConstants,
    AnalyticCounts,
    energy_mj,
    latency_macs,
    storage_bits,
)
from compression.types import OpSpec


def conv(c_in, c_out, kernel, side, density=1.0):
    weights = c_in * c_out * kernel**2
    return OpSpec(
        op="conv",
        in_shape=(c_in, side, side),
        out_shape=(c_out, side, side),
        kernel=(kernel, kernel),
        macs=weights * side**2,
        params=weights + c_out,
        density=density,
    )


def dense(n_in, n_out):
    return OpSpec(
        op="dense",
        in_shape=(n_in,),
        out_shape=(n_out,),
        macs=n_in * n_out,
        params=n_in * n_out + n_out,
    )


def pool(channels, side):
    return OpSpec(
        op="max_pool",
        in_shape=(channels, side, side),
        out_shape=(channels, side // 2, side // 2),
    )


LENET = (
    conv(1, 6, 5, 28),
    pool(6, 28),
    conv(6, 16, 5, 10),
    pool(16, 10),
    dense(400, 120),
    dense(120, 84),
    dense(84, 10),
)
"""LeNet-5 on 28x28 with padding: 61,706 weights, 416,520 multiply-adds, 6,518 activations."""


def counts_of(ops):
    """Weights that are not zero, each output once."""
    found = [
        (op.macs, op.params * op.density, math.prod(op.out_shape) if op.macs else 0)
        for op in ops
    ]
    return AnalyticCounts(*np.array(found, dtype=float).sum(axis=0))


def test_counts_are_those_of_lenet_by_hand():
    counts = counts_of(LENET)
    assert counts.macs == 117_600 + 240_000 + 48_000 + 10_080 + 840
    assert counts.weights == 156 + 2_416 + 48_120 + 10_164 + 850
    assert counts.activations == 4_704 + 1_600 + 120 + 84 + 10


def test_weights_that_are_zero_are_not_counted():
    whole, thin = counts_of([conv(8, 8, 3, 4)]), counts_of([conv(8, 8, 3, 4, density=0.25)])
    assert thin.weights == whole.weights / 4
    assert thin.macs == whole.macs


@pytest.mark.parametrize(
    ("constants", "memory_macs"),
    [
        (AnalyticConstants(), 6 * 61_706 + 200 * 6_518),
        (AnalyticConstants(weights_from_dram=True), 200 * 61_706 + 6 * 6_518),
        (AnalyticConstants(access_per_bit=True), 32 * (6 * 61_706 + 200 * 6_518)),
        (AnalyticConstants(cache_macs=0, dram_macs=0), 0),
    ],
)
def test_energy_is_the_formula_of_the_paper(constants, memory_macs):
    expected_pj = 52.8 * (416_520 + memory_macs)
    assert energy_mj(counts_of(LENET), constants) == pytest.approx(expected_pj * 1e-9)


def test_parts_are_those_of_the_worked_example():
    only = AnalyticCounts(
        np.array([416_520.0, 0, 0]), np.array([0.0, 61_706, 0]), np.array([0, 0, 6_518.0])
    )
    by_word = energy_mj(only, AnalyticConstants())
    by_bit = energy_mj(only, AnalyticConstants(access_per_bit=True))
    assert by_word == pytest.approx([0.022, 0.0195, 0.069], abs=5e-4)
    assert by_bit[1:] == pytest.approx([0.62, 2.2], rel=0.01)


def test_a_word_costs_the_same_however_long_it_is():
    long, short = (AnalyticConstants(weight_bits=bits) for bits in (32.0, 8.0))
    assert energy_mj(counts_of(LENET), long) == energy_mj(counts_of(LENET), short)


def test_storage_counts_weights_and_activations_in_bits():
    counts = counts_of(LENET)
    assert storage_bits(counts, AnalyticConstants()) == 32 * (61_706 + 6_518)
    halved = AnalyticConstants(weight_bits=8.0, activation_bits=16.0)
    assert storage_bits(counts, halved) == 8 * 61_706 + 16 * 6_518


def test_latency_grows_with_multiply_adds_alone():
    counts = counts_of(LENET)
    assert latency_macs(counts) == 416_520
    assert math.isclose(latency_macs(counts_of([*LENET, *LENET])), 2 * 416_520)
