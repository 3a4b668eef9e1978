"""What the layers read in calibration data: the covariance of their input channels."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

if TYPE_CHECKING:
    import numpy as np

    from compression.graph import Network

MOST_CHANNELS = 1024
"""Wider inputs get no covariance (8 MB here): pruning then goes by the weights alone."""


def observed(network: Network, x: np.ndarray) -> Network:
    """The network with ``moments``: filter pruning then keeps the channels that the data need.

    Args:
        network: Any network; it stays as it was.
        x: Calibration samples, float32, ``[samples, *input_shape]``.
    """
    recorder = _Recorder(network)
    with torch.inference_mode():
        recorder.run(torch.from_numpy(x))
    return replace(network, moments=recorder.moments)


class _Recorder(fx.Interpreter):
    def __init__(self, network: Network) -> None:
        super().__init__(network.module, garbage_collect_values=True)
        self._rows = {row.name: row for row in network.profile.layers}
        self.moments: dict[str, Tensor] = {}

    def run_node(self, n: fx.Node) -> Any:
        row = self._rows.get(n.name)
        layer = self.module.get_submodule(str(n.target)) if n.op == "call_module" else None
        is_reader = isinstance(layer, nn.Linear | nn.Conv1d | nn.Conv2d)
        if row is not None and is_reader and row.in_channels <= MOST_CHANNELS:
            values = self.env[n.all_input_nodes[0]]
            if isinstance(layer, nn.Linear) and values.ndim > 2:  # on each vector of a sequence
                values = values.flatten(0, -2)
            self.moments[n.name] = _covariance(values, row.in_channels, row.in_multiplier)
        return super().run_node(n)


def _covariance(values: Tensor, channels: int, multiplier: int) -> Tensor:
    """Over samples and positions; what a flattened channel stands for are positions too."""
    if multiplier > 1 or values.ndim == 2:
        apart = values.reshape(len(values), channels, -1)
    else:
        apart = values.flatten(2)
    mean = apart.mean((0, 2), keepdim=True)
    centred = (apart - mean).transpose(0, 1).reshape(channels, -1)
    return (centred @ centred.T / centred.shape[1]).clone()
