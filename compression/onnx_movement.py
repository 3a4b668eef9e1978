"""ONNX operators that move values and compute nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import fx, nn

from compression.constant_modules import Einsum
from compression.onnx_arithmetic import tensor
from compression.onnx_conversion import Conversion, attribute
from compression.onnx_places import FIRST, Place
from compression.shape_modules import Expanded, Permute, Picked, Reshape, StridedSlice

if TYPE_CHECKING:
    import onnx

    from compression.types import Shape

_BATCH = 1 << 40
"""Stands for the size of the batch: larger than any bound that a file names."""


def convert_reshape(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Flatten, Reshape, Squeeze and Unsqueeze: the values stay in order."""
    network.places[node.output[0]] = network.reshaped_place(node)
    old, new = network.in_shape(node), network.out_shape(node)
    if old == new:
        return network.source(node)
    return _regrouped(network, node, network.source(node), new)


def _regrouped(
    network: Conversion, node: onnx.NodeProto, source: fx.Node, shape: Shape, suffix: str = ""
) -> fx.Node:
    layer = nn.Flatten(1) if len(shape) == 1 else Reshape(shape)
    return network.add_layer(node, layer, source, shape, suffix)


def convert_transpose(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Transpose; where it only moves the batch, nothing happens here."""
    name = node.input[0]
    place, rank = network.place(name), len(network.probe.shapes[name])
    perm = list(attribute(node, "perm", reversed(range(rank))))
    network.places[node.output[0]] = Place(perm.index(place.axis), place.before, place.after)
    axes = [0, *(ours for axis in perm for ours in place.axes(axis))]
    if axes == sorted(axes):
        return network.source(node)
    return network.add_layer(node, Permute(axes), network.source(node), network.out_shape(node))


def convert_concat(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Concat; a constant among the parts is repeated for every sample."""
    if len(node.input) == 1:
        return network.source(node)
    network.check_alike(node)
    at = next(i for i, name in enumerate(node.input) if name in network.values)
    axis = network.axis(node, attribute(node, "axis", 1), at)
    sources = [network.source(node, i) for i in range(len(node.input))]
    return network.add_function(node, torch.cat, (sources, axis), network.out_shape(node))


def convert_slice(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Slice with constant bounds."""
    starts = network.integers(node, "starts", 1) or []
    ends = network.integers(node, "ends", 2) or []
    axes = network.integers(node, "axes", 3) or list(range(len(starts)))
    steps = network.integers(node, "steps", 4) or [1] * len(starts)
    name = node.input[0]
    place, sizes = network.place(name), list(network.probe.shapes[name])
    sizes[place.axis] = _BATCH
    slices, result = [], network.source(node)
    for axis, start, stop, step in zip(axes, starts, ends, steps, strict=True):
        size = sizes[axis % len(sizes)]
        first, last, _ = slice(start, stop, step).indices(size)
        if (first, last, step) == (0, size, 1) or (
            size == _BATCH and (start, step) == (0, 1) and stop >= 1 << 31
        ):
            continue
        ours = network.axis(node, axis)
        if step < 0:
            picked = Picked(ours, range(first, last, step))
            shape = _with_size(network.shape_of[result.name], ours, len(picked.indices))
            result = network.add_layer(node, picked, result, shape, "_reversed")
        else:
            slices.append((ours, first, last, step))
    if not slices:
        return result
    return network.add_layer(node, StridedSlice(slices), result, network.out_shape(node))


def convert_split(network: Conversion, node: onnx.NodeProto) -> list[fx.Node]:
    """Split: one slice for each part."""
    axis, start, parts = network.axis(node, attribute(node, "axis", 0)), 0, []
    for index in range(len(node.output)):
        shape = network.out_shape(node, index)
        stop = start + shape[axis - 1]
        layer = StridedSlice([(axis, start, stop, 1)])
        parts.append(network.add_layer(node, layer, network.source(node), shape))
        start = stop
    return parts


def convert_gather(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Gather with constant indices: one entry of an axis, or some of them."""
    if node.input[1] in network.probe.changing:
        return _as_strided(network, node)
    indices = network.required(node, 1, "index")
    name = node.input[0]
    rank, place = len(network.probe.shapes[name]), network.place(name)
    axis = attribute(node, "axis", 0) % rank
    ours, size = network.axis(node, axis), network.probe.shapes[name][axis]
    if indices.ndim > 1:
        network.refuse(node, "its index is a table")
    if indices.ndim == 0 and axis < place.axis:  # the axis goes, the batch moves forward
        moved = Place(place.axis - 1, place.before, place.after)
        network.places[node.output[0]] = moved
    numbers = [int(i) % size for i in indices.reshape(-1)]
    layer = Picked(ours, numbers, keep_axis=indices.ndim == 1)
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))


def _as_strided(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Indices that walk over all samples laid end to end, the same way in each of them.

    PyTorch's exporter writes this for a pool behind a channels-last layer (``as_strided``).
    """
    name, batch = node.input[0], network.probe.batch
    place, shape = network.place(name), network.probe.shapes[name]
    indices = network.probe.changing[node.input[1]]
    start = np.arange(batch).reshape(-1, *[1] * (indices.ndim - 1)) * place.after
    alike = indices.shape[:1] == (batch,) and (indices - start == indices[:1]).all()
    if len(shape) != 1 or place.before > 1 or not alike or indices[0].max() >= place.after:
        network.refuse(node, "its index follows the batch")
    network.places[node.output[0]] = FIRST
    picked = Picked(1, indices[0].reshape(-1).tolist())
    flat = (len(picked.indices),)
    result = network.add_layer(node, picked, network.source(node), flat)
    return _regrouped(network, node, result, network.out_shape(node), "_apart")


def convert_expand(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Expand of a computed tensor to a shape without new axes."""
    shape = network.out_shape(node)
    if len(shape) != len(network.in_shape(node)):
        network.refuse(node, "it adds axes")
    if shape == network.in_shape(node):
        return network.source(node)
    return network.add_layer(node, Expanded(shape), network.source(node), shape)


def convert_depth_to_space(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """DepthToSpace and SpaceToDepth, as the reshapes and the transpose that they stand for."""
    size = attribute(node, "blocksize", 1)
    channels, height, width = network.in_shape(node)
    if node.op_type == "SpaceToDepth":
        apart: Shape = (channels, height // size, size, width // size, size)
        axes = (0, 3, 5, 1, 2, 4)
    elif attribute(node, "mode", "DCR") == "DCR":
        apart = (size, size, channels // size**2, height, width)
        axes = (0, 3, 4, 1, 5, 2)
    else:
        apart = (channels // size**2, size, size, height, width)
        axes = (0, 1, 4, 2, 5, 3)
    result = _regrouped(network, node, network.source(node), apart, "_apart")
    moved = tuple(apart[axis - 1] for axis in axes[1:])
    result = network.add_layer(node, Permute(axes), result, moved, "_moved")
    return _regrouped(network, node, result, network.out_shape(node))


def convert_einsum(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Einsum whose computed operands and result all start with the batch."""
    equation = attribute(node, "equation", "").replace(" ", "")
    terms, _, result = equation.partition("->")
    letters = {
        term[:1]
        for term, name in zip(terms.split(","), node.input, strict=True)
        if name in network.values
    } | {result[:1]}
    places = {network.place(name) for name in network.computed(node)}
    if len(letters) > 1 or places != {FIRST} or "." in equation:
        network.refuse(node, f"its equation '{equation}' does not keep the batch first")
    constants: dict[int, np.ndarray] = {
        i: network.required(node, i, "operand")
        for i, name in enumerate(node.input)
        if name not in network.values
    }
    layer = Einsum(equation, {i: tensor(value) for i, value in constants.items()})
    sources = tuple(network.values[name] for name in network.computed(node))
    return network.add_module(node, layer, sources, network.out_shape(node))


def convert_softmax(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Softmax and LogSoftmax; before opset 13 over all axes from one on."""
    shape = network.out_shape(node)
    given = attribute(node, "axis", -1 if network.opset >= 13 else 1)
    axis = network.axis(node, given)
    kind = nn.Softmax if node.op_type == "Softmax" else nn.LogSoftmax
    source = network.source(node)
    if network.opset >= 13 or math.prod(shape[axis:]) == 1:
        return network.add_layer(node, kind(axis), source, shape)
    together = (*shape[: axis - 1], math.prod(shape[axis - 1 :]))
    source = _regrouped(network, node, source, together, "_together")
    result = network.add_layer(node, kind(axis), source, together)
    return _regrouped(network, node, result, shape, "_apart")


def _with_size(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[: axis - 1], size, *shape[axis:])
