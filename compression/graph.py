"""A network as torch.fx graph plus what is known about it: layer table and channel groups."""

from __future__ import annotations

import copy
import gc
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import torch

from compression.channel_groups import find_channel_groups
from compression.layer_table import node_shapes, output_nodes, table_rows
from compression.types import NetworkProfile, Precision

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, fx


_LARGE_BYTES = 16e6
"""Weights from which on a copy is worth looking for earlier ones to free: that takes a tenth of a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutput:
    """Where the output of an original layer is found in a changed network.

    ``node`` names the fx node that now computes it; ``kept`` lists which original channels it still
    holds (``None``: all of them, in order). ``pooled``: it is what the pool behind the layer made of it.
    """

    node: str
    kept: tuple[int, ...] | None = None
    pooled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A torch.fx module with its profile; techniques return a new one and leave theirs untouched.

    ``outputs_of`` maps each layer of the *original* network to where its output is now; a layer that
    a technique removed is absent. ``moments`` holds what ``channel_moments.observed`` saw in data: for
    each conv and dense layer the covariance of the channels that it reads, ``[channels, channels]``.
    """

    module: fx.GraphModule
    profile: NetworkProfile
    outputs_of: Mapping[str, LayerOutput]
    precision: Precision = Precision.FP32
    notes: tuple[str, ...] = field(default=())
    moments: Mapping[str, Tensor] = field(default_factory=dict)

    def copied_module(self) -> fx.GraphModule:
        """A deep copy of the module, free to be changed."""
        if 4 * self.profile.params > _LARGE_BYTES:
            # A module and its graph refer to each other, so earlier copies wait for the collector,
            # which counts objects, not bytes.
            gc.collect()
        return copy.deepcopy(self.module)


def each_output(found: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """What a network's module puts out, one tensor an output."""
    return found if isinstance(found, tuple) else (found,)


def joined(found: Tensor | tuple[Tensor, ...]) -> Tensor:
    """What a network's module puts out as one tensor: several outputs as ``[n, values]``, see ``answer_forms``."""
    if not isinstance(found, tuple):
        return found
    return torch.cat([output.reshape(len(output), -1) for output in found], dim=1)


def profiled(module: fx.GraphModule, like: NetworkProfile) -> NetworkProfile:
    """The profile of a network whose module was built or changed.

    Shapes come from one forward pass of zeros at batch 1; weights and modes of the module are left
    as they are. Name, interface and opset are those of ``like``.

    Args:
        module: one input of shape ``[1, *like.input_shape]``; every node a ``call_module`` or
            ``call_function`` of the vocabulary that ``onnx_import`` makes.
        like: the profile of the network that the module was made from.
    """
    shapes = node_shapes(module, like.input_shape)
    channels = find_channel_groups(module, shapes)
    layers = table_rows(module, shapes, channels)
    return replace(
        like,
        layers=layers,
        groups=channels.groups,
        macs=sum(layer.macs for layer in layers),
        params=sum(layer.params for layer in layers),
        output_layers=tuple(node.name for node in output_nodes(module)),
    )
