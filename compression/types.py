"""The values that cross every boundary of the engine: frozen, plain, free of torch and NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

ParamValue = int | float | str
Params = Mapping[str, ParamValue]
Shape = tuple[int, ...]

NETWORK = "*"
"""The layer name that a recipe uses for what concerns the whole network."""


class Stage(StrEnum):
    """The stages of a job, in order; the same words in database, socket, JSON and page."""

    INSPECT = "INSPECT"
    PROBE = "PROBE"
    SEARCH = "SEARCH"
    VALIDATE = "VALIDATE"
    RECOVER = "RECOVER"
    EXPORT = "EXPORT"
    MEASURE = "MEASURE"
    PACKAGE = "PACKAGE"


STUDY_STAGES = (Stage.INSPECT, Stage.PROBE, Stage.SEARCH, Stage.VALIDATE)
BUILD_STAGES = (Stage.RECOVER, Stage.EXPORT, Stage.MEASURE, Stage.PACKAGE)


class LayerKind(StrEnum):
    """What the techniques tell layers apart by."""

    CONV = "conv"
    DENSE = "dense"
    OTHER = "other"


class Precision(StrEnum):
    """How weights are stored and how the network computes.

    ``FP16_WEIGHTS``, ``INT8_WEIGHTS`` and ``CODEBOOK`` (4-bit indices into 16 values a layer) store
    weights small and compute in float (smaller file, same speed); ``INT8`` stores and computes in
    8 bits (static quantise/dequantise, U8 activations).
    """

    FP32 = "fp32"
    FP16_WEIGHTS = "fp16_weights"
    INT8_WEIGHTS = "int8_weights"
    CODEBOOK = "codebook"
    INT8 = "int8"


@dataclass(frozen=True, slots=True, kw_only=True)
class OpSpec:
    """One primitive operation at batch 1: what a cost model prices and a lookup measures.

    ``op`` is ``conv``, ``dense``, ``max_pool``, ``average_pool``, ``add``, ``multiply``, ``concat``,
    ``matmul`` (of two computed tensors), ``transposed_conv``, ``softmax``, ``layer_norm``, ``resize`` or ``elementwise``
    (unfused). Shapes are channels first, without the batch. ``density`` is the share of the weights
    that are not zero; ``params`` and ``macs`` count all of them, because a dense runtime multiplies
    zeros too: only the stored bytes follow ``density``.
    """

    op: str
    in_shape: Shape
    out_shape: Shape
    kernel: Shape = ()
    stride: Shape = ()
    padding: Shape = ()
    groups: int = 1
    macs: int = 0
    params: int = 0
    density: float = 1.0


NEAR_ZERO = 0.001
"""Magnitude up to which AdaDeep prunes weights by default."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerProfile:
    """One node of the imported network, at batch 1 (shapes without the batch, channels first).

    ``in_groups`` lists the channel groups that make up the input, in order, as
    ``(group id, channels)``; ``out_group`` is the channel group of the output, ``-1`` where that
    holds several (a concat, and norms and activations behind one). A convolution's ``kernel`` is
    1-D or 2-D. For a dense layer behind a flatten, ``in_multiplier`` is the number of
    features that one input channel stands for (spatial size); otherwise 1. ``in_axis`` and
    ``out_axis`` say where the channels lie in the shapes (0, but last in transformers). ``reads`` names
    the layers that it takes its inputs from, in order (the network's input by its own name). ``untouched``
    is the reason why no technique looks at a layer that does hold weights or cost time; empty
    otherwise. ``near_zero`` is the share of the weights of a convolution or dense layer that are not
    larger than ``NEAR_ZERO``.
    """

    name: str
    kind: LayerKind
    op: str
    in_shape: Shape
    out_shape: Shape
    kernel: Shape = ()
    stride: Shape = ()
    padding: Shape = ()
    groups: int = 1
    in_channels: int = 0
    out_channels: int = 0
    in_multiplier: int = 1
    bias: bool = False
    macs: int = 0
    params: int = 0
    in_groups: tuple[tuple[int, int], ...] = ()
    out_group: int = -1
    in_axis: int = 0
    out_axis: int = 0
    reads: tuple[str, ...] = ()
    untouched: str = ""
    near_zero: float = 0.0

    def resized(self, *, in_channels: int, out_channels: int) -> LayerProfile:
        """The same layer between other widths; macs, params and shapes follow.

        Channels count input *channels* (``in_channels * in_multiplier`` features for a dense layer
        behind a flatten). Depthwise and element-wise layers keep one width in and out; layers that hold
        no filters follow what they read, and stay as they are when that does.
        """
        if self.kind is LayerKind.OTHER and in_channels == self.in_channels:
            return self
        if self.kind is LayerKind.OTHER:
            return replace(
                self,
                in_channels=in_channels,
                out_channels=out_channels,
                in_shape=_with_size(self.in_shape, self.in_axis, in_channels),
                out_shape=_with_size(self.out_shape, self.out_axis, out_channels),
                params=_in_proportion(self.params, out_channels, self.out_channels),
                macs=_in_proportion(self.macs, out_channels, self.out_channels),
            )
        groups = in_channels if self.is_depthwise else self.groups
        features = in_channels * self.in_multiplier
        weights = out_channels * (features // groups) * _product(self.kernel)
        positions = _product(self.out_shape[1:]) if self.kind is LayerKind.CONV else 1
        rows = _product(self.in_shape[:-1]) if self.kind is LayerKind.DENSE else 1
        return replace(
            self,
            in_channels=in_channels,
            out_channels=out_channels,
            groups=groups,
            in_shape=self._in_shape(in_channels, features),
            out_shape=(out_channels, *self.out_shape[1:])
            if self.kind is LayerKind.CONV
            else (*self.out_shape[:-1], out_channels),
            params=weights + (out_channels if self.bias else 0),
            macs=weights * positions * max(1, rows),
        )

    @property
    def is_depthwise(self) -> bool:
        """Whether each input channel has filters of its own."""
        return (
            self.kind is LayerKind.CONV and self.groups > 1 and self.groups == self.in_channels
        )

    def _in_shape(self, in_channels: int, features: int) -> Shape:
        if self.kind is LayerKind.CONV:
            return (in_channels, *self.in_shape[1:])
        return (*self.in_shape[:-1], features)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelGroup:
    """Channels that can only be removed together: outputs tied by adds, norms and depthwise layers.

    ``leader`` is the first layer in order that writes the group; ``writers`` are all of them.
    ``reason`` says in plain words why the group cannot be narrowed; empty when it can.
    """

    id: int
    channels: int
    leader: str
    writers: tuple[str, ...]
    readers: tuple[str, ...]
    reason: str = ""

    @property
    def prunable(self) -> bool:
        """Whether the group's width may change."""
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkProfile:
    """What a network is: its layers in topological order and its channel groups."""

    name: str
    input_name: str
    input_shape: Shape
    output_names: tuple[str, ...]
    opset: int
    layers: tuple[LayerProfile, ...]
    groups: tuple[ChannelGroup, ...]
    macs: int
    params: int
    dynamic_batch: bool = True
    batch: int | str = "batch"
    """What the model calls its batch dimension: a name when dynamic, else the fixed number."""
    output_layers: tuple[str, ...] = ()
    """The layers that compute the outputs, in the order of ``output_names``."""
    judged_output: int | None = None
    """Which output labels are about, where several could be meant; ``None``: the first that classifies."""

    @property
    def output_shapes(self) -> tuple[Shape, ...]:
        """Of each output for one example, without the batch."""
        shapes = {layer.name: layer.out_shape for layer in self.layers}
        return tuple(shapes.get(name, self.input_shape) for name in self.output_layers)

    @property
    def largest_output(self) -> int:
        """Values that the largest output of a layer has for one example."""
        return max(_product(layer.out_shape) for layer in self.layers)

    @property
    def outputs_together(self) -> int:
        """Values of the outputs of all layers for one example: what training keeps."""
        return sum(_product(layer.out_shape) for layer in self.layers)

    def layer(self, name: str) -> LayerProfile:
        """The layer of that name; ``KeyError`` when there is none."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applicability:
    """Whether a technique can treat a layer; when not, the reason in plain words."""

    yes: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecipeStep:
    """One technique on one layer (``*`` for the whole network)."""

    layer: str
    technique: str
    params: Params
    why: str = ""


Recipe = tuple[RecipeStep, ...]


def kept_width(channels: int, pruning_ratio: float) -> int:
    """Channels left after removing that share, rounded to what runtimes compute in one go.

    Wide layers keep multiples of 16, then 8, 4 and 2: a width in between costs as much time as
    the next multiple. Never below 2, never above ``channels``; all of them when nothing is removed.
    """
    if pruning_ratio <= 0:
        return channels
    wanted = channels * (1.0 - pruning_ratio)
    step = next((s for s in (16, 8, 4) if wanted >= 3 * s), 2)
    return min(channels, max(2, step * round(wanted / step)))


def _in_proportion(count: int, width: int, old: int) -> int:
    """So much for each channel; what is no multiple of the channels belongs to none of them."""
    return count if count % max(1, old) else count * width // max(1, old)


def _with_size(shape: Shape, axis: int, size: int) -> Shape:
    return (*shape[:axis], size, *shape[axis + 1 :])


def _product(values: Shape) -> int:
    result = 1
    for value in values:
        result *= value
    return result
