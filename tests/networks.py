"""A zoo of tiny networks as ONNX bytes, with seeded random weights: real files for real tests."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.exporting import exported, seeded
from tests.zoo_attention import vit_chunked
from tests.zoo_dense import UNet
from tests.zoo_vision import ShuffleNetV2

if TYPE_CHECKING:
    from collections.abc import Callable


class OnnxBuilder:
    """Writes an ONNX graph op by op; every method returns the name of the tensor it made."""

    def __init__(self, *shape: int, batch: int | str = "batch", opset: int = 17, seed: int = 0):
        self.batch, self.shape, self.opset = batch, shape, opset
        self.rng = np.random.default_rng(seed)
        self.nodes, self.initializers = [], []
        self.count = 0

    def op(self, kind, *inputs, name="", **attributes):
        self.count += 1
        out = f"{kind.lower()}_{self.count}_out"
        self.nodes.append(
            helper.make_node(
                kind, list(inputs), [out], name=name or f"/{kind}_{self.count}", **attributes
            )
        )
        return out

    def const(self, value, name=""):
        self.count += 1
        name = name or f"const_{self.count}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, name, *shape):
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else shape[0]
        values = self.rng.standard_normal(shape) * math.sqrt(2 / fan_in)
        return self.const(values.astype(np.float32), name)

    def conv(
        self, x, name, inputs, outputs, kernel, *, dims=2, groups=1, bias=True, **attributes
    ):
        if not isinstance(kernel, tuple):
            kernel = (kernel,) * dims
        tensors = [x, self.weight(f"{name}.weight", outputs, inputs // groups, *kernel)]
        if bias:
            tensors.append(self.weight(f"{name}.bias", outputs))
        if groups > 1:
            attributes["group"] = groups
        return self.op(
            "Conv", *tensors, name=f"/{name}/Conv", kernel_shape=kernel, **attributes
        )

    def dense(self, x, name, inputs, outputs):
        tensors = [
            self.weight(f"{name}.weight", outputs, inputs),
            self.weight(f"{name}.bias", outputs),
        ]
        return self.op("Gemm", x, *tensors, name=f"/{name}/Gemm", transB=1)

    def batch_norm(self, x, name, channels):
        positive = self.rng.uniform(0.5, 1.5, (2, channels)).astype(np.float32)
        return self.op(
            "BatchNormalization",
            x,
            self.const(positive[0], f"{name}.weight"),
            self.weight(f"{name}.bias", channels),
            self.weight(f"{name}.running_mean", channels),
            self.const(positive[1], f"{name}.running_var"),
            name=f"/{name}/BatchNormalization",
        )

    def relu(self, x):
        return self.op("Relu", x)

    def max_pool(self, x, size=2, dims=2, **attributes):
        return self.op(
            "MaxPool", x, kernel_shape=[size] * dims, strides=[size] * dims, **attributes
        )

    def build(self, output, outputs, *, output_name="logits", input_name="input"):
        for node in self.nodes:
            node.input[:] = [input_name if name == "x" else name for name in node.input]
            node.output[:] = [output_name if name == output else name for name in node.output]
            node.input[:] = [output_name if name == output else name for name in node.input]
        shape = list(outputs) if isinstance(outputs, tuple) else [outputs]
        graph = helper.make_graph(
            self.nodes,
            "tiny",
            [
                helper.make_tensor_value_info(
                    input_name, TensorProto.FLOAT, [self.batch, *self.shape]
                )
            ],
            [
                helper.make_tensor_value_info(
                    output_name, TensorProto.FLOAT, [self.batch, *shape]
                )
            ],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", self.opset)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()


def lenet(*, batch: int | str = "batch", opset: int = 17, seed: int = 0) -> bytes:
    """The classic LeNet-5: 61,706 parameters, 416,520 MACs at 28 x 28 with padding 2."""
    b = OnnxBuilder(1, 28, 28, batch=batch, opset=opset, seed=seed)
    x = b.max_pool(b.relu(b.conv("x", "conv1", 1, 6, 5, pads=[2, 2, 2, 2])))
    x = b.max_pool(b.relu(b.conv(x, "conv2", 6, 16, 5)))
    x = b.op("Flatten", x)
    x = b.relu(b.dense(x, "fc1", 400, 120))
    x = b.relu(b.dense(x, "fc2", 120, 84))
    return b.build(b.dense(x, "fc3", 84, 10), 10)


def small_lenet(*, seed: int = 0) -> bytes:
    """A LeNet-like chain on 1 x 12 x 12 with 4 classes, quick to compress in a test."""
    b = OnnxBuilder(1, 12, 12, seed=seed)
    x = b.max_pool(b.relu(b.conv("x", "conv1", 1, 8, 3, pads=[1, 1, 1, 1])))
    x = b.max_pool(b.relu(b.conv(x, "conv2", 8, 16, 3, pads=[1, 1, 1, 1])))
    x = b.relu(b.dense(b.op("Flatten", x), "fc1", 144, 32))
    return b.build(b.dense(x, "fc2", 32, 4), 4)


def flat_relu(*, seed: int = 0) -> bytes:
    """What ``relu(flatten(conv(x)))`` is exported as: an activation behind what flattens the map."""
    b = OnnxBuilder(1, 8, 8, seed=seed)
    x = b.conv("x", "conv1", 1, 6, 3, pads=[1, 1, 1, 1])
    x = b.relu(b.dense(b.relu(b.op("Flatten", x)), "fc1", 384, 24))
    return b.build(b.dense(x, "fc2", 24, 4), 4)


def vgg(*, seed: int = 0) -> bytes:
    """VGG-like: pairs of 3 x 3 convolutions, then a dense head."""
    b = OnnxBuilder(3, 16, 16, seed=seed)
    x, width = "x", 3
    for index, outputs in enumerate((16, 16, 32, 32)):
        x = b.relu(b.conv(x, f"features.{index}", width, outputs, 3, pads=[1, 1, 1, 1]))
        width = outputs
        if index % 2:
            x = b.max_pool(x)
    x = b.relu(b.dense(b.op("Flatten", x), "classifier.0", 512, 64))
    return b.build(b.dense(x, "classifier.1", 64, 10), 10)


def alexnet(*, seed: int = 0) -> bytes:
    """AlexNet-like: strides, local response norm, two groups, overlapping pools, dropout."""
    b = OnnxBuilder(3, 32, 32, seed=seed)
    x = b.relu(b.conv("x", "conv1", 3, 16, 5, strides=[2, 2], pads=[2, 2, 2, 2]))
    x = b.op("LRN", x, size=5, alpha=1e-4, beta=0.75, bias=1.0)
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = b.relu(b.conv(x, "conv2", 16, 32, 3, pads=[1, 1, 1, 1], groups=2))
    x = b.relu(b.conv(x, "conv3", 32, 24, 3, pads=[1, 1, 1, 1]))
    x = b.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])
    x = b.op("Dropout", b.op("Flatten", x))
    x = b.op("Dropout", b.relu(b.dense(x, "fc6", 216, 48)))
    return b.build(b.op("Softmax", b.dense(x, "fc8", 48, 10), axis=1), 10)


def _block(b: OnnxBuilder, x, name, inputs, outputs, stride):
    y = b.conv(
        x, f"{name}.conv1", inputs, outputs, 3, strides=[stride] * 2, pads=[1] * 4, bias=False
    )
    y = b.relu(b.batch_norm(y, f"{name}.bn1", outputs))
    y = b.conv(y, f"{name}.conv2", outputs, outputs, 3, pads=[1] * 4, bias=False)
    y = b.batch_norm(y, f"{name}.bn2", outputs)
    if stride != 1 or inputs != outputs:
        x = b.conv(x, f"{name}.downsample", inputs, outputs, 1, strides=[stride] * 2)
    return b.relu(b.op("Add", y, x))


def resnet(*, seed: int = 0) -> bytes:
    """Residual blocks with batch norms, one with a projection; global average pool."""
    b = OnnxBuilder(3, 16, 16, seed=seed)
    x = b.relu(
        b.batch_norm(b.conv("x", "conv1", 3, 16, 3, pads=[1] * 4, bias=False), "bn1", 16)
    )
    x = _block(b, x, "layer1.0", 16, 16, 1)
    x = _block(b, x, "layer2.0", 16, 32, 2)
    x = _block(b, x, "layer2.1", 32, 32, 1)
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "fc", 32, 10), 10)


def inception(*, seed: int = 0) -> bytes:
    """Branches joined by a concat, twice; the head is a convolution and a mean."""
    b = OnnxBuilder(3, 12, 12, seed=seed)
    x = b.relu(b.conv("x", "stem", 3, 16, 3, pads=[1] * 4))
    for index, inputs in enumerate((16, 28)):
        one = b.relu(b.conv(x, f"mixed{index}.b1", inputs, 8, 1))
        three = b.relu(b.conv(x, f"mixed{index}.b3_reduce", inputs, 8, 1))
        three = b.relu(b.conv(three, f"mixed{index}.b3", 8, 12, 3, pads=[1] * 4))
        pool = b.op("AveragePool", x, kernel_shape=[3, 3], strides=[1, 1], pads=[1] * 4)
        pool = b.relu(b.conv(pool, f"mixed{index}.pool", inputs, 8, 1))
        x = b.op("Concat", one, three, pool, axis=1)
    x = b.conv(x, "head", 28, 10, 1)
    return b.build(b.op("ReduceMean", x, axes=[2, 3], keepdims=0), 10)


def densenet(*, seed: int = 0) -> bytes:
    """Norms *before* convolutions over growing concats: nothing there can be folded."""
    b = OnnxBuilder(1, 10, 10, seed=seed)
    x, width = b.conv("x", "conv0", 1, 8, 3, pads=[1] * 4), 8
    for index in range(3):
        y = b.relu(b.batch_norm(x, f"dense{index}.norm", width))
        y = b.conv(y, f"dense{index}.conv", width, 8, 3, pads=[1] * 4)
        x, width = b.op("Concat", x, y, axis=1), width + 8
    x = b.relu(b.batch_norm(x, "norm_last", width))
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "classifier", width, 5), 5)


def mobilenet(*, seed: int = 0) -> bytes:
    """Inverted residuals: depthwise convolutions, ReLU6, squeeze-and-excite, hard swish."""
    b = OnnxBuilder(3, 16, 16, seed=seed)
    six = (b.const(np.float32(0)), b.const(np.float32(6)))
    x = b.op("HardSwish", b.conv("x", "stem", 3, 16, 3, strides=[2, 2], pads=[1] * 4))
    y = b.op("Clip", b.conv(x, "expand", 16, 48, 1), *six)
    y = b.op("Clip", b.conv(y, "depthwise", 48, 48, 3, pads=[1] * 4, groups=48), *six)
    s = b.op("GlobalAveragePool", y)
    s = b.op(
        "HardSigmoid",
        b.conv(b.relu(b.conv(s, "se.1", 48, 12, 1)), "se.2", 12, 48, 1),
        alpha=1 / 6,
    )
    x = b.op("Add", b.conv(b.op("Mul", y, s), "project", 48, 16, 1), x)
    x = b.op("Flatten", b.op("GlobalAveragePool", x))
    return b.build(b.dense(x, "classifier", 16, 6), 6)


def grouped(*, seed: int = 0) -> bytes:
    """A grouped convolution between plain ones."""
    b = OnnxBuilder(4, 10, 10, seed=seed)
    x = b.relu(b.conv("x", "conv1", 4, 16, 3))
    x = b.relu(b.conv(x, "conv2", 16, 32, 3, groups=4, dilations=[2, 2]))
    x = b.op("Flatten", b.op("GlobalMaxPool", b.conv(x, "conv3", 32, 8, 1)))
    return b.build(b.dense(x, "fc", 8, 3), 3)


def cnn_1d(*, seed: int = 0) -> bytes:
    """A 1-D CNN on motion-like windows: 6 channels, 32 steps."""
    b = OnnxBuilder(6, 32, seed=seed)
    x, width = "x", 6
    for index, outputs in enumerate((16, 16, 32)):
        x = b.conv(x, f"conv{index + 1}", width, outputs, 5, dims=1, pads=[2, 2])
        x, width = b.max_pool(b.relu(x), dims=1), outputs
    x = b.relu(b.dense(b.op("Flatten", x), "fc1", 128, 32))
    return b.build(b.dense(x, "fc2", 32, 5), 5)


def mlp(*, seed: int = 0) -> bytes:
    """Dense layers written as MatMul and Add, weights stored [in, out]."""
    b = OnnxBuilder(20, seed=seed)
    x, width = "x", 20
    for index, outputs in enumerate((32, 16, 4)):
        x = b.op("MatMul", x, b.weight(f"layers.{index}.kernel", width, outputs))
        x, width = b.op("Add", x, b.weight(f"layers.{index}.bias", outputs)), outputs
        if index < 2:
            x = b.op("Tanh", x)
    return b.build(x, 4)


def exporter_style(*, seed: int = 0) -> bytes:
    """What older exporters leave: shape arithmetic, Identity on weights, ``x * c + d`` as norm."""
    b = OnnxBuilder(2, 8, 8, seed=seed)
    x = b.op("Sub", "x", b.const(np.float32([0.4]), "mean"))
    x = b.op("Div", x, b.const(np.float32([[[[0.5]], [[0.25]]]]), "std"))
    weight = b.op("Identity", b.weight("conv.weight", 8, 2, 3, 3))
    x = b.op("Conv", x, weight, auto_pad="SAME_UPPER", strides=[2, 2], kernel_shape=[3, 3])
    x = b.op("Mul", x, b.weight("norm.scale", 8, 1, 1))
    x = b.relu(b.op("Add", x, b.weight("norm.shift", 1, 8, 1, 1)))
    shape = b.op("Slice", b.op("Shape", x), *(b.const(np.int64([v])) for v in (0, 1, 0)))
    shape = b.op("Concat", shape, b.const(np.int64([-1])), axis=0)
    x = b.op("Reshape", x, shape)
    return b.build(b.dense(x, "fc", 128, 3), 3)


def fixed_batch(*, seed: int = 0) -> bytes:
    """A batch of 1 written into the interface and into a reshape."""
    b = OnnxBuilder(1, 8, 8, batch=1, seed=seed)
    x = b.max_pool(b.relu(b.conv("x", "conv", 1, 8, 3, pads=[1] * 4)))
    x = b.op("Reshape", x, b.const(np.int64([1, 128])))
    return b.build(b.dense(x, "fc", 128, 3), 3)


def old_opset(*, seed: int = 0) -> bytes:
    """Opset 7: bounds and pads as attributes."""
    b = OnnxBuilder(2, 9, 9, opset=7, seed=seed)
    x = b.op("Pad", "x", pads=[0, 0, 1, 0, 0, 0, 2, 1], mode="constant", value=0.0)
    x = b.op(
        "Clip", b.batch_norm(b.conv(x, "conv", 2, 8, 3, bias=False), "bn", 8), min=0.0, max=6.0
    )
    x = b.op("AveragePool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = b.op("LeakyRelu", b.dense(b.op("Flatten", x), "fc1", 8 * 5 * 4, 16), alpha=0.2)
    return b.build(b.dense(x, "fc2", 16, 3), 3)


def channels_last(*, seed: int = 0) -> bytes:
    """What TensorFlow converters write: NHWC input, transposes around the convolutions."""
    b = OnnxBuilder(8, 8, 3, seed=seed)
    x = b.op("Transpose", "x", perm=[0, 3, 1, 2])
    x = b.relu(b.conv(x, "conv", 3, 8, 3, pads=[1] * 4))
    x = b.op("Transpose", b.max_pool(x), perm=[0, 2, 3, 1])
    x = b.op("Reshape", x, b.const(np.int64([-1, 128])))
    return b.build(b.dense(x, "dense", 128, 3), 3)


def linear_pairs(*, seed: int = 0) -> bytes:
    """Layers in a row with nothing curved between them, as factored networks have them."""
    b = OnnxBuilder(2, 9, 9, seed=seed)
    x = b.conv(b.conv("x", "wide", 2, 16, 1, bias=False), "filters", 16, 8, 3, pads=[1] * 4)
    x = b.conv(b.relu(x), "rich", 8, 16, 3)
    x = b.relu(b.conv(x, "mixed", 16, 8, 1, strides=[2, 2]))
    x = b.op("Flatten", b.conv(x, "spread", 8, 24, 1))
    x = b.op("Dropout", b.dense(x, "fc1", 384, 64))
    return b.build(b.dense(x, "fc2", 64, 4), 4)


def attention() -> bytes:
    """A small vision transformer: patches, class token, heads, layer norms."""
    return exported(seeded(vit_chunked), 3, 12, 12)


def shuffle() -> bytes:
    """Channels cut in halves, joined and shuffled."""
    return exported(seeded(ShuffleNetV2), 3, 16, 16)


def unet() -> bytes:
    """Down and up again by a transposed convolution; a map comes out."""
    return exported(seeded(UNet), 3, 16, 16)


def several_outputs(*, seed: int = 0) -> bytes:
    """Scores, a map of boxes, and an early activation that a pool behind it reads too."""
    b = OnnxBuilder(3, 12, 12, seed=seed)
    early = b.relu(b.conv("x", "early", 3, 16, 3, pads=[1, 1, 1, 1]))
    x = b.max_pool(early)
    x = b.relu(b.op("Add", b.conv(x, "branch", 16, 16, 3, pads=[1, 1, 1, 1]), x))
    boxes = b.conv(x, "boxes", 16, 8, 1)
    pooled = b.op("Flatten", b.op("GlobalAveragePool", x))
    hidden = b.relu(b.dense(pooled, "hidden", 16, 24))
    model = onnx.load_from_string(b.build(b.dense(hidden, "scores", 24, 4), 4))
    for name, shape in ((boxes, [8, 6, 6]), (early, [16, 12, 12])):
        output = helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", *shape])
        model.graph.output.append(output)
    return model.SerializeToString()


ZOO: dict[str, Callable[..., bytes]] = {
    "lenet": lenet,
    "small_lenet": small_lenet,
    "flat_relu": flat_relu,
    "vgg": vgg,
    "alexnet": alexnet,
    "resnet": resnet,
    "inception": inception,
    "densenet": densenet,
    "mobilenet": mobilenet,
    "grouped": grouped,
    "cnn_1d": cnn_1d,
    "mlp": mlp,
    "exporter_style": exporter_style,
    "fixed_batch": fixed_batch,
    "old_opset": old_opset,
    "channels_last": channels_last,
    "linear_pairs": linear_pairs,
    "attention": attention,
    "shuffle": shuffle,
    "unet": unet,
    "several_outputs": several_outputs,
}
