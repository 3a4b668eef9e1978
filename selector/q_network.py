"""The dueling Q-network: it scores actions by what they are and do, so that one network fits every study."""

from __future__ import annotations

import torch
from torch import nn

from selector.features import N_CHOICE
from selector.observation import N_EFFECTS, N_STATE


class QNetwork(nn.Module):
    """A correction of the outlook of every action: ``value + advantage - mean advantage`` (Wang et al., 2016).

    Where we differ: an action is a vector of features seen by one shared net, not an output of its
    own, so that layers and networks share what is learnt. What can be priced is not learnt: an
    untrained network corrects nothing and acts on ``Observation.outlook``.
    """

    def __init__(self, width: int = 64, action_width: int = 32) -> None:
        super().__init__()
        self.state = nn.Linear(sum(N_STATE), width)
        self.hidden = nn.Linear(width, width)
        self.context = nn.Linear(width, action_width)
        self.action = nn.Linear(N_EFFECTS + N_CHOICE, action_width, bias=False)
        self.value = nn.Linear(width, 1)
        self.advantage = nn.Linear(action_width, 1, bias=False)
        for head in (self.value, self.advantage):
            nn.init.zeros_(head.weight)
        nn.init.zeros_(self.value.bias)

    def forward(
        self, states: torch.Tensor, actions: torch.Tensor, legal: torch.Tensor
    ) -> torch.Tensor:
        """States ``[B, n]``, actions ``[B, A, F]`` and which are legal ``[B, A]`` to corrections ``[B, A]``."""
        seen = torch.relu(self.hidden(torch.relu(self.state(states))))
        joined = torch.relu(self.context(seen)[:, None] + self.action(actions))
        advantage = self.advantage(joined)[..., 0]
        allowed = legal.to(advantage.dtype)
        mean = (advantage * allowed).sum(dim=1, keepdim=True) / allowed.sum(dim=1, keepdim=True)
        return torch.as_tensor(self.value(seen) + advantage - mean)
