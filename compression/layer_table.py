"""The layer table: one row for each node that computes, with shapes, MACs and parameters."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.constant_modules import ConstantOperand, Einsum, Masked, Repeated
from compression.shape_modules import (
    Expanded,
    Permute,
    Picked,
    Reduced,
    Reshape,
    Resized,
    StridedSlice,
)
from compression.types import NEAR_ZERO, LayerKind, LayerProfile, Shape
from compression.untouched import Untouched

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.channel_groups import Channels
    from compression.channel_pool import Layout

POOLS = (nn.MaxPool1d, nn.MaxPool2d, nn.AvgPool1d, nn.AvgPool2d)
OP_WORDS: Mapping[object, str] = {
    nn.Conv1d: "conv",
    nn.Conv2d: "conv",
    nn.Linear: "dense",
    nn.BatchNorm1d: "batch_norm",
    nn.BatchNorm2d: "batch_norm",
    nn.MaxPool1d: "max_pool",
    nn.MaxPool2d: "max_pool",
    nn.AvgPool1d: "average_pool",
    nn.AvgPool2d: "average_pool",
    nn.AdaptiveAvgPool1d: "global_average_pool",
    nn.AdaptiveAvgPool2d: "global_average_pool",
    nn.AdaptiveMaxPool1d: "global_max_pool",
    nn.AdaptiveMaxPool2d: "global_max_pool",
    nn.ReLU: "relu",
    nn.ReLU6: "relu6",
    nn.Hardtanh: "clip",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.LeakyReLU: "leaky_relu",
    nn.Hardsigmoid: "hard_sigmoid",
    nn.Hardswish: "hard_swish",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.ELU: "elu",
    nn.SELU: "selu",
    nn.Softplus: "softplus",
    nn.Mish: "mish",
    nn.PReLU: "prelu",
    nn.CELU: "celu",
    nn.Softsign: "softsign",
    nn.Threshold: "thresholded_relu",
    nn.ConvTranspose1d: "transposed_conv",
    nn.ConvTranspose2d: "transposed_conv",
    nn.LayerNorm: "layer_norm",
    nn.GroupNorm: "group_norm",
    nn.InstanceNorm1d: "instance_norm",
    nn.InstanceNorm2d: "instance_norm",
    nn.ReflectionPad1d: "pad",
    nn.ReflectionPad2d: "pad",
    nn.ReplicationPad1d: "pad",
    nn.ReplicationPad2d: "pad",
    nn.LocalResponseNorm: "local_response_norm",
    nn.Flatten: "flatten",
    nn.Softmax: "softmax",
    nn.LogSoftmax: "log_softmax",
    nn.ConstantPad1d: "pad",
    nn.ConstantPad2d: "pad",
    nn.ConstantPad3d: "pad",
    Reshape: "reshape",
    Permute: "transpose",
    StridedSlice: "slice",
    Picked: "gather",
    Expanded: "expand",
    Repeated: "constant",
    Masked: "where",
    Resized: "resize",
    Einsum: "einsum",
    operator.truediv: "divide",
    operator.neg: "negate",
    torch.pow: "power",
    operator.add: "add",
    operator.sub: "subtract",
    operator.mul: "multiply",
    torch.cat: "concat",
}
"""What the layer table calls each module type and function, unless the function's own name is fine."""

UNTOUCHED: Mapping[object, str] = {
    nn.ConvTranspose1d: "a transposed convolution passes through as it is: no technique treats it.",
    nn.ConvTranspose2d: "a transposed convolution passes through as it is: no technique treats it.",
    torch.matmul: "it multiplies computed tensors with each other: it holds no weights.",
    Einsum: "it multiplies tensors by a formula, which no technique treats.",
}
"""Why layers that hold weights or cost time pass through as they are."""


def node_shapes(module: fx.GraphModule, input_shape: Shape) -> dict[str, Shape]:
    """Output shape of each node, without the batch, from one pass of zeros at batch 1."""
    training = [m for m in module.modules() if m.training]
    for part in training:  # batch norm in training mode refuses a single sample
        part.training = False
    try:
        recorder = _ShapeRecorder(module)
        with torch.no_grad():
            recorder.run(torch.zeros(1, *input_shape))
    finally:
        for part in training:
            part.training = True
    return recorder.shapes


def output_nodes(module: fx.GraphModule) -> tuple[fx.Node, ...]:
    """The nodes that compute the outputs, in order; one that is two outputs comes twice."""
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    found = output.args[0]
    return found if isinstance(found, tuple) else (found,)


class _ShapeRecorder(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.shapes: dict[str, Shape] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        if isinstance(result, torch.Tensor):
            self.shapes[n.name] = tuple(result.shape[1:])
        return result


def table_rows(
    module: fx.GraphModule, shapes: Mapping[str, Shape], channels: Channels
) -> tuple[LayerProfile, ...]:
    """A row for each node that computes, in graph order."""
    return tuple(
        _row(module, node, shapes, channels)
        for node in module.graph.nodes
        if node.op in ("call_module", "call_function")
    )


def _row(
    module: fx.GraphModule, node: fx.Node, shapes: Mapping[str, Shape], channels: Channels
) -> LayerProfile:
    reads, writes = channels.reads[node.name], channels.writes[node.name]
    in_shape, out_shape = shapes[node.all_input_nodes[0].name], shapes[node.name]
    layer = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    values: dict[str, Any] = {
        "name": node.name,
        "kind": LayerKind.OTHER,
        "op": _op_word(node, layer),
        "in_shape": in_shape,
        "out_shape": out_shape,
        "in_channels": sum(reads.widths),
        "out_channels": sum(writes.widths),
        "in_multiplier": reads.multiplier,
        "in_groups": reads.segments,
        "out_group": _single_group(writes),
        "in_axis": reads.axis - 1,
        "out_axis": writes.axis - 1,
        "reads": tuple(source.name for source in node.all_input_nodes),
        "untouched": _untouched(layer if layer is not None else node.target),
        "params": sum(p.numel() for p in layer.parameters()) if layer is not None else 0,
    }
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        values |= _convolution(layer, out_shape)
    elif isinstance(layer, nn.Linear):
        values |= _dense(layer, in_shape, reads)
    elif isinstance(layer, POOLS):
        values |= _pool(layer, len(out_shape) - 1)
    elif isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
        values |= _transposed_convolution(layer, in_shape)
    elif node.target is torch.matmul:
        values["macs"] = math.prod(out_shape) * in_shape[-1]
    return LayerProfile(**values)


def _convolution(layer: nn.Conv1d | nn.Conv2d, out_shape: Shape) -> dict[str, Any]:
    return {
        "kind": LayerKind.CONV,
        "kernel": tuple(layer.kernel_size),
        "stride": tuple(layer.stride),
        "padding": tuple(int(p) for p in layer.padding),
        "groups": layer.groups,
        "in_channels": layer.in_channels,
        "out_channels": layer.out_channels,
        "in_multiplier": 1,
        "bias": layer.bias is not None,
        "macs": layer.weight.numel() * math.prod(out_shape[1:]),
        "near_zero": _near_zero(layer.weight),
    }


def _transposed_convolution(
    layer: nn.ConvTranspose1d | nn.ConvTranspose2d, in_shape: Shape
) -> dict[str, Any]:
    return {
        "kernel": tuple(layer.kernel_size),
        "stride": tuple(layer.stride),
        "padding": tuple(int(p) for p in layer.padding),
        "groups": layer.groups,
        "bias": layer.bias is not None,
        "macs": layer.weight.numel() * math.prod(in_shape[1:]),
    }


def _dense(layer: nn.Linear, in_shape: Shape, reads: Layout) -> dict[str, Any]:
    fits = sum(reads.widths) * reads.multiplier == layer.in_features
    return {
        "kind": LayerKind.DENSE,
        "in_channels": sum(reads.widths) if fits else layer.in_features,
        "in_multiplier": reads.multiplier if fits else 1,
        "out_channels": layer.out_features,
        "bias": layer.bias is not None,
        "macs": layer.weight.numel() * math.prod(in_shape[:-1]),
        "near_zero": _near_zero(layer.weight),
    }


def _near_zero(weight: torch.Tensor) -> float:
    return float((weight.detach().abs() <= NEAR_ZERO).float().mean())


def _pool(layer: Any, spatial: int) -> dict[str, Any]:
    return {
        "kernel": _tuple(layer.kernel_size, spatial),
        "stride": _tuple(layer.stride, spatial),
        "padding": _tuple(layer.padding, spatial),
    }


def _untouched(kind: object) -> str:
    if isinstance(kind, Untouched):
        word = kind.node.op_type
        return f"the operator {word} passes through as it is: no technique knows it."
    return UNTOUCHED.get(type(kind) if isinstance(kind, nn.Module) else kind, "")


def _op_word(node: fx.Node, layer: nn.Module | None) -> str:
    if isinstance(layer, ConstantOperand | Reduced):
        return layer.kind if isinstance(layer, ConstantOperand) else f"reduce_{layer.kind}"
    if isinstance(layer, Untouched):
        return layer.node.op_type.lower()
    kind: object = type(layer) if layer is not None else node.target
    return OP_WORDS.get(kind, getattr(kind, "__name__", "other").lower())


def _single_group(layout: Layout) -> int:
    groups = {group for group, _ in layout.segments}
    return groups.pop() if len(groups) == 1 and len(layout.segments) == 1 else -1


def _tuple(value: int | tuple[int, ...], length: int) -> Shape:
    return (value,) * length if isinstance(value, int) else tuple(value)
