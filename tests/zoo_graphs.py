"""ONNX written by hand: what exporters of many years and makers leave in files."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.networks import OnnxBuilder, lenet, small_lenet


def weights_in_constant_nodes() -> bytes:
    model = onnx.load_from_string(small_lenet())
    made = [
        helper.make_node("Constant", [], [t.name], value=t) for t in model.graph.initializer
    ]
    del model.graph.initializer[:]
    nodes = [*made, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return model.SerializeToString()


def weights_of_constant_shape() -> bytes:
    """As the light models of the onnx package: every weight is filled with one number."""
    b = OnnxBuilder(2, 8, 8, opset=9)
    fill = numpy_helper.from_array(np.float32([0.1]))
    shape = b.const(np.int64([6, 2, 3, 3]))
    weight = b.op("ConstantOfShape", shape, value=fill)
    x = b.relu(b.op("Conv", "x", weight, kernel_shape=[3, 3]))
    x = b.op("Flatten", b.op("GlobalMaxPool", x))
    return b.build(b.dense(x, "fc", 6, 3), 3)


def weights_listed_as_inputs() -> bytes:
    """As files of IR version 3 do."""
    model = onnx.load_from_string(lenet(opset=7))
    model.ir_version = 3
    for tensor in model.graph.initializer:
        value = helper.make_tensor_value_info(tensor.name, tensor.data_type, list(tensor.dims))
        model.graph.input.append(value)
    return model.SerializeToString()


def weights_shared() -> bytes:
    """Two layers with one weight, another behind Identity and Transpose."""
    b = OnnxBuilder(4, 8, 8)
    weight, bias = b.weight("shared.weight", 4, 4, 3, 3), b.weight("shared.bias", 4)
    x = "x"
    for _ in range(2):
        same = b.op("Identity", weight)
        x = b.relu(b.op("Conv", x, same, bias, kernel_shape=[3, 3], pads=[1] * 4))
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    dense = b.op("Transpose", b.op("Identity", b.weight("fc.weight", 3, 4)), perm=[1, 0])
    return b.build(b.op("MatMul", x, dense), 3)


def normalised(kind: str = "group", opset: int = 21) -> bytes:
    b = OnnxBuilder(3, 8, 8, opset=opset)
    x = b.conv("x", "conv1", 3, 8, 3)
    if kind == "group":
        groups = 8 if opset >= 21 else 4
        values = [b.weight("norm.weight", groups), b.weight("norm.bias", groups)]
        x = b.op("GroupNormalization", x, *values, num_groups=4)
    elif kind == "instance":
        values = [b.weight("norm.weight", 8), b.weight("norm.bias", 8)]
        x = b.op("InstanceNormalization", x, *values)
    else:
        values = [b.weight("norm.weight", 8, 6, 6), b.weight("norm.bias", 8, 6, 6)]
        x = b.op("LayerNormalization", x, *values, axis=1)
    x = b.relu(b.conv(b.relu(x), "conv2", 8, 6, 3))
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "fc", 6, 3), 3)


def einsum_attention() -> bytes:
    b = OnnxBuilder(6, 8)
    q, k, v = (b.op("MatMul", "x", b.weight(f"{name}.weight", 8, 8)) for name in "qkv")
    scores = b.op("Einsum", q, k, equation="bqc,bkc->bqk")
    x = b.op("Einsum", b.op("Softmax", scores, axis=-1), v, equation="bqk, bkc -> bqc")
    x = b.op("Einsum", x, b.weight("out.weight", 8, 8), equation="bqc,cd->bqd")
    x = b.op("ReduceMean", x, axes=[1], keepdims=0)
    return b.build(b.dense(x, "fc", 8, 3), 3)


def causal_attention() -> bytes:
    """Masked by Where with a constant, queries scaled before the product."""
    b = OnnxBuilder(6, 8)
    q, k, v = (b.op("MatMul", "x", b.weight(f"{name}.weight", 8, 8)) for name in "qkv")
    q = b.op("Div", q, b.const(np.float32(8**0.5)))
    scores = b.op("MatMul", q, b.op("Transpose", k, perm=[0, 2, 1]))
    mask = b.const(np.tril(np.ones((6, 6), bool)))
    scores = b.op("Where", mask, scores, b.const(np.float32(-1e9)))
    x = b.op("MatMul", b.op("Softmax", scores, axis=-1), v)
    x = b.op("Gather", x, b.const(np.int64(-1)), axis=1)
    return b.build(b.dense(x, "fc", 8, 3), 3)


def of_today(opset: int = 28) -> bytes:
    """What the newest operator sets moved from attributes to inputs."""
    b = OnnxBuilder(4, 9, 9, opset=opset)
    x = b.op("Pad", "x", b.const(np.int64([1, 1, 1, 1])), "", b.const(np.int64([2, 3])))
    first, second = (b.op("Split", x, axis=1, num_outputs=2), "split_second")
    b.nodes[-1].output.append(second)
    x = b.op(
        "Concat", b.conv(first, "conv1", 2, 8, 3), b.conv(second, "conv2", 2, 8, 3), axis=1
    )
    x = b.op("Gelu", x, approximate="tanh")
    x = b.op("ReduceMean", x, b.const(np.int64([2, 3])), keepdims=0)
    x = b.op("Reshape", x, b.const(np.int64([-1, 16])), allowzero=1)
    x = b.op("Clip", b.dense(x, "fc1", 16, 8), "", b.const(np.float32(2)))
    x = b.op("Mul", x, b.op("ReduceMax", x, b.const(np.int64([1]))))
    return b.build(b.dense(x, "fc2", 8, 3), 3)


def arithmetic() -> bytes:
    """Functions and pairs of computed tensors that no layer of torch stands for."""
    b = OnnxBuilder(3, 6, 6)
    x = b.conv("x", "conv1", 3, 8, 3)
    y = b.conv("x", "conv2", 3, 8, 3)
    x = b.op("Div", b.op("Abs", x), b.op("Add", b.op("Exp", y), b.const(np.float32(1))))
    x = b.op("Sub", b.op("Max", x, y), b.op("Min", x, y))
    x = b.op("Pow", x, b.const(np.float32(2)))
    x = b.op("Sub", b.const(np.float32(1)), b.op("Sqrt", x))
    x = b.op("Mul", x, b.weight("scale", 1, 8, 1, 1))
    x = b.conv(b.op("Neg", x), "conv3", 8, 8, 3)
    x = b.op("Flatten", b.op("ReduceL2", x, axes=[2, 3]))
    return b.build(b.dense(x, "fc", 8, 3), 3)


def mirrored() -> bytes:
    """Reflected and repeated edges, blocks of pixels as channels and back."""
    b = OnnxBuilder(2, 8, 8)
    x = b.op("SpaceToDepth", "x", blocksize=2)
    x = b.op("Pad", x, b.const(np.int64([0, 0, 1, 1, 0, 0, 1, 1])), mode="reflect")
    x = b.relu(b.conv(x, "conv1", 8, 8, 3))
    x = b.op("Pad", x, b.const(np.int64([0, 0, 1, 0, 0, 0, 0, 2])), mode="edge")
    x = b.conv(x, "conv2", 8, 8, (2, 3))
    return b.build(b.op("DepthToSpace", x, blocksize=2), (2, 8, 8))


def upsampled(opset: int = 9, mode: str = "nearest") -> bytes:
    b = OnnxBuilder(3, 5, 5, opset=opset)
    x = b.relu(b.conv("x", "conv1", 3, 8, 3, pads=[1] * 4))
    scales = np.float32([1, 1, 2, 2])
    if opset < 9:
        x = b.op("Upsample", x, mode=mode, scales=scales.tolist())
    elif opset < 10:
        x = b.op("Upsample", x, b.const(scales), mode=mode)
    else:
        x = b.op("Resize", x, b.const(scales), mode=mode)
    return b.build(b.conv(x, "conv2", 8, 2, 1), (2, 10, 10))


def volumes() -> bytes:
    """A 3-D convolution, which has no layer here, before a 2-D network."""
    b = OnnxBuilder(1, 4, 8, 8)
    x = b.relu(b.conv("x", "conv3d", 1, 2, 3, dims=3, pads=[1] * 6))
    x = b.op("Reshape", x, b.const(np.int64([0, 8, 8, 8])))
    x = b.relu(b.conv(x, "conv2d", 8, 8, 3))
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "fc", 8, 3), 3)


def running_sums() -> bytes:
    b = OnnxBuilder(3, 16)
    x = b.relu(b.conv("x", "conv", 3, 8, 3, dims=1))
    x = b.op("CumSum", x, b.const(np.int64(2)), name="sums")
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "fc", 8, 3), 3)


# --- to be refused --------------------------------------------------------------------------------


def _with_first_relu(op_type: str, **attributes) -> bytes:
    model = onnx.load_from_string(small_lenet())
    node = next(n for n in model.graph.node if n.op_type == "Relu")
    fresh = helper.make_node(op_type, node.input, node.output, name="culprit", **attributes)
    node.CopyFrom(fresh)
    return model.SerializeToString()


def branching() -> bytes:
    return _with_first_relu("If", then_branch=helper.make_graph([], "body", [], []))


def looping() -> bytes:
    return _with_first_relu("Loop", body=helper.make_graph([], "body", [], []))


def foreign() -> bytes:
    model = onnx.load_from_string(_with_first_relu("FusedConv"))
    next(n for n in model.graph.node if n.name == "culprit").domain = "com.microsoft"
    return model.SerializeToString()


def quantised() -> bytes:
    return _with_first_relu("QuantizeLinear")


def half() -> bytes:
    model = onnx.load_from_string(small_lenet())
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return model.SerializeToString()


def random() -> bytes:
    return _with_first_relu("RandomUniformLike")


def detections() -> bytes:
    """Ends in non-maximum suppression: how many boxes there are depends on the image."""
    b = OnnxBuilder(4, 8)
    scores = b.conv("x", "scores", 4, 1, 1, dims=1)
    boxes = b.op("Transpose", b.conv("x", "boxes", 4, 4, 1, dims=1), perm=[0, 2, 1])
    found = b.op("NonMaxSuppression", boxes, scores, b.const(np.int64([3])), name="culprit")
    return b.build(b.op("Cast", found, to=TensorProto.FLOAT), 3)


def answers() -> bytes:
    """Ends in ArgMax: the scores are lost."""
    b = OnnxBuilder(6)
    model = onnx.load_from_string(
        b.build(b.op("ArgMax", b.dense("x", "fc", 6, 3), axis=1, keepdims=0), ())
    )
    model.graph.output[0].type.tensor_type.elem_type = TensorProto.INT64
    return model.SerializeToString()


def training() -> bytes:
    b = OnnxBuilder(3, 6, 6)
    x = b.batch_norm(b.conv("x", "conv", 3, 4, 3), "bn", 4)
    b.nodes[-1].attribute.append(helper.make_attribute("training_mode", 1))
    b.nodes[-1].output.extend(["mean", "variance"])
    return b.build(b.dense(b.op("Flatten", x), "fc", 64, 3), 3)


def sized_by_the_user() -> bytes:
    b = OnnxBuilder(3, "height", 8)
    return b.build(b.op("Flatten", b.op("GlobalMaxPool", b.relu("x"))), 3)


def of_tokens() -> bytes:
    model = onnx.load_from_string(small_lenet())
    model.graph.input[0].type.tensor_type.elem_type = TensorProto.INT64
    return model.SerializeToString()


def of_two_inputs() -> bytes:
    model = onnx.load_from_string(small_lenet())
    extra = helper.make_tensor_value_info("mask", TensorProto.FLOAT, ["batch", 4])
    model.graph.input.append(extra)
    return model.SerializeToString()


def with_features() -> bytes:
    """What the first activation puts out is an output too, and a pool behind it reads it."""
    model = onnx.load_from_string(small_lenet())
    name = model.graph.node[1].output[0]
    model.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    return model.SerializeToString()


def with_two_names() -> bytes:
    """The same tensor as two outputs."""
    model = onnx.load_from_string(small_lenet())
    model.graph.node.append(helper.make_node("Identity", ["logits"], ["again"]))
    again = helper.make_tensor_value_info("again", TensorProto.FLOAT, ["batch", 4])
    model.graph.output.append(again)
    return model.SerializeToString()


def with_priors() -> bytes:
    """A detector's boxes to start from, which are the same for every picture."""
    model = onnx.load_from_string(small_lenet())
    values = numpy_helper.from_array(np.ones((1, 4), np.float32))
    model.graph.node.append(helper.make_node("Constant", [], ["priors"], value=values))
    model.graph.output.append(
        helper.make_tensor_value_info("priors", TensorProto.FLOAT, [1, 4])
    )
    return model.SerializeToString()


def with_answers() -> bytes:
    """The scores, and which of them is the largest."""
    model = onnx.load_from_string(small_lenet())
    model.graph.node.append(helper.make_node("ArgMax", ["logits"], ["answers"], axis=1))
    answers = helper.make_tensor_value_info("answers", TensorProto.INT64, ["batch", 1])
    model.graph.output.append(answers)
    return model.SerializeToString()


def too_old() -> bytes:
    model = onnx.load_from_string(small_lenet())
    model.opset_import[0].version = 6
    return model.SerializeToString()
