"""The two learners of Classic AdaDeep: a DQN that picks techniques, a DDPG that sets their levels.

Both see one layer at a time and get the reward of the finished recipe. What a layer is does not depend
on what was chosen before it, so that the states of all layers stand in one array, and an episode is one
row of actions.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

if TYPE_CHECKING:
    from selector.classic_settings import ClassicSettings
    from selector.tables import Array, BoolArray, IntArray


class Memory:
    """The latest episodes, as arrays by name with one row an episode."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._kept: dict[str, Array | IntArray | BoolArray] = {}

    def add(self, **episodes: Array | IntArray | BoolArray) -> None:
        """Remember episodes; the oldest are forgotten beyond the capacity."""
        for name, values in episodes.items():
            known = self._kept.get(name)
            joined = values if known is None else np.concatenate([known, values])
            self._kept[name] = joined[-self._capacity :]

    def sample(self, count: int, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        """``count`` episodes drawn evenly."""
        rows = rng.integers(0, len(next(iter(self._kept.values()))), count)
        return {name: torch.from_numpy(values[rows]) for name, values in self._kept.items()}


class TechniqueAgent:
    """A DQN (Mnih et al., 2015) over the layers of one kind, plain as in the paper.

    Attributes:
        states: ``[L, F]`` descriptions of the layers, in order.
        memory: its own episodes: ``actions [L]``, ``legal [L, A]``, ``terms [4]`` of the reward.
    """

    def __init__(
        self, states: Array, n_actions: int, settings: ClassicSettings, seed: int
    ) -> None:
        self.states = torch.from_numpy(states.astype(np.float32))
        self.memory = Memory(settings.capacity)
        self._settings = settings
        self._q_net = _network(states.shape[1], n_actions, settings.width, seed)
        self._q_net_target = copy.deepcopy(self._q_net)
        self._optimizer = torch.optim.Adam(self._q_net.parameters(), lr=settings.learning_rate)

    def values(self) -> Array:
        """``[L, A]`` what each action is worth on each layer."""
        with torch.no_grad():
            return np.asarray(self._q_net(self.states).numpy(), dtype=np.float64)

    def copy_target(self) -> None:
        """Let the target network be what the agent is now."""
        self._q_net_target.load_state_dict(self._q_net.state_dict())

    def learn(self, weights: Array, rng: np.random.Generator) -> float:
        """One gradient step under weights ``[4]`` of the reward's terms; returns the loss."""
        episodes = self.memory.sample(self._settings.batch_size, rng)
        legal = episodes["legal"]
        # A layer that is gone, or has no choice, is not asked: it is no step of the episode.
        asked = legal.sum(dim=2) > 1
        if not asked.any():
            return 0.0
        rewards = _rewards(episodes["terms"], weights)
        with torch.no_grad():
            ahead = self._q_net_target(self.states).expand(len(rewards), -1, -1)
            best = ahead.masked_fill(~legal, -torch.inf).amax(dim=2)
            wanted = _returns(rewards, best, asked, self._settings)
        found = self._q_net(self.states).expand(len(rewards), -1, -1)
        chosen = found.gather(2, episodes["actions"][..., None])[..., 0]
        return _step(self._optimizer, functional.smooth_l1_loss(chosen[asked], wanted[asked]))


class LevelAgent:
    """A DDPG (Lillicrap et al., ICLR 2016) that sets one number between 0 and 1 for each choice.

    Attributes:
        states: ``[K, F]`` descriptions of the layers with the technique that each got, in order.
        memory: episodes: ``levels [K]`` and ``terms [4]`` of the reward.
    """

    def __init__(self, states: Array, settings: ClassicSettings, seed: int) -> None:
        self.states = torch.from_numpy(states.astype(np.float32))
        self.memory = Memory(settings.capacity)
        self._settings = settings
        n_inputs = states.shape[1]
        self._actor = nn.Sequential(_network(n_inputs, 1, settings.width, seed), nn.Sigmoid())
        self._critic = _network(n_inputs + 1, 1, settings.width, seed + 1)
        self._actor_target = copy.deepcopy(self._actor)
        self._critic_target = copy.deepcopy(self._critic)
        self._actor_optimizer, self._critic_optimizer = (
            torch.optim.Adam(net.parameters(), lr=settings.learning_rate)
            for net in (self._actor, self._critic)
        )

    def levels(self) -> Array:
        """``[K]`` the numbers that the actor sets now."""
        with torch.no_grad():
            return np.asarray(self._actor(self.states)[:, 0].numpy(), dtype=np.float64)

    def learn(self, weights: Array, rng: np.random.Generator) -> float:
        """One step of the critic and one of the actor; returns the critic's loss."""
        episodes = self.memory.sample(self._settings.batch_size, rng)
        rewards = _rewards(episodes["terms"], weights)
        with torch.no_grad():
            later = self._critic_of(self._critic_target, self._actor_target(self.states)[:, 0])
            ahead = later.expand(len(rewards), -1)
            asked = torch.ones_like(ahead, dtype=torch.bool)
            wanted = _returns(rewards, ahead, asked, self._settings)
        found = self._critic_of(self._critic, episodes["levels"].float())
        loss = _step(self._critic_optimizer, functional.smooth_l1_loss(found, wanted))
        worth = self._critic_of(self._critic, self._actor(self.states)[:, 0])
        _step(self._actor_optimizer, -worth.mean())
        self._mix_targets()
        return loss

    def _critic_of(self, critic: nn.Module, levels: torch.Tensor) -> torch.Tensor:
        """``[..., K]`` what levels ``[..., K]`` are worth in each state."""
        states = self.states.expand(*levels.shape, -1)
        return torch.as_tensor(critic(torch.cat([states, levels[..., None]], dim=-1))[..., 0])

    def _mix_targets(self) -> None:
        pairs = (self._actor, self._actor_target), (self._critic, self._critic_target)
        with torch.no_grad():
            for net, target in pairs:
                for new, old in zip(net.parameters(), target.parameters(), strict=True):
                    old.lerp_(new, self._settings.soft_update)


def _network(n_inputs: int, n_outputs: int, width: int, seed: int) -> nn.Sequential:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Linear(n_inputs, width),
            nn.ReLU(),
            nn.Linear(width, width),
            nn.ReLU(),
            nn.Linear(width, n_outputs),
        )


def _rewards(terms: torch.Tensor, weights: Array) -> torch.Tensor:
    """``[B]`` rewards of episodes by terms ``[B, 4]``: multipliers may have moved since they were played."""
    return (terms @ torch.from_numpy(weights)).float()


def _returns(
    rewards: torch.Tensor, best: torch.Tensor, asked: torch.Tensor, settings: ClassicSettings
) -> torch.Tensor:
    """``[B, L]`` what each step should be worth: its reward, and the discounted best of the next one asked.

    Args:
        rewards: ``[B]`` of the finished recipes.
        best: ``[B, L]`` what the target network expects at each step.
        asked: ``[B, L]`` which steps there are in each episode.
        settings: discount, and whether each step gets the reward or the last alone.
    """
    found = torch.zeros_like(best)
    ahead = torch.zeros_like(rewards)
    is_last = torch.ones_like(rewards, dtype=torch.bool)
    for step in range(best.shape[1] - 1, -1, -1):
        paid = rewards if settings.reward_at_every_step else torch.where(is_last, rewards, 0.0)
        found[:, step] = paid + settings.gamma * ahead
        here = asked[:, step]
        ahead = torch.where(here, best[:, step], ahead)
        is_last &= ~here
    return found


def _step(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> float:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())
