"""The double deep Q-learning step: from replayed walks to better values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch

from selector.q_network import QNetwork

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.env import Trace
    from selector.observation import Observation
    from selector.tables import Array, IntArray

FORBIDDEN = -1e9
"""The value of an action that is not legal, in the choice and in the target alike."""

Arrays = Mapping[str, "Array"]


class Learner:
    """The network, the one it learns from (van Hasselt et al., 2016), and the optimizer.

    Rewards of a walk add up to the potential of the finished recipe and are not discounted. So values are
    kept as the potential that will have been reached, and the target of a step is the value of the next.

    Attributes:
        q_net: the network being trained.
        q_net_target: follows it slowly.
    """

    def __init__(self, seed: int, start: Arrays | None = None) -> None:
        generator_state = torch.random.get_rng_state()
        torch.manual_seed(seed)
        self.q_net, self.q_net_target = QNetwork(), QNetwork()
        torch.random.set_rng_state(generator_state)
        self.load(start or self.arrays())
        self._optimizer = torch.optim.Adam(self.q_net.parameters())

    def arrays(self) -> dict[str, Array]:
        """The network as plain arrays."""
        state = self.q_net.state_dict()
        return {name: value.numpy().copy() for name, value in state.items()}

    def load(self, arrays: Arrays) -> None:
        """Takes both networks to what ``arrays`` once returned."""
        state = {name: torch.tensor(array) for name, array in arrays.items()}
        self.q_net.load_state_dict(state)
        self.q_net_target.load_state_dict(state)

    def state(self) -> dict[str, torch.Tensor]:
        """All that changes from step to step: both networks and the optimizer."""
        networks = {"q_net": self.q_net, "q_net_target": self.q_net_target}
        found = {
            f"{name}.{key}": tensor
            for name, network in networks.items()
            for key, tensor in network.state_dict().items()
        }
        for number, weight in enumerate(self.q_net.parameters()):
            moments = self._optimizer.state.get(weight, {})
            found |= {f"adam.{number}.{name}": tensor for name, tensor in moments.items()}
        return {name: tensor.detach().clone() for name, tensor in found.items()}

    def take_up(self, state: Mapping[str, torch.Tensor]) -> None:
        """Goes back to a ``state``."""
        self.q_net.load_state_dict(_under("q_net", state))
        self.q_net_target.load_state_dict(_under("q_net_target", state))
        self._optimizer.state.clear()
        for number, weight in enumerate(self.q_net.parameters()):
            if moments := _under(f"adam.{number}", state):
                self._optimizer.state[weight] = moments

    def best_actions(self, seen: Observation) -> IntArray:
        """``[B]`` the legal actions of the highest values."""
        with torch.no_grad():
            inputs = (seen.state, seen.actions, seen.legal)
            correction = self.q_net(*(torch.from_numpy(each) for each in inputs)).numpy()
        values = np.where(seen.legal, seen.outlook + correction, FORBIDDEN)
        return np.asarray(values.argmax(axis=1))

    def update(self, trace: Trace, learning_rate: float, beta: float, mix: float) -> float:
        """One gradient step on replayed walks; returns the loss (Huber with that ``beta``)."""
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        predicted, wanted = self._values(trace)
        loss = torch.nn.functional.smooth_l1_loss(predicted, wanted, beta=beta)
        self._optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.q_net.parameters(), 5.0)
        self._optimizer.step()
        with torch.no_grad():
            pairs = zip(self.q_net.parameters(), self.q_net_target.parameters(), strict=True)
            for new, old in pairs:
                old.lerp_(new, mix)
        return float(loss.detach())

    def _values(self, trace: Trace) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted and wanted corrections of the outlook of what was chosen, both ``[T, B]``."""
        inputs = [torch.from_numpy(x) for x in (trace.states, trace.actions, trace.legal)]
        outlook = torch.from_numpy(trace.outlooks.astype(np.float32))
        chosen = torch.from_numpy(trace.chosen)[..., None]
        correction = _scored(self.q_net, inputs)
        with torch.no_grad():
            later = [each[1:] for each in inputs]
            online = (correction + outlook)[1:].masked_fill(~later[2], FORBIDDEN)
            judged = _scored(self.q_net_target, later) + outlook[1:]
            ahead = judged.gather(2, online.argmax(dim=2, keepdim=True))[..., 0]
            reached = torch.from_numpy(trace.values[-1:].astype(np.float32))
            # Nothing is random here: what a recipe really reached bounds its value from below.
            value = torch.cat([torch.maximum(ahead, reached), reached])
            wanted = value - outlook.gather(2, chosen)[..., 0]
        return correction.gather(2, chosen)[..., 0], wanted


def _under(prefix: str, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies of the tensors under ``prefix.``, without it."""
    start = f"{prefix}."
    return {n.removeprefix(start): t.clone() for n, t in state.items() if n.startswith(start)}


def _scored(network: QNetwork, inputs: Sequence[torch.Tensor]) -> torch.Tensor:
    """``[T, B, A]`` of states ``[T, B, n]``, actions and legal ``[T, B, A]``."""
    flat = network(*(each.flatten(0, 1) for each in inputs))
    return torch.as_tensor(flat.unflatten(0, inputs[0].shape[:2]))
