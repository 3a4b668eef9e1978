"""ONNX pools and pads as torch modules, and the windows that pools and convolutions share."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from torch import fx, nn

from compression.onnx_conversion import Conversion, attribute

if TYPE_CHECKING:
    import onnx

    from compression.types import Shape

_MAX_POOL = {1: nn.MaxPool1d, 2: nn.MaxPool2d}
_AVERAGE_POOL = {1: nn.AvgPool1d, 2: nn.AvgPool2d}
_GLOBAL_AVERAGE = {1: nn.AdaptiveAvgPool1d, 2: nn.AdaptiveAvgPool2d}
_GLOBAL_MAX = {1: nn.AdaptiveMaxPool1d, 2: nn.AdaptiveMaxPool2d}
_COPYING: dict[str, dict[int, Any]] = {
    "reflect": {1: nn.ReflectionPad1d, 2: nn.ReflectionPad2d},
    "edge": {1: nn.ReplicationPad1d, 2: nn.ReplicationPad2d},
}
_PAD: dict[int, Any] = {1: nn.ConstantPad1d, 2: nn.ConstantPad2d, 3: nn.ConstantPad3d}


class Window:
    """Kernel, strides, dilations and padding of a convolution or pool, made explicit.

    ``before`` and ``after`` are the padding of each spatial axis, in order.
    """

    def __init__(
        self, network: Conversion, node: onnx.NodeProto, kernel: tuple[int, ...] | list[int]
    ) -> None:
        self.kernel = tuple(int(k) for k in kernel)
        self.spatial = len(self.kernel)
        if self.spatial not in _MAX_POOL:
            network.refuse(node, f"its window has {self.spatial} axes; one and two are handled")
        ones = [1] * self.spatial
        self.strides = tuple(attribute(node, "strides", ones))
        self.dilations = tuple(attribute(node, "dilations", ones))
        pads = attribute(node, "pads", [0] * 2 * self.spatial)
        auto = attribute(node, "auto_pad", "NOTSET")
        if auto.startswith("SAME"):
            pads = self._same(network.in_shape(node)[1:], lower=auto == "SAME_LOWER")
        self.before, self.after = tuple(pads[: self.spatial]), tuple(pads[self.spatial :])

    @property
    def pads(self) -> bool:
        """Whether anything is added around the input."""
        return any(self.before) or any(self.after)

    def covers(self, sizes: Shape) -> bool:
        """Whether there is a single window and it sees the whole input."""
        rows = zip(sizes, self.kernel, self.before, self.after, strict=True)
        return all(size + b <= k == size + b + a for size, k, b, a in rows)

    def _same(self, sizes: Shape, *, lower: bool) -> list[int]:
        """Padding that makes the output ``ceil(size / stride)`` long; the odd one goes last."""
        before, after = [], []
        rows = zip(sizes, self.kernel, self.strides, self.dilations, strict=True)
        for size, kernel, stride, dilation in rows:
            reach = (math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1
            total = max(reach - size, 0)
            small, large = total // 2, total - total // 2
            before.append(large if lower else small)
            after.append(small if lower else large)
        return before + after


def evenly_padded(
    network: Conversion, node: onnx.NodeProto, window: Window, fill: float
) -> tuple[fx.Node, tuple[int, ...]]:
    """The source, padded where torch's layer does not do it, and the padding left to the layer."""
    source = network.source(node)
    even = window.before == window.after
    if node.op_type != "Conv":  # torch's pools refuse more than half a window
        even = even and all(
            2 * p <= k for p, k in zip(window.before, window.kernel, strict=True)
        )
    if even:
        return source, window.before
    padded = _padded(network, node, source, [0, *window.before], [0, *window.after], fill)
    return padded, (0,) * window.spatial


def convert_max_pool(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """MaxPool; padding that torch does not take becomes a pad of minus infinity."""
    if len(node.output) > 1 and network.readers[node.output[1]]:
        network.refuse(node, "the positions of the maxima are used")
    window = Window(network, node, attribute(node, "kernel_shape", []))
    source, padding = evenly_padded(network, node, window, -math.inf)
    ceil_mode = bool(attribute(node, "ceil_mode", 0))
    layer = _MAX_POOL[window.spatial](
        *(window.kernel, window.strides, padding, window.dilations), ceil_mode=ceil_mode
    )
    return network.add_layer(node, layer, source, network.out_shape(node))


def convert_average_pool(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """AveragePool."""
    window = Window(network, node, attribute(node, "kernel_shape", []))
    include_pad = bool(attribute(node, "count_include_pad", 0))
    if set(window.dilations) != {1}:
        network.refuse(node, "its window has gaps (dilations)")
    ceil_mode = bool(attribute(node, "ceil_mode", 0))
    if window.covers(network.in_shape(node)[1:]) and not (include_pad and window.pads):
        return global_pool(network, node, keep_axes=True)
    if window.before != window.after and not include_pad:
        if any(window.before):
            network.refuse(node, "its padding differs between the two sides")
        # padding at the end only: windows that reach beyond the edge average what is there
        source, padding, ceil_mode = network.source(node), window.before, True
    else:
        source, padding = evenly_padded(network, node, window, 0.0)
    layer = _AVERAGE_POOL[window.spatial](
        *(window.kernel, window.strides, padding),
        ceil_mode=ceil_mode,
        count_include_pad=include_pad,
    )
    return network.add_layer(node, layer, source, network.out_shape(node))


def convert_global_pool(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """GlobalAveragePool and GlobalMaxPool."""
    return global_pool(network, node, keep_axes=True)


def global_pool(network: Conversion, node: onnx.NodeProto, *, keep_axes: bool) -> fx.Node:
    """Mean or largest value of each channel, by the operator's name."""
    shape = network.in_shape(node)
    spatial = len(shape) - 1
    if spatial not in _GLOBAL_AVERAGE:
        network.refuse(node, f"it pools over {spatial} axes; one and two are handled")
    kinds = _GLOBAL_MAX if "Max" in node.op_type else _GLOBAL_AVERAGE
    pooled_shape = (shape[0], *[1] * spatial)
    pooled = network.add_layer(node, kinds[spatial](1), network.source(node), pooled_shape)
    if keep_axes:
        return pooled
    return network.add_layer(node, nn.Flatten(1), pooled, shape[:1], "_flatten")


def convert_pad(network: Conversion, node: onnx.NodeProto) -> fx.Node:
    """Pad with a constant, a mirror image or the edge."""
    mode = attribute(node, "mode", "constant")
    if mode not in ("constant", *_COPYING):
        network.refuse(node, f"it pads in mode '{mode}'")
    pads = network.integers(node, "pads", 1) or []
    value = network.constant(node, 2, "value")
    fill = attribute(node, "value", 0.0) if value is None else float(value.reshape(-1)[0])
    rank = len(network.in_shape(node)) + 1
    axes = network.integers(node, "axes", 3) or list(range(rank))
    before, after = [0] * rank, [0] * rank
    for index, axis in enumerate(axes):
        before[axis % rank], after[axis % rank] = pads[index], pads[index + len(axes)]
    if before[0] or after[0]:
        network.refuse(node, "it pads the batch")
    if mode in _COPYING:
        return _copied(network, node, before[1:], after[1:], mode)
    return _padded(network, node, network.source(node), before[1:], after[1:], fill)


def _copied(
    network: Conversion, node: onnx.NodeProto, before: list[int], after: list[int], mode: str
) -> fx.Node:
    """The positions mirrored or repeated beyond the edges."""
    spatial = len(before) - 1
    if before[0] or after[0] or spatial not in _COPYING[mode] or min(before + after) < 0:
        network.refuse(node, f"it pads in mode '{mode}' along the channels")
    pairs = [*zip(before[1:], after[1:], strict=True)][::-1]
    layer = _COPYING[mode][spatial](tuple(n for pair in pairs for n in pair))
    return network.add_layer(node, layer, network.source(node), network.out_shape(node))


def _padded(
    network: Conversion,
    node: onnx.NodeProto,
    source: fx.Node,
    before: list[int],
    after: list[int],
    fill: float,
) -> fx.Node:
    """``source`` with constants around it; ``before`` and ``after`` leave out the batch."""
    first = next(
        (i for i, (b, a) in enumerate(zip(before, after, strict=True)) if b or a), None
    )
    if first is None:
        return source
    pairs = list(zip(before, after, strict=True))[first:]
    shape = network.shape_of[source.name]
    layer = _PAD[len(pairs)](tuple(n for pair in reversed(pairs) for n in pair), fill)
    grown = tuple(s + b + a for s, b, a in zip(shape, before, after, strict=True))
    return network.add_layer(
        node, layer, source, grown, "" if node.op_type == "Pad" else "_pad"
    )
