"""ONNX bytes -> ``Network``: our own converter to torch.fx, safe on files from strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import fx

from compression.batch_norm_folding import fold_batch_norms
from compression.errors import ModelRefusedError
from compression.graph import LayerOutput, Network, each_output, profiled
from compression.layer_table import node_shapes
from compression.onnx_conversion import Conversion, UnhandledError
from compression.onnx_operators import ANYWHERE, CONVERTERS
from compression.onnx_passing import pass_through
from compression.onnx_places import FIRST
from compression.onnx_probing import Probe, data_dependent, probe
from compression.onnx_reading import OnnxGraph, describe, read_onnx
from compression.pattern_folding import fold_patterns
from compression.transpose_folding import fold_transposes
from compression.types import NetworkProfile

if TYPE_CHECKING:
    from collections.abc import Sequence

    import onnx

TOLERANCE = 1e-4
"""Largest difference to ONNX Runtime, relative to the largest output."""


def import_onnx(data: bytes, *, name: str = "model") -> Network:
    """Read a trained network.

    Batch norms and transposes are folded into the layers beside them, shape arithmetic and constants vanish, and
    the result is checked against ONNX Runtime on random input.

    Args:
        data: the file's bytes; nothing else is ever read.
        name: what the profile calls the network.

    Raises:
        ModelRefusedError: the file is not an ONNX model that this importer reads; the message names
            operator and node and says what would do.
    """
    graph = read_onnx(data)
    nodes = _computing_nodes(graph)
    probed = probe(graph)
    _check_scores(graph, probed)
    module = _converted(graph, nodes, probed)
    fold_patterns(module, node_shapes(module, graph.input_shape))
    fold_batch_norms(module)
    fold_transposes(module, node_shapes(module, graph.input_shape))
    _check_same(module, graph, probed)
    blank = NetworkProfile(
        name=name,
        input_name=graph.input_name,
        input_shape=graph.input_shape,
        output_names=graph.output_names,
        opset=graph.opset,
        layers=(),
        groups=(),
        macs=0,
        params=0,
        dynamic_batch=probed.fixed_batch is None,
        batch=graph.batch if probed.fixed_batch is None else probed.fixed_batch,
    )
    profile = profiled(module, blank)
    outputs = {layer.name: LayerOutput(node=layer.name) for layer in profile.layers}
    return Network(module=module, profile=profile, outputs_of=outputs)


def _computing_nodes(graph: OnnxGraph) -> list[onnx.NodeProto]:
    """The nodes between input and outputs that depend on the data."""
    dependent = data_dependent(graph)
    for name in graph.output_names:
        if name not in dependent:
            raise ModelRefusedError(
                f"The model's output '{name}' does not depend on its input. Export the model without it."
            )
    needed, found = set(graph.output_names), []
    for node in reversed(graph.model.graph.node):
        if needed.intersection(node.output) and dependent.intersection(node.output):
            needed.update(name for name in node.input if name in dependent)
            found.append(node)
    return found[::-1]


def _converted(graph: OnnxGraph, nodes: list[onnx.NodeProto], probed: Probe) -> fx.GraphModule:
    network = Conversion(graph, probed)
    for node in nodes:
        _check_numbers(node, probed)
        made = _convert(network, node)
        pairs = zip(node.output, made, strict=False)
        network.values |= {name: value for name, value in pairs if value is not None}
    for name in graph.output_names:
        if network.place(name) != FIRST:
            raise ModelRefusedError(
                f"The model's output '{name}' does not keep the batch as its first axis. "
                "Export the model so that every sample of a batch is treated alike."
            )
    outputs = tuple(network.values[name] for name in graph.output_names)
    network.graph.output(outputs if len(outputs) > 1 else outputs[0])
    module = fx.GraphModule(network.root, network.graph)
    module.graph.eliminate_dead_code()
    module.delete_all_unused_submodules()
    module.recompile()
    module.eval()
    _check_shapes(module, network, graph)
    return module


def _convert(network: Conversion, node: onnx.NodeProto) -> Sequence[fx.Node | None]:
    """What computes the outputs of a node: layers of torch, else the operator as it stands."""
    try:
        if node.op_type not in CONVERTERS:
            network.refuse(node, "it is not an operator that layers of torch stand for")
        moved = {network.place(name) for name in network.computed(node)} != {FIRST}
        if moved and node.op_type not in ANYWHERE:
            network.refuse(node, "it does not get the batch as its first axis")
        made = CONVERTERS[node.op_type](network, node)
        outputs = made if isinstance(made, list) else [made]
        if any(network.readers[name] for name in node.output[len(outputs) :]):
            network.refuse(node, "more than its first output is used")
        _check_place(network, node)
    except UnhandledError as error:
        return pass_through(network, node, str(error))
    except (
        AssertionError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:  # ONNX Runtime is more lenient
        raise ModelRefusedError(
            f"The {describe(node)} cannot be read: its attributes or inputs are not what this "
            "operator takes. Export the model again."
        ) from error
    return outputs


def _check_scores(graph: OnnxGraph, probed: Probe) -> None:
    """Answers alone cannot be compared, nor learnt from: scores are needed."""
    for name in graph.output_names:
        if not probed.is_real(name):
            last = next(node for node in graph.model.graph.node if name in node.output)
            raise ModelRefusedError(
                f"The model's output '{name}' holds no floating point numbers but what the "
                f"{describe(last)} makes of them. Export the model with the class scores as output."
            )


def _check_place(network: Conversion, node: onnx.NodeProto) -> None:
    """Where the batch was followed to, the runs must have seen it."""
    name = node.output[0]
    varying = network.probe.varying.get(name)
    if varying is not None and tuple(varying) != (network.place(name).axis,):
        network.refuse(node, "it mixes the samples of a batch")


def _check_numbers(node: onnx.NodeProto, probed: Probe) -> None:
    for name in node.input:
        value = probed.constants.get(name)
        if value is not None and value.dtype.kind == "f" and np.isnan(value).any():
            raise ModelRefusedError(
                f"The {describe(node)} cannot be read: its constant '{name}' holds values that are "
                "not numbers (NaN)."
            )


def _check_shapes(module: fx.GraphModule, network: Conversion, graph: OnnxGraph) -> None:
    try:
        made = node_shapes(module, graph.input_shape)
    except RuntimeError as error:
        raise ModelRefusedError(_not_rebuilt(error)) from error
    for name, shape in network.shape_of.items():
        if made.get(name, shape) != shape:
            raise ModelRefusedError(
                f"The layer '{name}' gives shape {list(made[name])} here but {list(shape)} in ONNX "
                "Runtime: its rounding or padding mode is not handled."
            )


def _check_same(module: fx.GraphModule, graph: OnnxGraph, probed: Probe) -> None:
    """The same answers as ONNX Runtime's, whatever stands next to a sample in the batch."""
    inputs = torch.from_numpy(probed.inputs)
    alone = _answers(module, inputs)
    beside_others = _answers(module, torch.cat([inputs, -inputs]))
    for name, wanted, found, again in zip(
        graph.output_names, probed.outputs, alone, beside_others, strict=True
    ):
        _check_output(f"its output '{name}'", wanted, found, again[: len(found)])


def _check_output(
    what: str, wanted: np.ndarray, found: np.ndarray, beside_others: np.ndarray
) -> None:
    if found.shape != wanted.shape:
        raise ModelRefusedError(
            f"The network could not be rebuilt: {what} has shape {list(found.shape)} here but "
            f"{list(wanted.shape)} in ONNX Runtime."
        )
    scale = max(float(np.abs(wanted).max()), 1e-6)
    difference = float(np.abs(found - wanted).max()) / scale
    if not difference <= TOLERANCE:  # NaN is no match either
        raise ModelRefusedError(
            f"The network could not be rebuilt faithfully: {what} differs from ONNX Runtime's "
            f"by {difference:.1e} of the largest value. It uses an operator in a way that is not handled."
        )
    if not float(np.abs(beside_others - found).max()) / scale <= TOLERANCE:
        raise ModelRefusedError(
            "The network's answer for one sample depends on the other samples of its batch. Export "
            "the model in evaluation mode, so that every sample is treated alike."
        )


def _answers(module: fx.GraphModule, inputs: torch.Tensor) -> list[np.ndarray]:
    try:
        with torch.no_grad():
            return [output.numpy() for output in each_output(module(inputs))]
    except RuntimeError as error:
        raise ModelRefusedError(_not_rebuilt(error)) from error


def _not_rebuilt(error: RuntimeError) -> str:
    """What torch says about a layer that ONNX Runtime runs."""
    reason = str(error).split("\n", maxsplit=1)[0]
    return f"The network could not be rebuilt: {reason}."
