"""What activations and arithmetic are in ONNX: one function a kind, one table."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.constant_modules import ConstantOperand, Masked
from compression.onnx_writer import Emit, OnnxWriter, simple

if TYPE_CHECKING:
    from collections.abc import Mapping

_ARITHMETIC = {
    "add": "Add",
    "subtract": "Sub",
    "multiply": "Mul",
    "divide": "Div",
    "power": "Pow",
    "maximum": "Max",
    "minimum": "Min",
    "matmul": "MatMul",
}


def _two(op: str) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        del layer
        writer.add(op, [_operand(writer, arg) for arg in node.args], out)

    return emit_one


def _operand(writer: OnnxWriter, arg: Any) -> str:
    return writer.tensors[arg.name] if isinstance(arg, fx.Node) else writer.floats(float(arg))


def _clip(writer: OnnxWriter, node: fx.Node, layer: nn.Hardtanh, out: str) -> None:
    bounds = {"min": float(layer.min_val), "max": float(layer.max_val)}
    known = {name: value for name, value in bounds.items() if math.isfinite(value)}
    if writer.opset < 11:
        writer.add("Clip", [writer.source(node)], out, **known)
        return
    inputs = [writer.floats(known[name]) if name in known else "" for name in ("min", "max")]
    writer.add("Clip", [writer.source(node), *inputs], out)


def _hard_swish(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    if writer.opset >= 14:
        writer.add("HardSwish", [source], out)
    else:
        gate = writer.add("HardSigmoid", [source], alpha=1 / 6, beta=0.5)
        writer.add("Mul", [source, gate], out)
    del layer


def _silu(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    writer.add("Mul", [source, writer.add("Sigmoid", [source])], out)
    del layer


def _mish(writer: OnnxWriter, node: fx.Node, layer: nn.Module, out: str) -> None:
    source = writer.source(node)
    gate = writer.add("Tanh", [writer.add("Softplus", [source])])
    writer.add("Mul", [source, gate], out)
    del layer


def _gelu(writer: OnnxWriter, node: fx.Node, layer: nn.GELU, out: str) -> None:
    source = writer.source(node)
    if writer.opset >= 20:
        writer.add("Gelu", [source], out, approximate=layer.approximate)
        return
    if layer.approximate == "tanh":
        cube = writer.add("Mul", [writer.add("Mul", [source, source]), source])
        inner = writer.add("Add", [source, writer.add("Mul", [cube, writer.floats(0.044715)])])
        scaled = writer.add("Mul", [inner, writer.floats(math.sqrt(2 / math.pi))])
        gate = writer.add("Tanh", [scaled])
    else:
        gate = writer.add("Erf", [writer.add("Div", [source, writer.floats(math.sqrt(2))])])
    half = writer.add("Mul", [source, writer.floats(0.5)])
    writer.add("Mul", [half, writer.add("Add", [gate, writer.floats(1.0)])], out)


def _prelu(writer: OnnxWriter, node: fx.Node, layer: nn.PReLU, out: str) -> None:
    spatial = len(writer.in_shape(node)) - 1
    slope = layer.weight.reshape(-1, *[1] * spatial)
    writer.add("PRelu", [writer.source(node), writer.floats(slope)], out)


def _softmax(op: str) -> Emit:
    def emit_one(writer: OnnxWriter, node: fx.Node, layer: Any, out: str) -> None:
        axis = layer.dim % (len(writer.in_shape(node)) + 1)
        writer.add(op, [writer.source(node)], out, axis=axis)

    return emit_one


def _constant_operand(
    writer: OnnxWriter, node: fx.Node, layer: ConstantOperand, out: str
) -> None:
    value = layer.value.squeeze(0) if layer.value.ndim else layer.value
    if value.numel() == 1:
        value = value.reshape(())
    operands = [writer.source(node), writer.constant(value.numpy())]
    if layer.reverse:
        operands.reverse()
    writer.add(_ARITHMETIC[layer.kind], operands, out)


def _masked(writer: OnnxWriter, node: fx.Node, layer: Masked, out: str) -> None:
    keep, value = (writer.constant(v.squeeze(0).numpy()) for v in (layer.keep, layer.value))
    writer.add("Where", [keep, writer.source(node), value], out)


def _threshold(writer: OnnxWriter, node: fx.Node, layer: nn.Threshold, out: str) -> None:
    alpha = float(layer.threshold)
    writer.add("ThresholdedRelu", [writer.source(node)], out, alpha=alpha)


ACTIVATION_EMITTERS: Mapping[object, Emit] = {
    nn.ReLU: simple("Relu"),
    nn.ReLU6: _clip,
    nn.Hardtanh: _clip,
    nn.Sigmoid: simple("Sigmoid"),
    nn.Tanh: simple("Tanh"),
    nn.LeakyReLU: simple("LeakyRelu", lambda m: {"alpha": float(m.negative_slope)}),
    nn.Hardsigmoid: simple("HardSigmoid", lambda _: {"alpha": 1 / 6, "beta": 0.5}),
    nn.Hardswish: _hard_swish,
    nn.SiLU: _silu,
    nn.GELU: _gelu,
    nn.Mish: _mish,
    nn.ELU: simple("Elu", lambda m: {"alpha": float(m.alpha)}),
    nn.CELU: simple("Celu", lambda m: {"alpha": float(m.alpha)}),
    nn.SELU: simple("Selu"),
    nn.Softplus: simple("Softplus"),
    nn.Softsign: simple("Softsign"),
    nn.Threshold: _threshold,
    nn.PReLU: _prelu,
    nn.Softmax: _softmax("Softmax"),
    nn.LogSoftmax: _softmax("LogSoftmax"),
    ConstantOperand: _constant_operand,
    Masked: _masked,
    operator.add: _two("Add"),
    operator.mul: _two("Mul"),
    operator.sub: _two("Sub"),
    operator.truediv: _two("Div"),
    operator.neg: _two("Neg"),
    torch.pow: _two("Pow"),
    torch.maximum: _two("Max"),
    torch.minimum: _two("Min"),
    torch.matmul: _two("MatMul"),
    torch.abs: _two("Abs"),
    torch.sqrt: _two("Sqrt"),
    torch.exp: _two("Exp"),
    torch.log: _two("Log"),
    torch.erf: _two("Erf"),
    torch.sin: _two("Sin"),
    torch.cos: _two("Cos"),
    torch.reciprocal: _two("Reciprocal"),
    torch.floor: _two("Floor"),
    torch.ceil: _two("Ceil"),
    torch.sign: _two("Sign"),
}
"""Module type or function -> what writes it."""
