"""Static 8-bit quantisation by ONNX Runtime: U8 activations, S8 weights per channel, compact file."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

from compression.onnx_nodes import OnnxNodes, short_names
from compression.onnx_weight_streams import WeightStreams
from compression.saturation import sums_overflow
from compression.weight_storage import Coding, StoredWeights, without_zeros

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.types import NetworkProfile


QDQ_OPSET = 13
"""The oldest opset whose DequantizeLinear takes a scale per channel."""

NEWEST_QDQ_OPSET = 27
"""The newest opset whose QuantizeLinear ONNX Runtime 1.32 computes; it reads 28, but not with that operator."""

CALIBRATION_BATCH = 32
_NAMED = {"Conv", "Gemm", "MatMul"}
_IN_FLOAT = {"LayerNormalization", "InstanceNormalization", "Softmax", "Where"}
"""Norms gain nothing; a mask of large numbers before a softmax would use up the whole range."""
_IN_INT8 = sorted({*QLinearOpsRegistry, *QDQRegistry} - _IN_FLOAT)


def quantised(
    data: bytes,
    calibration: np.ndarray,
    profile: NetworkProfile,
    *,
    in_float: tuple[str, ...] = (),
) -> bytes:
    """A float model with quantise and dequantise nodes around what computes in 8 bits.

    Args:
        data: the float model, opset at least ``QDQ_OPSET``.
        calibration: inputs ``[n, *input_shape]`` that set the ranges of the activations.
        profile: interface of the model.
        in_float: names of nodes that stay as they are.
    """
    level = logging.root.level
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantised.onnx"
        logging.root.setLevel(
            logging.ERROR
        )  # it advises a preprocessing that changes nothing here
        try:
            quantize_static(
                _with_own_biases(onnx.load_from_string(data)),
                target,
                _Calibration(calibration, profile),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=sums_overflow(),
                op_types_to_quantize=_IN_INT8,
                nodes_to_exclude=list(in_float),
            )
        finally:
            logging.root.setLevel(level)
        return _compacted(_without_zeros(onnx.load(target)))


def _without_zeros(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same model with sparse weights packed; ONNX Runtime unpacks them before it fuses."""
    graph, streams, dense = model.graph, WeightStreams(), []
    for tensor in graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        is_weight = values.dtype == np.int8 and values.ndim > 1
        weights = StoredWeights(coding=Coding.INT8, values=values)
        if is_weight and (weights := without_zeros(weights)).is_sparse:
            streams.take(weights, tensor.name)
        else:
            dense.append(tensor)
    if not streams:
        return model
    names = {n for node in graph.node for n in (*node.input, *node.output)}
    opset = next(o.version for o in model.opset_import if not o.domain)
    nodes = OnnxNodes(opset=opset, taken=names | {t.name for t in graph.initializer})
    streams.write(nodes)
    nodes.nodes += graph.node
    graph.ClearField("node")
    graph.node.extend(nodes.nodes)
    graph.ClearField("initializer")
    graph.initializer.extend([*dense, *nodes.initializers])
    return model


def _with_own_biases(model: onnx.ModelProto) -> onnx.ModelProto:
    """A bias for each layer: the quantiser's own copies of a shared one may take a tensor's name."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    taken = set()
    for index, node in enumerate(model.graph.node):
        if node.op_type not in ("Conv", "Gemm") or len(node.input) < 3:
            continue
        bias = node.input[2]
        if bias in taken and bias in stored:
            node.input[2] = f"{bias}_of_{index}"
            model.graph.initializer.add().CopyFrom(stored[bias])
            model.graph.initializer[-1].name = node.input[2]
        taken.add(bias)
    return model


def _compacted(model: onnx.ModelProto) -> bytes:
    """The same computation in fewer bytes: the quantiser leaves long names and stored zeros."""
    graph = model.graph
    _keep_float_output(graph)
    _drop_bias_zero_points(graph)
    aliases = _unique_initializers(graph)
    interface = {value.name for value in (*graph.input, *graph.output)}
    fresh, short = short_names(interface), {name: name for name in interface | {""}}
    for node in graph.node:
        for names in (node.input, node.output):
            for index, long in enumerate(names):
                name = aliases.get(long, long)
                if name not in short:
                    short[name] = next(fresh)
                names[index] = short[name]
        if node.op_type not in _NAMED:
            node.name = ""
    for tensor in graph.initializer:
        tensor.name = short[tensor.name]
    for field in ("value_info", "metadata_props", "quantization_annotation"):
        graph.ClearField(field)
    model.ClearField("metadata_props")
    model.producer_name, model.producer_version = "AdaDeep", ""
    return bytes(model.SerializeToString(deterministic=True))


def _keep_float_output(graph: onnx.GraphProto) -> None:
    """Class scores are not rounded to 8 bits: an 8-bit Gemm gives floats at the same speed."""
    makers = {node.output[0]: node for node in graph.node}
    output = graph.output[0].name
    dequantise = makers[output]
    quantise = makers.get(dequantise.input[0])
    if quantise is None or quantise.op_type != "QuantizeLinear":
        return
    maker = makers.get(quantise.input[0])
    if maker is None or maker.op_type != "Gemm":
        return
    if any(quantise.input[0] in node.input for node in graph.node if node is not quantise):
        return
    maker.output[0] = output
    graph.node.remove(quantise)
    graph.node.remove(dequantise)


def _drop_bias_zero_points(graph: onnx.GraphProto) -> None:
    """A bias has its zero at zero, which is also what a missing zero point means."""
    biases = {t.name for t in graph.initializer if t.data_type == onnx.TensorProto.INT32}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in biases:
            del node.input[2:]


def _unique_initializers(graph: onnx.GraphProto) -> dict[str, str]:
    """Keep one of each set of equal initializers that are in use; old name -> kept name."""
    used = {name for node in graph.node for name in node.input}
    kept: dict[tuple[int, tuple[int, ...], bytes], onnx.TensorProto] = {}
    aliases = {}
    for tensor in graph.initializer:
        if tensor.name in used:
            values = onnx.numpy_helper.to_array(tensor)
            key = (tensor.data_type, values.shape, values.tobytes())
            aliases[tensor.name] = kept.setdefault(key, tensor).name
    # raw bytes: small tensors come as lists of numbers, which take more room
    unique = [
        onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t), t.name)
        for t in kept.values()
    ]
    graph.ClearField("initializer")
    graph.initializer.extend(unique)
    return aliases


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the calibration inputs in batches."""

    def __init__(self, inputs: np.ndarray, profile: NetworkProfile) -> None:
        step = profile.batch if isinstance(profile.batch, int) else CALIBRATION_BATCH
        stop = len(inputs) // step * step if isinstance(profile.batch, int) else len(inputs)
        self._feeds: Iterator[dict[str, np.ndarray]] = iter(
            {profile.input_name: inputs[start : start + step].astype(np.float32)}
            for start in range(0, stop, step)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)
