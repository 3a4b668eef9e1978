"""The dueling Q-network."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn


class QNetwork(nn.Module):
    """Future reward of every action: ``value + advantage - mean advantage`` (Wang et al., 2016).

    The reward of the action itself is known exactly (``Observation.gain``) and is not learned, so
    that an untrained network already acts greedily.
    """

    def __init__(self, n_inputs: int, n_actions: int, width: int, depth: int = 2) -> None:
        super().__init__()
        sizes = [n_inputs, *[width] * depth]
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for i in range(depth):
            layers[f"hidden{i}"] = nn.Linear(sizes[i], sizes[i + 1])
            layers[f"norm{i}"] = nn.LayerNorm(sizes[i + 1])
            layers[f"relu{i}"] = nn.ReLU()
        self.trunk = nn.Sequential(layers)
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(width, n_actions)
        for head in (self.value, self.advantage):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """``[B, n]`` observations to ``[B, A]`` future rewards."""
        hidden = self.trunk(vectors)
        advantage = self.advantage(hidden)
        centred = advantage - advantage.mean(dim=1, keepdim=True)
        return torch.as_tensor(self.value(hidden) + centred)
