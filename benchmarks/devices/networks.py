"""Features of the measured networks, by the cost model that the product prices with."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np

from benchmarks.devices.tables import DATA, layer_tables, rows
from compression.cost import FEATURES, Array, op_features
from compression.types import OpSpec

_OUTPUTS = 1001  # classes of the TensorFlow models, with the background
_V1 = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    *[(512, 1)] * 5,
    (1024, 2),
    (1024, 1),
)
_V2 = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


@cache
def table_features() -> Array:
    """``[24, 9]`` of the networks of the public tables."""
    others = {name: np.zeros(len(FEATURES)) for name in layer_tables()}
    for row in rows(DATA / "ncnn_other_layers.csv"):
        others[row["network"]][[6, 8]] += float(row["elements"]), float(row["layers"])
    return np.array(
        [
            others[name] + total([_operation(layer) for layer in network["layers"]])
            for name, network in layer_tables().items()
        ]
    )


def total(operations: list[OpSpec]) -> Array:
    """``[9]`` the sum over operations."""
    return np.asarray(np.sum([op_features(operation) for operation in operations], axis=0))


def mobilenet(model: str) -> Array:
    """``[9]`` of a name like ``mobilenet-v1-0.75-160``: version, width, resolution."""
    _, version, width, side = model.split("-")
    make = mobilenet_v1 if version == "v1" else mobilenet_v2
    return total(make(float(width), int(side)))


def _operation(layer: dict[str, Any]) -> OpSpec:
    if layer["type"] == "fc":
        return dense(layer["cin"], layer["cout"])
    step, kernel = layer["stride"], (layer["kh"], layer["kw"])
    return OpSpec(
        op="conv",
        in_shape=(layer["cin"], *layer["in_hw"]),
        out_shape=(layer["cout"], *layer["out_hw"]),
        kernel=kernel,
        stride=(step, step),
        groups=layer["groups"],
        macs=layer["macs"],
        params=layer["params"],
    )


def dense(inputs: int, outputs: int) -> OpSpec:
    """A fully connected layer."""
    weights = inputs * outputs
    return OpSpec(
        op="dense",
        in_shape=(inputs,),
        out_shape=(outputs,),
        macs=weights,
        params=weights + outputs,
    )


def conv(
    inputs: int,
    outputs: int,
    kernel: int,
    step: int,
    side: int,
    *,
    depthwise: bool = False,
    width: int = 0,
    kernel_width: int = 0,
) -> OpSpec:
    """A padded convolution; square unless the widths say otherwise."""
    width, kernel_width = width or side, kernel_width or kernel
    out = (math.ceil(side / step), math.ceil(width / step))
    weights = kernel * kernel_width * outputs * (1 if depthwise else inputs)
    return OpSpec(
        op="conv",
        in_shape=(inputs, side, width),
        out_shape=(outputs, *out),
        kernel=(kernel, kernel_width),
        stride=(step, step),
        groups=inputs if depthwise else 1,
        macs=weights * math.prod(out),
        params=weights + outputs,
    )


def plain(op: str, shape: tuple[int, ...], out: tuple[int, ...]) -> OpSpec:
    """An operation that multiplies nothing."""
    return OpSpec(op=op, in_shape=shape, out_shape=out)


def mobilenet_v1(width: float, side: int, classes: int = _OUTPUTS) -> list[OpSpec]:
    """The operations of a MobileNet v1 of that width and resolution."""
    channels = int(32 * width)
    found = [conv(3, channels, 3, 2, side)]
    for outputs, step in _V1:
        wide = int(outputs * width)
        found.append(conv(channels, channels, 3, step, found[-1].out_shape[1], depthwise=True))
        found.append(conv(channels, wide, 1, 1, found[-1].out_shape[1]))
        channels = wide
    return found + _head(found[-1], classes)


def mobilenet_v2(width: float, side: int) -> list[OpSpec]:
    """The operations of a MobileNet v2 of that width and resolution."""
    channels = _divisible(32 * width)
    found = [conv(3, channels, 3, 2, side)]
    for expansion, outputs, repeats, first_step in _V2:
        wide = _divisible(outputs * width)
        for index in range(repeats):
            step = first_step if index == 0 else 1
            found += _bottleneck(channels, expansion, wide, step, found[-1].out_shape[1])
            if index:
                found.append(
                    plain("add", (2 * wide, *found[-1].out_shape[1:]), found[-1].out_shape)
                )
            channels = wide
    last = _divisible(1280 * max(1.0, width))
    found.append(conv(channels, last, 1, 1, found[-1].out_shape[1]))
    return found + _head(found[-1])


def _bottleneck(
    channels: int, expansion: int, outputs: int, step: int, side: int
) -> list[OpSpec]:
    inner = channels * expansion
    found = [conv(channels, inner, 1, 1, side)] if expansion > 1 else []
    found.append(conv(inner, inner, 3, step, side, depthwise=True))
    return [*found, conv(inner, outputs, 1, 1, found[-1].out_shape[1])]


def _head(last: OpSpec, classes: int = _OUTPUTS) -> list[OpSpec]:
    channels = last.out_shape[0]
    return [
        plain("average_pool", last.out_shape, (channels,)),
        dense(channels, classes),
        plain("softmax", (classes,), (classes,)),
    ]


def _divisible(channels: float, by: int = 8) -> int:
    """Rounded as the reference implementations of MobileNet do."""
    rounded = max(by, int(channels + by / 2) // by * by)
    return rounded + by if rounded < 0.9 * channels else rounded
