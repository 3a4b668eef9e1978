"""A finished file as plain float operations, for converters that know neither storage forms nor slices."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import onnxruntime as ort
import torch
from torch import nn

from compression.errors import ModelRefusedError
from compression.layer_table import node_shapes
from compression.onnx_import import import_onnx
from compression.runtime import ORT_ERRORS, sentence
from compression.shape_modules import StridedSlice
from compression.types import Precision

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import Shape

_DYNAMIC = "batch"
_POOLS: dict[int, type[nn.Module]] = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
_CONVS: dict[int, type[nn.Module]] = {1: nn.Conv1d, 2: nn.Conv2d}


def plain_network(data: bytes) -> Network:
    """The network that a file computes, in float, its batch free.

    However the file stores its weights (8 bits, half precision, a codebook, only what is not zero),
    ONNX Runtime computes them once.

    Args:
        data: an ONNX file whose arithmetic is float.

    Raises:
        ModelRefusedError: the file computes in 8 bits.
    """
    network = import_onnx(_folded(data))
    profile = replace(network.profile, batch=_DYNAMIC, dynamic_batch=True)
    return replace(network, profile=profile, precision=Precision.FP32)


def _folded(data: bytes) -> bytes:
    """The file after ONNX Runtime has replaced whatever does not depend on the input by its value."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    # Else it keeps DequantizeLinear for later, though its input is constant.
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "folded.onnx")
        options.optimized_model_filepath = str(path)
        try:
            ort.InferenceSession(
                data, options, providers=["CPUExecutionProvider"], enable_fallback=0
            )
        except ORT_ERRORS as error:
            raise ModelRefusedError(
                f"ONNX Runtime cannot load the model: {sentence(error)}"
            ) from error
        return path.read_bytes()


def without_slices(network: Network) -> Network:
    """The same function with every n-th position taken by pooling and zero channels added by a 1x1 layer.

    ncnn has neither a slice with steps nor a padding of channels; residual networks whose shortcuts
    hold no weights (He et al., CVPR 2016, option A) need both. What fits neither form stays.
    """
    module = network.copied_module()
    shapes = node_shapes(module, network.profile.input_shape)
    for node in module.graph.nodes:
        if node.op != "call_module":
            continue
        shape = shapes[node.all_input_nodes[0].name]
        layer = module.get_submodule(str(node.target))
        plain = _pooled(layer, shape) or _widened(layer, shape)
        if plain is not None:
            module.set_submodule(str(node.target), plain)
    return replace(network, module=module)


def _pooled(layer: nn.Module, shape: Shape) -> nn.Module | None:
    """Largest of one value, every ``step`` positions."""
    positions = len(shape) - 1
    if not isinstance(layer, StridedSlice) or positions not in _POOLS:
        return None
    steps = [1] * positions
    for axis, start, stop, step in layer.slices:
        if axis < 2 or start or stop < shape[axis - 1]:
            return None
        steps[axis - 2] = step
    return _POOLS[positions](kernel_size=1, stride=tuple(steps))


def _widened(layer: nn.Module, shape: Shape) -> nn.Module | None:
    """A 1x1 convolution that copies the channels and leaves the new ones at zero."""
    positions = len(shape) - 1
    if not isinstance(layer, nn.ConstantPad2d | nn.ConstantPad3d) or positions not in _CONVS:
        return None
    *around, front, behind = layer.padding
    if (
        len(layer.padding) != 2 * len(shape)
        or any(around)
        or layer.value
        or min(front, behind) < 0
    ):
        return None
    channels = shape[0]
    convolution = _CONVS[positions](
        channels, front + channels + behind, kernel_size=1, bias=False
    )
    weight = torch.zeros(front + channels + behind, channels)
    weight[front : front + channels] = torch.eye(channels)
    convolution.weight = nn.Parameter(weight.reshape(*weight.shape, *[1] * positions))
    return convolution
