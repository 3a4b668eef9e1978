"""fx graph -> ONNX, node by node: no exporter, no metadata, the same bytes for the same network."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from torch import fx, nn

from compression.onnx_emitters import EMITTERS
from compression.onnx_writer import OnnxWriter

if TYPE_CHECKING:
    from compression.types import NetworkProfile, Precision

PADS = (nn.ConstantPad1d, nn.ConstantPad2d, nn.ConstantPad3d)


def emit(
    module: fx.GraphModule, profile: NetworkProfile, *, opset: int, precision: Precision
) -> bytes:
    """The network as a serialised ONNX model of that opset.

    Args:
        module: the network, batch norms folded as far as possible.
        profile: names, input shape and batch of the interface.
        opset: version of the standard operators, at least 7; raised where stored weights need it.
        precision: how weights of convolutions and dense layers are stored; ``INT8`` leaves them
            as dense floats for the quantiser.
    """
    writer = OnnxWriter(module, profile, opset=opset, precision=precision)
    for node in module.graph.nodes:
        _visit(writer, node)
    return writer.serialised()


def _visit(writer: OnnxWriter, node: fx.Node) -> None:
    if node.op == "placeholder":
        writer.tensors[node.name] = writer.profile.input_name
        return
    if node.op == "output":
        _finish(writer)
        return
    layer = writer.module.get_submodule(str(node.target)) if node.op == "call_module" else None
    if isinstance(layer, nn.Dropout | nn.Identity):
        writer.tensors[node.name] = writer.tensors[node.all_input_nodes[0].name]
        return
    if isinstance(layer, PADS) and _absorbed(node, layer, writer.module):
        return
    kind: object = type(layer) if layer is not None else node.target
    if kind not in EMITTERS:
        raise TypeError(f"layer {node.name} of type {kind} has no ONNX form here")
    out = writer.result(node)
    writer.tensors[node.name] = out
    EMITTERS[kind](writer, node, layer, out)


def _finish(writer: OnnxWriter) -> None:
    """Every output under its own name, also where a tensor is two of them, or nothing computes it."""
    for name, layer in writer.outputs:
        if writer.tensors[layer] != name:
            writer.add("Identity", [writer.tensors[layer]], name)


def _absorbed(pad: fx.Node, layer: nn.Module, module: fx.GraphModule) -> bool:
    """Whether the only reader of a pad is a layer that can pad by itself."""
    readers = list(pad.users)
    if len(readers) != 1 or readers[0].op != "call_module":
        return False
    reader = module.get_submodule(str(readers[0].target))
    fill = float(layer.value)  # type: ignore[arg-type]
    plain = not any(np.ravel(getattr(reader, "padding", 1)))
    spatial = 2 if isinstance(reader, nn.Conv2d | nn.MaxPool2d) else 1
    fits = len(layer.padding) <= 2 * spatial and min(layer.padding) >= 0  # type: ignore[arg-type]
    if isinstance(reader, nn.Conv1d | nn.Conv2d):
        return plain and fits and fill == 0.0
    return (
        isinstance(reader, nn.MaxPool1d | nn.MaxPool2d) and plain and fits and fill == -math.inf
    )
