"""Training of the preference-conditioned DQN: one agent that answers any goals, budgets and target.

Double (van Hasselt et al., 2016) dueling Q-learning on the surrogate. Where we differ: a first guess
at the value, made of exact prices, is added to the network's answer; replay walks whole configurations
again instead of keeping transitions; goals, budgets and target are part of the observation; and
what is learnt is about layers in general, so that the agent of one network warms up the next.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from selector.env import CompressionEnv
from selector.learner import Learner
from selector.local_search import climb
from selector.observation import Observation, Observer
from selector.policy_network import PolicyWeights
from selector.pool import Pool, grow_pool
from selector.replay_buffer import ReplayBuffer
from selector.reward import Preferences, potential, quantities, relative_gap
from selector.training_state import Kept, Progress, State, identity
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from pathlib import Path

    from compression.cost import DeviceProfile
    from selector.env import Trace
    from selector.learner import Arrays
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray

_EVAL_COUNT = 64
_REFEREE_STARTS = 8
Report = Callable[[int, int, dict[str, float]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """How long and how to train. Counted in rounds, so that a seed repeats.

    A round is ``episodes_per_round`` recipes side by side, then ``updates_per_round`` gradient steps on
    ``batch_size`` decisions each. The walks of ``updates_together`` steps are replayed at once: pricing four times as many
    recipes takes less than twice as long. Walks are ``most_steps`` decisions long at most, but one in ``whole_one_in``
    takes all decisions, or ``whole_steps`` of them where there are more: who only ever walks a part
    of the way does not learn what the whole way costs. Every ``judged_every`` rounds the agent is judged.
    """

    seed: int = 0
    rounds: int = 60
    episodes_per_round: int = 128
    updates_per_round: int = 24
    updates_together: int = 4
    batch_size: int = 512
    most_steps: int = 20
    whole_one_in: int = 2
    whole_steps: int = 64
    starts: int = 12
    learning_rate: float = 3e-3
    beta: float = 0.1
    target_mix: float = 0.05
    exploration_initial: float = 0.3
    exploration_fraction: float = 0.6
    exploration_final: float = 0.05
    redrawn_wishes: float = 0.1
    capacity: int = 20_000
    polished_one_in: int = 4
    untouched_one_in: int = 2
    pool_size: int = 800
    pool_rounds: int = 40
    judged_every: int = 3


def train(
    surrogate: Surrogate,
    targets: Sequence[DeviceProfile],
    settings: Training | None = None,
    report: Report | None = None,
    start: Arrays | None = None,
) -> PolicyWeights:
    """Train the agent for those targets and return it as plain arrays.

    ``report(round, rounds, figures)`` is called after every round, those in which the pool grows among them.
    Figures are ``episode``, ``reward``, ``average``, ``loss`` and ``epsilon`` of a round of training, and
    where the agent was judged, before the first round too, ``gap`` (relative, of greedy roll-outs from the
    untouched network to the best known answers). When it returns false, training stops with what there
    is. ``start`` goes on from an agent of any study. Repeats bit for bit with the same seed and
    number of threads.
    """
    settings = settings or Training()
    learner = Learner(settings.seed, start)
    trainer = Trainer(surrogate, targets, settings, learner, report=report)
    trainer.run()
    return trainer.weights()


class Trainer:
    """One study's training; ``train`` does all of it.

    Attributes:
        learner: what is being trained; trainers of other studies may share it.
        pool: good recipes known so far.
        progress: how far ``run`` has come.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        targets: Sequence[DeviceProfile],
        settings: Training,
        learner: Learner,
        checkpoint: Path | None = None,
        report: Report | None = None,
    ) -> None:
        """With a ``checkpoint`` file, ``run`` keeps its state there and goes on from what it finds.

        ``report`` is told of every round, see ``train``; here already, for the pool grows first.
        """
        self.surrogate, self.targets, self.settings = surrogate, tuple(targets), settings
        self.rng = np.random.default_rng(settings.seed)
        self.env = CompressionEnv(Observer(surrogate, self.targets))
        self.observer = self.env.observer
        self.learner = learner
        self._best: Arrays = learner.arrays()
        self._report, self._goes_on = report, True
        self.replay_buffer = ReplayBuffer(settings.capacity, self.observer.space.n_decisions)
        self._kept = self._place(checkpoint) if checkpoint else None
        known = self._kept.read() if self._kept else None
        start = known.pool if known else self._grown(surrogate.space.untouched(), 0)
        self.pool = Pool(surrogate, self.targets, start)
        judged = np.random.default_rng(1)
        self.held_out = draw_wishes(surrogate, self.targets, _EVAL_COUNT, judged)
        self.best_known = self._referee(self.held_out)
        self.rounds_done, self.loss = 0, 0.0
        self.progress = self._resumed(known) if known else Progress()

    def run(self) -> None:
        """All rounds, or those until ``report`` says that it is enough; leaves the agent that was judged best.

        One that comes from other networks may be better than what few rounds on this one make of it.
        What an interrupted training had reported is reported again.
        """
        progress = self.progress
        if progress.history:
            for done, figures in progress.history:
                self._tell(self._pool_rounds + done, figures)
        else:
            progress.gap = progress.first_gap = self.gap()
            self._record(0, {"episode": 0.0, "gap": progress.gap})
        while self._goes_on and progress.rounds < self.settings.rounds:
            self._advance(progress.rounds + 1)
        self.learner.load(self._best)

    def _advance(self, done: int) -> None:
        """One round, judged now and then and at the end."""
        settings, progress = self.settings, self.progress
        reward = self.round(done)
        progress.average = reward if done == 1 else 0.9 * progress.average + 0.1 * reward
        progress.rounds = done
        figures = {
            "episode": float(done * settings.episodes_per_round),
            "reward": reward,
            "average": progress.average,
            "loss": self.loss,
            "epsilon": self._epsilon(done),
        }
        if done % settings.judged_every == 0 or done == settings.rounds:
            figures["gap"] = self._judged(done)
        self._record(done, figures)

    def _judged(self, done: int) -> float:
        """The gap after that round; remembers the best agent."""
        gap, progress = self.gap(), self.progress
        if gap < progress.gap:
            progress.gap, progress.best_round = gap, done
            self._best = self.learner.arrays()
        return gap

    def _record(self, done: int, figures: dict[str, float]) -> None:
        self.progress.history.append((done, figures))
        if "gap" in figures:
            self._keep()
        self._tell(self._pool_rounds + done, figures)

    def _tell(self, done: int, figures: dict[str, float]) -> bool:
        """Whether to go on."""
        total = 2 * self._pool_rounds + self.settings.rounds
        if self._report and not self._report(done, total, figures):
            self._goes_on = False
        return self._goes_on

    @property
    def _pool_rounds(self) -> int:
        """Of the pool's growth before the training, and as many after it."""
        return self.settings.pool_rounds // 2

    def round(self, done: int) -> float:
        """The episodes and the updates of one round, counted from 1; returns the mean reward."""
        settings, reward = self.settings, self._play(self._epsilon(done))
        rate = self._learning_rate(done)
        for first in range(0, settings.updates_per_round, settings.updates_together):
            left = settings.updates_per_round - first
            for trace in self._replayed(min(left, settings.updates_together)):
                self.loss = self.learner.update(trace, rate, settings.beta, settings.target_mix)
        self.rounds_done = done
        return reward

    def weights(self) -> PolicyWeights:
        """The agent as it is now, with the pool that it leads to."""
        return self._with(self.learner.arrays(), self._final_pool())

    def so_far(self) -> PolicyWeights:
        """The best agent yet, with the recipes known already: at once, where ``weights`` takes a while."""
        return self._with(self._best, self.pool.configs)

    def _with(self, arrays: Arrays, pool: IntArray) -> PolicyWeights:
        return PolicyWeights(
            arrays=arrays,
            targets=tuple(target.name for target in self.targets),
            pool=pool,
            facts={"rounds": self.rounds_done, "training": asdict(self.settings)},
        )

    def _place(self, path: Path) -> Kept:
        start = identity(self._best, self.surrogate, self.targets, self.settings)
        return Kept(path=path, identity=start)

    def _keep(self) -> None:
        if self._kept is None:
            return
        replay, rng = self.replay_buffer.state(), self.rng.bit_generator.state
        pool, learner = self.pool.configs, self.learner.state()
        self._kept.write(State(learner, self._best, replay, pool, rng, self.progress))

    def _resumed(self, known: State) -> Progress:
        """Takes everything to where that state was kept."""
        self.learner.take_up(known.learner)
        self._best = dict(known.best)
        self.replay_buffer.take_up(known.replay)
        self.rng.bit_generator.state = known.rng
        self.rounds_done = known.progress.rounds
        return known.progress

    def gap(self) -> float:
        """Mean relative gap of greedy roll-outs from the untouched network to the best known answers.

        Over held-out wishes; no known recipe helps, so that it tells what the agent has learnt.
        """
        wants = self.held_out
        found = self._greedy(wants, self.observer.space.untouched(len(wants)))
        gaps = relative_gap(self._potential(found, wants), self.best_known)
        can_be_met = self.best_known > 0
        return float(gaps[can_be_met].clip(0.0, 1.0).mean()) if can_be_met.any() else 0.0

    def _referee(self, wants: Preferences) -> Array:
        """``[B]`` the best potential found by climbing from several good recipes for each asker."""
        rows = np.argsort(-self.pool.worth(wants, potential), axis=1, kind="stable")
        rows = rows[:, :_REFEREE_STARTS]
        askers = wants.repeated(rows.shape[1])
        found = self._climbed(self.pool.configs[rows.ravel()], askers)
        reached = self._potential(found, askers).reshape(rows.shape)
        return np.asarray(reached.max(axis=1))

    def _grown(self, pool: IntArray, time: int) -> IntArray:
        settings = self.settings
        before = time * (self._pool_rounds + settings.rounds)
        rounds = self._pool_rounds if self._goes_on else 0
        seed = 2 * settings.seed + time

        def grew(done: int) -> bool:
            return self._tell(before + done, {})

        return grow_pool(
            self.surrogate, self.targets, pool, rounds, settings.pool_size, seed, grew
        )

    def _final_pool(self) -> IntArray:
        """The pool, the agent's polished answers to many wishes, and what they lead to."""
        rng = np.random.default_rng(self.settings.seed + 1)
        wants = draw_wishes(self.surrogate, self.targets, self.settings.pool_size // 2, rng)
        best = self.pool.configs[self.pool.worth(wants, potential).argmax(axis=1)]
        found = self._climbed(self._greedy(wants, best), wants)
        self.pool.add(found)
        return self._grown(self.pool.configs, 1)

    def _starts(self, wants: Preferences, few: int, rng: np.random.Generator) -> IntArray:
        """``[B, D]`` the best for each asker of a few known recipes: as if fewer were known than there are."""
        few = min(few, len(self.pool.configs))
        rows = rng.choice(len(self.pool.configs), few, replace=False)
        best = self.pool.worth(wants, potential, rows).argmax(axis=1)
        return np.asarray(self.pool.configs[rows[best]])

    def _some_decisions(self) -> IntArray:
        """The decisions of a walk in order, all or a part: the deepest networks cost no more than shallow ones."""
        order, settings = self.observer.order, self.settings
        whole = self.rng.integers(settings.whole_one_in) == 0
        most = settings.whole_steps if whole else settings.most_steps
        if len(order) <= most:
            return order
        chosen = self.rng.choice(len(order), most, replace=False)
        return order[np.sort(chosen)]

    def _epsilon(self, done: int) -> float:
        settings = self.settings
        share = min(1.0, done / (settings.exploration_fraction * settings.rounds))
        span = settings.exploration_final - settings.exploration_initial
        return settings.exploration_initial + share * span

    def _learning_rate(self, done: int) -> float:
        share = max(0.0, 2.0 * done / self.settings.rounds - 1.0)
        return self.settings.learning_rate * (1.0 - 0.97 * share)

    def _play(self, epsilon: float) -> float:
        """One batch of episodes under fresh wishes; returns their mean reward."""
        count = self.settings.episodes_per_round
        wants = draw_wishes(self.surrogate, self.targets, count, self.rng)
        few = int(self.rng.integers(1, self.settings.starts + 1))
        starts = self._starts(wants, few, self.rng)
        starts[: count // self.settings.untouched_one_in] = 0
        total = np.zeros(count)
        seen: Observation | None = self.env.reset(wants, starts, self._some_decisions())
        while seen is not None:
            greedy = self.learner.best_actions(seen)
            random = np.where(seen.legal, self.rng.random(seen.legal.shape), -1.0).argmax(
                axis=1
            )
            explores = self.rng.random(count) < epsilon
            seen, rewards, _ = self.env.step(np.where(explores, random, greedy))
            total += rewards
        configs = self.env.configs.copy()
        some = slice(count - count // self.settings.polished_one_in, count)
        configs[some] = self._climbed(configs[some], wants.take(some))
        self.replay_buffer.add(starts, configs, wants)
        return float(total.mean())

    def _replayed(self, count: int) -> list[Trace]:
        """Walks again for so many gradient steps, all over the same decisions."""
        settings, decisions = self.settings, self._some_decisions()
        size = max(16, settings.batch_size // len(decisions))
        starts, configs, wants = self.replay_buffer.sample(count * size, self.rng)
        fresh = draw_wishes(self.surrogate, self.targets, len(wants), self.rng)
        wants = wants.mixed(fresh, self.rng.random(len(wants)) < settings.redrawn_wishes)
        trace = self.env.trace(starts, configs, wants, decisions)
        return [trace.of(slice(size * k, size * (k + 1))) for k in range(count)]

    def _greedy(self, wants: Preferences, starts: IntArray) -> IntArray:
        seen: Observation | None = self.env.reset(wants, starts)
        while seen is not None:
            seen, _, _ = self.env.step(self.learner.best_actions(seen))
        return self.env.configs.copy()

    def _climbed(self, configs: IntArray, wants: Preferences) -> IntArray:
        def value(totals: Array) -> Array:
            return potential(quantities(self.surrogate, totals), wants)

        observer = self.observer
        return climb(observer.costs, configs, observer.mask, value, wants.target)

    def _potential(self, configs: IntArray, wants: Preferences) -> Array:
        totals = self.observer.costs.totals(configs, wants.target)
        return self.observer.potential(totals, wants)
