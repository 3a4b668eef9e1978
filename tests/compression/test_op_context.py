import math

import numpy as np
import pytest

from compression.op_context import alone, in_context
from compression.types import OpSpec, Precision

PRECISIONS = (Precision.FP32, Precision.INT8)
MOVING = {"Transpose", "ReorderInput", "ReorderOutput"}
SHAPE = (96, 16, 16)


def conv(inputs, outputs, kernel=3, groups=1):
    return OpSpec(
        op="conv",
        in_shape=(inputs, 16, 16),
        out_shape=(outputs, 16, 16),
        kernel=(kernel, kernel),
        stride=(1, 1),
        padding=(kernel // 2, kernel // 2),
        groups=groups,
    )


def pool(op, kernel):
    side = 16 // kernel
    window = {"kernel": (kernel, kernel), "stride": (kernel, kernel)}
    return OpSpec(op=op, in_shape=SHAPE, out_shape=(96, side, side), **window)


CONVOLUTIONS = {
    "plain": conv(32, 48),
    "pointwise": conv(48, 96, kernel=1),
    "depthwise": conv(96, 96, groups=96),
    "odd width": conv(36, 60),
}
ON_MAPS = {
    **CONVOLUTIONS,
    "narrow": conv(6, 16),
    "grouped": conv(32, 32, groups=2),
    "max pool": pool("max_pool", 2),
    "average pool": pool("average_pool", 2),
    "global pool": pool("average_pool", 16),
    "multiply": OpSpec(op="multiply", in_shape=SHAPE, out_shape=SHAPE),
    "concat": OpSpec(op="concat", in_shape=SHAPE, out_shape=(136, 16, 16)),
    "resize": OpSpec(op="resize", in_shape=SHAPE, out_shape=(96, 32, 32)),
    "transposed": OpSpec(
        op="transposed_conv",
        in_shape=SHAPE,
        out_shape=(48, 32, 32),
        kernel=(2, 2),
        stride=(2, 2),
    ),
}


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", ON_MAPS)
def test_an_excerpt_computes_as_much_as_the_operation(name, precision):
    op = ON_MAPS[name]
    excerpt = in_context(op, precision)
    found = excerpt.session().run(None, excerpt.feed)[0]
    assert found.size >= math.prod(op.out_shape)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_among_others_moves_nothing(name, precision):
    operators = in_context(CONVOLUTIONS[name], precision).operators
    assert len(operators) == 1
    assert not MOVING.intersection(operators)


def test_an_addition_in_float_is_taken_in_or_stays_one_operation():
    op = OpSpec(op="add", in_shape=SHAPE, out_shape=SHAPE)
    found = in_context(op, Precision.FP32)
    assert found is None or len(found.operators) == 1


def test_an_addition_in_8_bits_stays():
    op = OpSpec(op="add", in_shape=SHAPE, out_shape=SHAPE)
    assert in_context(op, Precision.INT8).operators == ("QLinearAdd",)


def test_a_dense_layer_stands_alone():
    op = OpSpec(op="dense", in_shape=(64,), out_shape=(10,))
    assert in_context(op, Precision.FP32).operators == ("Gemm",)
    assert in_context(op, Precision.FP32).feed["x"].shape == (1, 64)


def test_signals_stand_alone():
    op = OpSpec(op="conv", in_shape=(8, 40), out_shape=(16, 38), kernel=(3,), stride=(1,))
    assert in_context(op, Precision.FP32).feed["x"].shape == (1, 8, 40)


def test_an_operation_of_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="no single-operation model for 'fft'"):
        alone(OpSpec(op="fft", in_shape=(4,), out_shape=(4,)), Precision.FP32)
