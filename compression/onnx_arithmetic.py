"""ONNX operators that compute element by element on two tensors or on a tensor and a constant."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import fx

from compression.constant_modules import ARITHMETIC, ConstantOperand, Masked
from compression.onnx_norms import scaled_and_shifted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import onnx

    from compression.onnx_conversion import Conversion

WORDS: Mapping[str, str] = {
    "Add": "add",
    "Sum": "add",
    "Sub": "subtract",
    "Mul": "multiply",
    "Div": "divide",
    "Pow": "power",
    "Max": "maximum",
    "Min": "minimum",
}
"""ONNX operator -> the word of the layer table and of ``ARITHMETIC``."""

UNARY: Mapping[str, Callable[..., Any]] = {
    "Abs": torch.abs,
    "Neg": operator.neg,
    "Sqrt": torch.sqrt,
    "Exp": torch.exp,
    "Log": torch.log,
    "Erf": torch.erf,
    "Sin": torch.sin,
    "Cos": torch.cos,
    "Reciprocal": torch.reciprocal,
    "Floor": torch.floor,
    "Ceil": torch.ceil,
    "Sign": torch.sign,
}
"""ONNX operators of one tensor that are plain functions of torch."""


def convert_unary(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """A function of each element."""
    function = UNARY[node.op_type]
    return network.add_function(
        node, function, (network.source(node),), network.out_shape(node)
    )


def convert_arithmetic(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Add, Sub, Mul, Div, Pow, and Sum, Max, Min of any number of tensors."""
    constants = [i for i, name in enumerate(node.input) if network.is_constant(name)]
    if constants:
        if len(node.input) != 2:
            network.refuse(node, "it combines a constant with several tensors")
        return _with_constant(network, node, constants[0])
    network.check_alike(node)
    result = network.source(node)
    for index in range(1, len(node.input)):
        args = (result, network.source(node, index))
        function = ARITHMETIC[WORDS[node.op_type]]
        result = network.add_function(node, function, args, network.out_shape(node))
    return result


def _with_constant(network: Conversion, node: onnx.NodeProto, at: int) -> fx.Node:
    """``x`` and a constant: a scale and a shift of channels where a layer can carry them."""
    value = network.beside(node, at, "constant", other=1 - at)
    source = network.source(node, 1 - at)
    shape = network.out_shape(node)
    affine = _affine(node.op_type, value.astype(np.float64), reverse=at == 0)
    if affine is not None and shape == network.shape_of[source.name]:
        carried = scaled_and_shifted(network, node, source, *affine)
        if carried is not None:
            return carried
    operand = ConstantOperand(WORDS[node.op_type], tensor(value), reverse=at == 0)
    return network.add_layer(node, operand, source, shape)


def _affine(
    op_type: str, value: np.ndarray, *, reverse: bool
) -> tuple[np.ndarray, np.ndarray] | None:
    """The operator with that constant as scale and shift, if it is one."""
    shape = (1,) * value.ndim
    one, zero = np.ones(shape), np.zeros(shape)
    if not np.isfinite(value).all():
        return None
    if op_type in ("Add", "Sum"):
        return one, value
    if op_type == "Mul":
        return value, zero
    if op_type == "Sub":
        return (-one, value) if reverse else (one, -value)
    if op_type == "Div" and not reverse and value.all():
        return 1.0 / value, zero
    return None


def convert_where(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Where with a constant mask and one constant side."""
    at = 1 if network.is_constant(node.input[2]) else 2
    keep = network.beside(node, 0, "mask", other=at).astype(bool)
    value = network.beside(node, 3 - at, "constant", other=at)
    layer = Masked(torch.from_numpy(np.array(keep if at == 1 else ~keep)), tensor(value))
    return network.add_layer(node, layer, network.source(node, at), network.out_shape(node))


def convert_product(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """MatMul of two computed tensors, or of one and a constant that is no weight matrix."""
    name = network.computed(node)[0]
    if network.place(name).axis >= len(network.probe.shapes[name]) - 2:
        network.refuse(node, "it mixes the samples of a batch")
    shape = network.out_shape(node)
    at = next((i for i in (0, 1) if network.is_constant(node.input[i])), None)
    if at is None:
        network.check_alike(node)
        args = (network.source(node), network.source(node, 1))
        return network.add_function(node, torch.matmul, args, shape)
    value = network.required(node, at, "constant")
    if value.ndim > 2 or value.ndim < 2:
        value = network.beside(node, at, "constant", other=1 - at)
    layer = ConstantOperand("matmul", tensor(value), reverse=at == 0)
    return network.add_layer(node, layer, network.source(node, 1 - at), shape)


def tensor(value: np.ndarray) -> torch.Tensor:
    """A copy that torch owns; floating point in 32 bits."""
    kind = np.float32 if np.issubdtype(value.dtype, np.floating) else value.dtype
    return torch.from_numpy(np.array(value, kind))
