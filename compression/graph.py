"""A network as torch.fx graph plus what is known about it: layer table and channel groups."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import fx

from compression.types import NetworkProfile, Precision


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerOutput:
    """Where the output of an original layer is found in a changed network.

    ``node`` names the fx node that now computes it; ``kept`` lists which original channels it still
    holds (``None``: all of them, in order).
    """

    node: str
    kept: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A torch.fx module with its profile; techniques return a new one and leave theirs untouched.

    ``outputs_of`` maps each layer of the *original* network to where its output is now; a layer that
    a technique removed is absent.
    """

    module: fx.GraphModule
    profile: NetworkProfile
    outputs_of: Mapping[str, LayerOutput]
    precision: Precision = Precision.FP32
    notes: tuple[str, ...] = field(default=())

    def copied_module(self) -> fx.GraphModule:
        """A deep copy of the module, free to be changed."""
        return copy.deepcopy(self.module)
