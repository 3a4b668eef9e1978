"""What moving, picking, reducing and resizing values is in ONNX: one function a kind, one table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import torch
from torch import fx, nn

from compression.constant_modules import Einsum, Repeated
from compression.errors import VerificationError
from compression.onnx_writer import Emit, OnnxWriter, simple
from compression.shape_modules import (
    Expanded,
    Permute,
    Picked,
    Reduced,
    Reshape,
    Resized,
    StridedSlice,
)
from compression.untouched import Untouched

if TYPE_CHECKING:
    from collections.abc import Mapping

_REDUCTIONS = {"mean": "Mean", "sum": "Sum", "max": "Max", "min": "Min", "l2": "L2"}
_AXES_AS_INPUT = {"sum": 13}
"""From which opset on a reduction reads its axes from an input; 18 for the others."""


def _pad(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
    rank = len(writer.in_shape(node)) + 1
    pairs = [*zip(layer.padding[::2], layer.padding[1::2], strict=True)][::-1]
    pairs = [(0, 0)] * (rank - len(pairs)) + pairs
    pads = [b for b, _ in pairs] + [a for _, a in pairs]
    source, fill = writer.source(node), float(layer.value)
    if writer.opset < 11:
        writer.add("Pad", [source], out, pads=pads, value=fill)
        return
    inputs = [source, writer.integers(pads)]
    writer.add("Pad", inputs + ([writer.floats(fill)] if fill else []), out)


def _slice(writer: OnnxWriter, node: fx.Node, layer: StridedSlice, out: str) -> None:
    axes, starts, ends, steps = (list(column) for column in zip(*layer.slices, strict=True))
    source = writer.source(node)
    if writer.opset < 10:
        writer.add("Slice", [source], out, axes=axes, starts=starts, ends=ends)
        return
    columns = (starts, ends, axes, steps)
    writer.add("Slice", [source, *(writer.integers(column) for column in columns)], out)


def _flatten(writer: OnnxWriter, node: fx.Node, layer: nn.Flatten, out: str) -> None:
    del layer
    writer.add("Flatten", [writer.source(node)], out)


def _reshape(writer: OnnxWriter, node: fx.Node, layer: Reshape, out: str) -> None:
    shape = writer.integers([0, *layer.shape])  # 0 keeps the batch, whatever it is
    writer.add("Reshape", [writer.source(node), shape], out)


def _concat(writer: OnnxWriter, node: fx.Node, layer: None, out: str) -> None:
    del layer
    tensors: Any = node.args[0]
    axis = node.kwargs.get("dim", node.args[1] if len(node.args) > 1 else 0)
    writer.add("Concat", [writer.tensors[t.name] for t in tensors], out, axis=axis)


def _copying_pad(mode: str) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        pairs = [*zip(layer.padding[::2], layer.padding[1::2], strict=True)][::-1]
        pads = [0, 0, *(b for b, _ in pairs), 0, 0, *(a for _, a in pairs)]
        source = writer.source(node)
        if writer.opset < 11:
            writer.add("Pad", [source], out, pads=pads, mode=mode)
        else:
            writer.add("Pad", [source, writer.integers(pads)], out, mode=mode)

    return emit_one


def _picked(writer: OnnxWriter, node: fx.Node, layer: Picked, out: str) -> None:
    indices = layer.indices.numpy() if layer.keep_axis else layer.indices[0].numpy()
    writer.add("Gather", [writer.source(node), writer.constant(indices)], out, axis=layer.axis)


def _expanded(writer: OnnxWriter, node: fx.Node, layer: Expanded, out: str) -> None:
    shape = writer.integers([1, *layer.shape])  # 1 keeps the batch, whatever it is
    writer.add("Expand", [writer.source(node), shape], out)


def _repeated(writer: OnnxWriter, node: fx.Node, layer: Repeated, out: str) -> None:
    value = writer.constant(layer.value.numpy())
    batch = writer.profile.batch
    if isinstance(batch, int):
        whole = np.repeat(layer.value.numpy(), batch, axis=0)
        writer.add("Identity", [writer.constant(whole)], out)
        return
    sizes = writer.add("Shape", [writer.source(node)])
    first = writer.add("Gather", [sizes, writer.integers([0])], axis=0)
    ones = writer.integers([1] * (layer.value.ndim - 1))
    repeats = writer.add("Concat", [first, ones], axis=0) if layer.value.ndim > 1 else first
    writer.add("Tile", [value, repeats], out)


def _reduced(writer: OnnxWriter, node: fx.Node, layer: Reduced, out: str) -> None:
    op = f"Reduce{_REDUCTIONS[layer.kind]}"
    inputs, keepdims = [writer.source(node)], int(layer.keep_axes)
    if writer.opset < _AXES_AS_INPUT.get(layer.kind, 18):
        writer.add(op, inputs, out, axes=list(layer.axes), keepdims=keepdims)
    else:
        writer.add(op, [*inputs, writer.integers(layer.axes)], out, keepdims=keepdims)


def _resized(writer: OnnxWriter, node: fx.Node, layer: Resized, out: str) -> None:
    scales = writer.floats([1.0, 1.0, *layer.scales])
    if writer.opset < 9:
        values = [1.0, 1.0, *layer.scales]
        mode = layer.settings["mode"]
        writer.add("Upsample", [writer.source(node)], out, mode=mode, scales=values)
    elif writer.opset < 11:
        op = "Upsample" if writer.opset < 10 else "Resize"
        writer.add(op, [writer.source(node), scales], out, mode=layer.settings["mode"])
    else:
        # before opset 13 the region, which no mode here reads, must not be left out
        region = "" if writer.opset >= 13 else writer.floats([])
        writer.add("Resize", [writer.source(node), region, scales], out, **layer.settings)


def _einsum(writer: OnnxWriter, node: fx.Node, layer: Einsum, out: str) -> None:
    operands = layer.operands([writer.tensors[n.name] for n in node.all_input_nodes])
    names = [o if isinstance(o, str) else writer.constant(o.numpy()) for o in operands]
    writer.add("Einsum", names, out, equation=layer.equation)


def _untouched(writer: OnnxWriter, node: fx.Node, layer: Untouched, out: str) -> None:
    """The node as it came, between transposes where it wants the batch elsewhere.

    Raises:
        VerificationError: the operator is written otherwise at the opset of the file.
    """
    word = layer.node.op_type
    schema = onnx.defs.get_schema(word, writer.opset)
    known = all(attribute.name in schema.attributes for attribute in layer.node.attribute)
    fits = schema.min_input <= len(layer.node.input) <= schema.max_input
    if schema.deprecated or not known or not fits:
        raise VerificationError(
            f"The operator {word} of '{node.name}' passes through as opset {layer.opset} knows it; "
            f"opset {writer.opset} writes it otherwise."
        )
    tensors = {}
    sources: Any = node.args
    for name, source, axis in zip(layer.computed, sources, layer.axes, strict=False):
        rank = len(writer.shapes[source.name]) + 1
        perm = [*range(1, axis + 1), 0, *range(axis + 1, rank)]
        tensors[name] = _moved(writer, writer.tensors[source.name], perm)
    for name, value in layer.constants.items():
        tensors[name] = writer.constant(value)
    axis, rank = layer.axes[-1], len(writer.shapes[node.name]) + 1
    wanted = writer.name() if axis else out
    outputs = [wanted if i == layer.output else "" for i in range(layer.output + 1)]
    inputs = [tensors[name] if name else "" for name in layer.node.input]
    writer.add_as_is(layer.node, inputs, outputs)
    if axis:
        perm = [axis, *(i for i in range(rank) if i != axis)]
        writer.add("Transpose", [wanted], out, perm=perm)


def _moved(writer: OnnxWriter, tensor: str, perm: list[int]) -> str:
    return tensor if perm == sorted(perm) else writer.add("Transpose", [tensor], perm=perm)


MOVEMENT_EMITTERS: Mapping[object, Emit] = {
    nn.Flatten: _flatten,
    nn.ConstantPad1d: _pad,
    nn.ConstantPad2d: _pad,
    nn.ConstantPad3d: _pad,
    nn.ReflectionPad1d: _copying_pad("reflect"),
    nn.ReflectionPad2d: _copying_pad("reflect"),
    nn.ReplicationPad1d: _copying_pad("edge"),
    nn.ReplicationPad2d: _copying_pad("edge"),
    Reshape: _reshape,
    Permute: simple("Transpose", lambda m: {"perm": list(m.axes)}),
    StridedSlice: _slice,
    Picked: _picked,
    Expanded: _expanded,
    Repeated: _repeated,
    Reduced: _reduced,
    Resized: _resized,
    Einsum: _einsum,
    Untouched: _untouched,
    torch.cat: _concat,
}
"""Module type or function -> what writes it."""
