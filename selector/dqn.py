"""Training of the preference-conditioned DQN: one agent that answers any goals, budgets and target.

Double (van Hasselt et al., 2016) dueling Q-learning on the surrogate. Where we differ: the reward
of the action itself is exact and added to the network's answer; replay walks whole configurations
again instead of keeping transitions; goals, budgets and target are part of the observation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from selector.anchors import choose_anchors
from selector.env import CompressionEnv, Trace
from selector.local_search import climb
from selector.observation import Observation, Observer
from selector.policy_network import PolicyWeights
from selector.pool import distinct, grow_pool
from selector.q_network import QNetwork
from selector.replay_buffer import ReplayBuffer
from selector.reward import Preferences, potential, quantities, relative_gap
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, BoolArray, IntArray

FORBIDDEN = -1e9
"""The value of an action that is not legal, in the choice and in the target alike."""

_EVAL_COUNT = 64
Report = Callable[[int, int, dict[str, float]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and how to train. Counted in rounds, so that a seed repeats.

    A round is ``episodes_per_round`` recipes side by side, then ``updates_per_round`` gradient steps
    on ``batch_size`` decisions each.
    """

    seed: int = 0
    rounds: int = 120
    episodes_per_round: int = 128
    updates_per_round: int = 8
    batch_size: int = 512
    width: int = 128
    learning_rate: float = 1e-3
    beta: float = 0.02
    gamma: float = 1.0
    target_mix: float = 0.02
    exploration_initial: float = 0.2
    exploration_fraction: float = 0.6
    exploration_final: float = 0.03
    redrawn_wishes: float = 0.3
    capacity: int = 20_000
    polished_one_in: int = 4
    n_anchors: int = 12
    pool_size: int = 600
    pool_rounds: int = 16
    report_every: int = 10


def train(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    settings: Training | None = None,
    report: Report | None = None,
    start: PolicyWeights | None = None,
) -> PolicyWeights:
    """Train the agent for those targets and return it as plain arrays.

    ``report(round, rounds, figures)`` is called now and then with ``episode``, ``reward``,
    ``average``, ``loss`` and ``gap`` (relative, to climbing from the agent's own recipes); when it
    returns false, training stops with what there is. ``start`` warm-starts from an agent of the same
    study. Repeats bit for bit with the same seed and number of threads.
    """
    trainer = _Trainer(surrogate, targets, settings or Training(), start)
    trainer.run(report or _silent)
    return trainer.weights()


class _Trainer:
    def __init__(
        self,
        surrogate: Surrogate,
        targets: Sequence[DeviceProfile],
        settings: Training,
        start: PolicyWeights | None,
    ) -> None:
        self.surrogate, self.targets, self.settings = surrogate, tuple(targets), settings
        self.rng = np.random.default_rng(settings.seed)
        anchors = (
            choose_anchors(surrogate, targets, self.settings.n_anchors)
            if start is None
            else start.anchors
        )
        self.env = CompressionEnv(Observer(surrogate, self.targets, anchors))
        self.observer = self.env.observer
        self.q_net, self.q_net_target = self._networks(start)
        self.optimizer = torch.optim.Adam(self.q_net.parameters(), lr=settings.learning_rate)
        self.replay_buffer = ReplayBuffer(settings.capacity, self.observer.space.n_decisions)
        self.held_out = draw_wishes(
            surrogate, self.targets, _EVAL_COUNT, np.random.default_rng(1)
        )
        self.rounds_done, self.loss = 0, 0.0

    def run(self, report: Report) -> None:
        settings = self.settings
        average = 0.0
        for done in range(1, settings.rounds + 1):
            reward = self._play(self._epsilon(done))
            average = reward if done == 1 else 0.9 * average + 0.1 * reward
            self._set_learning_rate(done)
            for _ in range(settings.updates_per_round):
                self.loss = self._update()
            self.rounds_done = done
            if done % settings.report_every == 0 or done == settings.rounds:
                figures = {
                    "episode": float(done * settings.episodes_per_round),
                    "reward": reward,
                    "average": average,
                    "loss": self.loss,
                    "gap": self._gap(),
                }
                if not report(done, settings.rounds, figures):
                    return

    def weights(self) -> PolicyWeights:
        state = self.q_net.state_dict()
        arrays = {
            name.removeprefix("trunk."): value.numpy().copy() for name, value in state.items()
        }
        return PolicyWeights(
            arrays=arrays,
            targets=tuple(target.name for target in self.targets),
            anchors=self.observer.anchors,
            pool=self._pool(),
            facts={"rounds": self.rounds_done, "training": asdict(self.settings)},
        )

    def _networks(self, start: PolicyWeights | None) -> tuple[QNetwork, QNetwork]:
        actions = self.observer.mask.shape[1]
        generator_state = torch.random.get_rng_state()
        torch.manual_seed(self.settings.seed)
        nets = [QNetwork(self.observer.size, actions, self.settings.width) for _ in range(2)]
        torch.random.set_rng_state(generator_state)
        if start is not None:
            names = {n.removeprefix("trunk."): n for n in nets[0].state_dict()}
            state = {
                names[name]: torch.from_numpy(array.copy())
                for name, array in start.arrays.items()
            }
            nets[0].load_state_dict(state)
        nets[1].load_state_dict(nets[0].state_dict())
        return nets[0], nets[1]

    def _epsilon(self, done: int) -> float:
        settings = self.settings
        share = min(1.0, done / (settings.exploration_fraction * settings.rounds))
        span = settings.exploration_final - settings.exploration_initial
        return settings.exploration_initial + share * span

    def _set_learning_rate(self, done: int) -> None:
        share = max(0.0, 2.0 * done / self.settings.rounds - 1.0)
        rate = self.settings.learning_rate * (1.0 - 0.97 * share)
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def _play(self, epsilon: float) -> float:
        """One batch of episodes under fresh wishes; returns their mean reward."""
        count = self.settings.episodes_per_round
        wants = draw_wishes(self.surrogate, self.targets, count, self.rng)
        total = np.zeros(count)
        seen: Observation | None = self.env.reset(wants)
        while seen is not None:
            greedy = self._best_actions(seen)
            random = np.where(seen.legal, self.rng.random(seen.legal.shape), -1.0).argmax(
                axis=1
            )
            explores = self.rng.random(count) < epsilon
            seen, rewards, _ = self.env.step(np.where(explores, random, greedy))
            total += rewards
        configs = self.env.configs.copy()
        some = slice(0, count // self.settings.polished_one_in)
        configs[some] = self._climbed(configs[some], wants.take(some))
        self.replay_buffer.add(configs, wants)
        return float(total.mean())

    def _best_actions(self, seen: Observation) -> IntArray:
        with torch.no_grad():
            future = self.q_net(torch.from_numpy(seen.vector)).numpy()
        return np.asarray(np.where(seen.legal, seen.gain + future, FORBIDDEN).argmax(axis=1))

    def _update(self) -> float:
        """One gradient step on replayed recipes; returns the loss."""
        settings = self.settings
        n_decisions = self.observer.space.n_decisions
        configs, wants = self.replay_buffer.sample(
            max(16, settings.batch_size // n_decisions), self.rng
        )
        fresh = draw_wishes(self.surrogate, self.targets, len(wants), self.rng)
        wants = wants.mixed(fresh, self.rng.random(len(wants)) < settings.redrawn_wishes)
        trace = self.env.trace(configs, wants)
        predicted, wanted = self._values(trace)
        loss = torch.nn.functional.smooth_l1_loss(predicted, wanted, beta=self.settings.beta)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.q_net.parameters(), 5.0)
        self.optimizer.step()
        self._mix_target()
        return float(loss.detach())

    def _values(self, trace: Trace) -> tuple[torch.Tensor, torch.Tensor]:
        """Predicted and wanted future rewards of what replayed recipes chose, both ``[T * B]``."""
        steps, count = trace.actions.shape
        vectors = torch.from_numpy(trace.vectors)
        actions = torch.from_numpy(trace.actions)
        future = self.q_net(vectors.flatten(0, 1)).unflatten(0, (steps, count))
        predicted = future.gather(2, actions[..., None])[..., 0]
        gains = torch.from_numpy(trace.gains.astype(np.float32))
        values = torch.from_numpy(trace.values.astype(np.float32))
        with torch.no_grad():
            legal = torch.from_numpy(trace.legal)[1:]
            online = (future[1:] + gains[1:]).masked_fill(~legal, FORBIDDEN)
            best = online.argmax(dim=2, keepdim=True)
            later = self.q_net_target(vectors[1:].flatten(0, 1)).unflatten(
                0, (steps - 1, count)
            )
            target = (later + gains[1:]).masked_fill(~legal, FORBIDDEN).gather(2, best)[..., 0]
            rewards = values[1:] - values[:-1]
            ahead = rewards + self.settings.gamma * torch.cat([target, torch.zeros(1, count)])
            # Nothing is random here: what a recipe really reached bounds its value from below.
            reached = values[-1] - values[:-1]
            gained = gains.gather(2, actions[..., None])[..., 0]
            wanted = torch.maximum(ahead, reached) - gained
        return predicted.flatten(), wanted.flatten()

    def _mix_target(self) -> None:
        mix = self.settings.target_mix
        with torch.no_grad():
            pairs = zip(self.q_net.parameters(), self.q_net_target.parameters(), strict=True)
            for new, old in pairs:
                old.lerp_(new, mix)

    def _greedy(self, wants: Preferences) -> IntArray:
        seen: Observation | None = self.env.reset(wants)
        while seen is not None:
            seen, _, _ = self.env.step(self._best_actions(seen))
        return self.env.configs.copy()

    def _climbed(self, configs: IntArray, wants: Preferences) -> IntArray:
        def value(totals: Array) -> Array:
            return potential(quantities(self.surrogate, totals), wants)

        mask: BoolArray = self.observer.mask
        return climb(self.observer.costs, configs, mask, value, wants.target)

    def _gap(self) -> float:
        """Mean relative gap of greedy answers to climbing from them, over held-out wishes."""
        wants = self.held_out
        configs = self._greedy(wants)
        found, best = (
            potential(
                quantities(self.surrogate, self.observer.costs.totals(c, wants.target)), wants
            )
            for c in (configs, self._climbed(configs, wants))
        )
        return float(relative_gap(found, best).clip(0.0, 1.0).mean())

    def _pool(self) -> IntArray:
        """The untouched network, the agent's polished answers to many wishes, and what they lead to."""
        settings = self.settings
        rng = np.random.default_rng(settings.seed + 1)
        wants = draw_wishes(self.surrogate, self.targets, settings.pool_size, rng)
        found = self._climbed(self._greedy(wants), wants)
        pool = distinct(np.concatenate([self.observer.space.untouched(), found]))
        rounds, most = settings.pool_rounds, settings.pool_size
        return grow_pool(self.surrogate, self.targets, pool[:most], rounds, most, settings.seed)


def _silent(_done: int, _rounds: int, _figures: dict[str, float]) -> bool:
    return True
