"""Networks that are kept with weights of 16 bits."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from benchmarks.halves import halved, restored
from compression.evaluation import onnx_logits


def _dense(weights):
    tensors = [
        numpy_helper.from_array(weights, "weights"),
        numpy_helper.from_array(np.array([-1, 8]), "shape"),
    ]
    nodes = [
        helper.make_node("Reshape", ["x", "shape"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["y"]),
    ]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", n])]
        for name, n in (("x", 8), ("y", 4))
    ]
    graph = helper.make_graph(nodes, "dense", *ends, initializer=tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])


def test_kept_copy_is_half_as_large_and_restores_the_rounded_network():
    weights = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    model = _dense(weights).SerializeToString()

    kept = halved(model)
    again = restored(kept)

    assert len(model) - len(kept) == pytest.approx(weights.nbytes / 2, abs=8)
    x = np.ones((2, 8), np.float32)
    rounded = weights.astype(np.float16).astype(np.float32)
    assert np.array_equal(onnx_logits(again, x), x @ rounded)
    shape = onnx.load_from_string(again).graph.initializer[1]
    assert shape.data_type == TensorProto.INT64


def test_what_was_rounded_once_is_restored_bit_for_bit():
    model = restored(halved(_dense(np.full((8, 4), np.pi, np.float32)).SerializeToString()))
    assert restored(halved(model)) == model
