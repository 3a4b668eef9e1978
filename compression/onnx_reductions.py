"""ONNX operators that reduce axes to one value: means, sums, extremes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.onnx_conversion import Conversion, attribute
from compression.onnx_places import FIRST, Place
from compression.onnx_windows import global_pool
from compression.shape_modules import Reduced

if TYPE_CHECKING:
    import onnx
    from torch import fx


def convert_reduction(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """ReduceMean, ReduceMax, ReduceMin, ReduceSum and ReduceL2; over all positions it is a pool."""
    name = node.input[0]
    rank, place = len(network.probe.shapes[name]), network.place(name)
    given = network.integers(node, "axes", 1) or list(range(rank))
    axes = sorted(axis % rank for axis in given)
    keep_axes = bool(attribute(node, "keepdims", 1))
    pools = node.op_type in ("ReduceMean", "ReduceMax") and rank in (3, 4)
    if pools and place == FIRST and axes == list(range(2, rank)):
        return global_pool(network, node, keep_axes=keep_axes)
    ours = [network.axis(node, axis) for axis in axes]
    if not keep_axes:
        gone = sum(axis < place.axis for axis in axes)
        network.places[node.output[0]] = Place(place.axis - gone, place.before, place.after)
    layer = Reduced(node.op_type.removeprefix("Reduce").lower(), ours, keep_axes=keep_axes)
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))
