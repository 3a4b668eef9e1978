"""Operators that no converter handles: they pass through as they are, or are refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import onnx

from compression.errors import ModelRefusedError
from compression.onnx_places import FIRST, Place
from compression.onnx_reading import describe
from compression.untouched import Untouched

if TYPE_CHECKING:
    from torch import fx

    from compression.onnx_conversion import Conversion

RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Bernoulli", "Multinomial"),
}
RECURRENT = {"LSTM": (2, 1, 1), "GRU": (2, 1), "RNN": (2, 1)}
"""Operators with states, and the axis at which each output keeps the batch."""
FREE_SIZE = {"NonMaxSuppression", "NonZero", "Compress", "Unique"}


def pass_through(
    network: Conversion, node: onnx.NodeProto, reason: str
) -> list[fx.Node | None]:
    """The operator as it stands, run by ONNX Runtime: a node for each output that is read.

    Args:
        network: the network under conversion.
        node: the operator.
        reason: why no converter takes it; what a refusal says.

    Raises:
        ModelRefusedError: it cannot run on its own, sample by sample.
    """
    if node.op_type in RANDOM:
        raise ModelRefusedError(
            f"The {describe(node)} draws random numbers: the network has no fixed answer to compare "
            "with. Export the model in evaluation mode."
        )
    if node.op_type in FREE_SIZE:
        raise ModelRefusedError(
            f"The {describe(node)} gives results whose number depends on the data. Export the model "
            "without this post-processing: what it reads becomes the output."
        )
    for name in node.input:
        if name in network.probe.repeated and name not in network.values:
            network.values[name] = network.for_every_sample(node, name)
    computed = list(dict.fromkeys(network.computed(node)))
    known = all(
        name in network.values or network.is_constant(name) for name in node.input if name
    )
    if not known or any(network.place(name).merged for name in computed):
        raise ModelRefusedError(reason)
    return [
        _output(network, node, index, reason) if network.readers[name] else None
        for index, name in enumerate(node.output)
    ]


def _output(network: Conversion, node: onnx.NodeProto, index: int, reason: str) -> fx.Node:
    name = node.output[index]
    computed = list(dict.fromkeys(network.computed(node)))
    place = _place(network, name, network.place(computed[0]))
    if node.op_type in RECURRENT:
        place = Place(RECURRENT[node.op_type][index])
    if place is None:
        raise ModelRefusedError(reason)
    network.places[name] = place
    constants = {
        n: network.probe.constants[n] for n in node.input if n and n not in network.values
    }
    own = onnx.NodeProto()
    own.CopyFrom(node)
    if node.op_type in RECURRENT:  # states of zeros are the default, and name the batch
        for at in range(5, len(own.input)):
            if not np.any(constants.get(own.input[at], 1)):
                constants.pop(own.input[at])
                own.input[at] = ""
    axes = [*(network.place(n).axis for n in computed), place.axis]
    layer = Untouched(own, constants, output=index, opset=network.opset, axes=axes)
    sources = tuple(network.values[n] for n in computed)
    return network.add_module(node, layer, sources, network.out_shape(node, index))


def _place(network: Conversion, name: str, like: Place) -> Place | None:
    """The one axis of an output that is as long as the batch; that of the input where several may be."""
    shape = network.probe.shapes.get(name)
    if shape is None:
        return None
    varying = network.probe.varying.get(name)
    if varying is None:  # one batch size only: nothing varied
        long = [axis for axis, size in enumerate(shape) if size == network.probe.batch]
        varying = tuple(axis for axis in (like.axis, FIRST.axis) if axis in long)[:1]
    if len(varying) != 1 or shape[varying[0]] != network.probe.batch:
        return None
    return Place(varying[0])
