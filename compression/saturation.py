"""Whether this processor computes right with weights of 8 bits."""

from __future__ import annotations

from functools import cache

import numpy as np
import onnx
from onnx import TensorProto, helper

from compression.runtime import quiet_session

EXACT_HERE = (
    "The file that computes in 8 bits counts on exact sums of 8-bit products, as here, on ARM and on x86 with VNNI. Older x86 "
    "processors cut such sums off, and it may lose a point or two more there: for one of these, build on one of these."
)
"""Measured: two 1-D networks made on a Xeon with VNNI lost 0.9 and 1.8 points more on an EPYC with AVX2 alone."""


@cache
def sums_overflow() -> bool:
    """Whether this processor adds products of 8-bit numbers in pairs, and cuts the sums off at 16 bits.

    x86 does so up to AVX2, and AVX-512 without VNNI. Weights then take 7 bits, with which no pair
    overflows: a LeNet-5 that lost 7e-3 nats in 8-bit arithmetic lost 1e-4 so, and others about as much as before.
    """
    length, largest = 64, (255, 127)
    node = helper.make_node("MatMulInteger", ["x", "w"], ["y"])
    weights = np.full((length, 16), largest[1], np.int8)
    graph = helper.make_graph(
        [node],
        "sums",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, [1, length])],
        [helper.make_tensor_value_info("y", TensorProto.INT32, [1, 16])],
        [onnx.numpy_helper.from_array(weights, "w")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 10)], ir_version=4)
    session = quiet_session(model.SerializeToString())
    (found,) = session.run(None, {"x": np.full((1, length), largest[0], np.uint8)})
    return bool((found != length * largest[0] * largest[1]).any())


def exactness_note() -> str:
    """What to know of a file that computes in 8 bits and was made here; empty where its weights take 7 bits."""
    return "" if sums_overflow() else EXACT_HERE
