"""ONNX bytes -> ``Network``: our own converter to torch.fx, safe on files from strangers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import fx

from compression.batch_norm_folding import fold_batch_norms
from compression.errors import ModelRefusedError
from compression.graph import LayerOutput, Network, profiled
from compression.layer_table import node_shapes
from compression.onnx_conversion import Conversion
from compression.onnx_operators import CONVERTERS
from compression.onnx_probing import Probe, data_dependent, probe
from compression.onnx_reading import OnnxGraph, describe, read_onnx
from compression.transpose_folding import fold_transposes
from compression.types import NetworkProfile

if TYPE_CHECKING:
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
    module = _converted(graph, nodes, probed)
    fold_batch_norms(module)
    fold_transposes(module, node_shapes(module, graph.input_shape))
    _check_same(module, probed)
    blank = NetworkProfile(
        name=name,
        input_name=graph.input_name,
        input_shape=graph.input_shape,
        output_names=(graph.output_name,),
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
    """The nodes between input and output that depend on the data, all of them convertible."""
    dependent = data_dependent(graph)
    if graph.output_name not in dependent:
        raise ModelRefusedError("The model's output does not depend on its input.")
    needed, found = {graph.output_name}, []
    for node in reversed(graph.model.graph.node):
        if needed.intersection(node.output) and dependent.intersection(node.output):
            needed.update(name for name in node.input if name in dependent)
            found.append(node)
    for node in reversed(found):
        if node.op_type not in CONVERTERS:
            raise ModelRefusedError(
                f"The {describe(node)} is not one that can be compressed or passed through. "
                f"Handled are: {', '.join(sorted(CONVERTERS))}."
            )
    return found[::-1]


def _converted(graph: OnnxGraph, nodes: list[onnx.NodeProto], probed: Probe) -> fx.GraphModule:
    network = Conversion(graph, probed)
    for node in nodes:
        network.values[node.output[0]] = CONVERTERS[node.op_type](network, node)
    network.graph.output(network.values[graph.output_name])
    module = fx.GraphModule(network.root, network.graph)
    module.eval()
    _check_shapes(module, network, graph)
    return module


def _check_shapes(module: fx.GraphModule, network: Conversion, graph: OnnxGraph) -> None:
    try:
        made = node_shapes(module, graph.input_shape)
    except RuntimeError as error:  # torch refuses a layer that ONNX Runtime runs
        reason = str(error).split("\n", maxsplit=1)[0]
        raise ModelRefusedError(f"The network could not be rebuilt: {reason}.") from error
    for name, shape in network.shape_of.items():
        if made[name] != shape:
            raise ModelRefusedError(
                f"The layer '{name}' gives shape {list(made[name])} here but {list(shape)} in ONNX "
                "Runtime: its rounding or padding mode is not handled."
            )


def _check_same(module: fx.GraphModule, probed: Probe) -> None:
    with torch.no_grad():
        outputs = module(torch.from_numpy(probed.inputs)).numpy()
    scale = max(float(np.abs(probed.outputs).max()), 1e-6)
    difference = float(np.abs(outputs - probed.outputs).max()) / scale
    if not difference <= TOLERANCE:  # NaN is no match either
        raise ModelRefusedError(
            "The network could not be rebuilt faithfully: its outputs differ from ONNX Runtime's "
            f"by {difference:.1e} of the largest. It uses an operator in a way that is not handled."
        )
