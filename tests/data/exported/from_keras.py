"""Writes the files ``keras_*.onnx``: ``python from_keras.py``, with tensorflow-cpu 2.21, Keras 3.15 and tf2onnx 1.17."""

import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
import onnx
from keras import layers

HERE = Path(__file__).parent


def plain():
    image = layers.Input((24, 24, 3), name="image")
    x = layers.Conv2D(8, 3, padding="same", use_bias=False)(image)
    x = layers.MaxPooling2D()(layers.ReLU()(layers.BatchNormalization()(x)))
    x = layers.Conv2D(12, 3, padding="same", activation="relu")(x)
    x = layers.Flatten()(layers.MaxPooling2D()(x))
    x = layers.Dropout(0.2)(layers.Dense(16, activation="relu")(x))
    return keras.Model(image, layers.Dense(5, activation="softmax", name="scores")(x))


def mobile():
    image = layers.Input((32, 32, 3), name="image")
    x = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(image)
    x = _normed(x)
    for stride, factor, width in ((1, 2, 8), (2, 3, 12), (1, 3, 12)):
        y = _normed(layers.Conv2D(x.shape[-1] * factor, 1, use_bias=False)(x))
        y = layers.DepthwiseConv2D(3, strides=stride, padding="same", use_bias=False)(y)
        y = layers.Conv2D(width, 1, use_bias=False)(_normed(y))
        y = layers.BatchNormalization()(y)
        x = layers.Add()([x, y]) if x.shape == y.shape else y
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(image, layers.Dense(7, name="scores")(x))


def signal():
    values = layers.Input((64, 4), name="signal")
    x = layers.Conv1D(8, 5, padding="same", activation="relu")(values)
    x = layers.Conv1D(12, 3, dilation_rate=2, activation="relu")(layers.MaxPooling1D(2)(x))
    return keras.Model(values, layers.Dense(4, name="scores")(layers.GlobalMaxPooling1D()(x)))


def unet():
    image = layers.Input((16, 16, 3), name="image")
    near = layers.Conv2D(6, 3, padding="same", activation="relu")(image)
    far = layers.AveragePooling2D(2)(near)
    far = layers.Conv2D(10, 3, padding="same", activation="swish")(far)
    stretched = layers.UpSampling2D(2, interpolation="bilinear")(far)
    learnt = layers.Conv2DTranspose(6, 2, strides=2, padding="same")(far)
    x = layers.Concatenate()([near, stretched, learnt])
    return keras.Model(image, layers.Conv2D(2, 1, name="mask")(x))


def excite():
    image = layers.Input((24, 24, 3), name="image")
    x = layers.SeparableConv2D(12, 3, padding="same", activation="relu")(image)
    share = layers.Conv2D(4, 1, activation="relu")(
        layers.GlobalAveragePooling2D(keepdims=True)(x)
    )
    x = layers.Multiply()([x, layers.Conv2D(12, 1, activation="sigmoid")(share)])
    x = layers.ZeroPadding2D(1)(layers.LeakyReLU(negative_slope=0.1)(x))
    x = layers.Flatten()(layers.Conv2D(8, 3, strides=2)(x))
    return keras.Model(image, layers.Dense(3, name="scores")(x))


def _normed(x):
    return layers.ReLU(6.0)(layers.BatchNormalization()(x))


def write(model: keras.Model, name: str, opset: int) -> None:
    rng = np.random.default_rng(1)
    for weight in model.weights:  # as if it had been trained
        if "moving_variance" in weight.path:
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
        elif "moving_mean" in weight.path or "beta" in weight.path:
            weight.assign(rng.normal(0, 0.2, weight.shape))
    target = HERE / f"keras_{name}.onnx"
    with tempfile.TemporaryDirectory() as folder:
        model.export(folder, format="tf_saved_model", verbose=False)
        convert = [sys.executable, "-m", "tf2onnx.convert", "--saved-model", folder]
        subprocess.run([*convert, "--opset", str(opset), "--output", str(target)], check=True)
    written = onnx.load(target)
    written.doc_string = written.graph.doc_string = ""
    del written.metadata_props[:]
    onnx.save(written, target)


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    for make, opset in ((plain, 9), (mobile, 15), (signal, 15), (unet, 15), (excite, 18)):
        write(make(), make.__name__, opset)
