"""The two phases of Classic AdaDeep at play: episodes that end in a recipe, and what they were worth."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.types import LayerKind
from selector.classic_actions import LABELS, action_labels, is_legal
from selector.classic_agents import LevelAgent, TechniqueAgent
from selector.reward import INFEASIBLE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from selector.classic_actions import Choice, PaperLayer
    from selector.classic_figures import Figures
    from selector.classic_reward import Demand
    from selector.classic_settings import ClassicSettings
    from selector.selection import Prepared
    from selector.tables import Array, IntArray


class Judge:
    """Scores finished recipes and remembers the best: first by limits broken, then by reward.

    Attributes:
        prepared: the question.
        figures: what recipes are, in the demand's view.
        demand: what the reward is counted by; its multipliers may rise while agents learn.
        best: ``[D]`` the best recipe so far.
        best_reward: its reward.
        scored: how many were scored.
    """

    def __init__(self, prepared: Prepared, figures: Figures, demand: Demand) -> None:
        self.prepared, self.demand = prepared, demand
        self.figures, self._asked = figures, demand
        self.best: IntArray = prepared.start()[0]
        self._best_rank: tuple[float, float] = (np.inf, np.inf)
        self.scored = 0
        self.terms(self.best[None])

    @property
    def best_reward(self) -> float:
        """The reward of the best recipe so far."""
        return -self._best_rank[1]

    def terms(self, configs: IntArray) -> Array:
        """``[B, 4]`` the terms of the reward of recipes ``[B, D]``."""
        figures = self.figures.of(configs)
        self.scored += len(configs)
        rewards = self._asked.reward(figures)
        broken = np.maximum(INFEASIBLE - self.prepared.utility(configs), 0.0)
        first = int(np.lexsort((-rewards, broken))[0])
        rank = float(broken[first]), -float(rewards[first])
        if rank < self._best_rank:
            self.best, self._best_rank = configs[first].copy(), rank
        return self.demand.terms(figures)

    def tighten(self, config: IntArray) -> None:
        """Raise the multipliers of the limits that a recipe ``[D]`` breaks."""
        self.demand = self.demand.tightened(self.figures.of(config[None])[0])


class TechniquePhase:
    """An episode asks the two agents about each layer in turn; techniques come at default levels."""

    def __init__(
        self,
        judge: Judge,
        layers: Sequence[PaperLayer],
        settings: ClassicSettings,
        seed: int,
    ) -> None:
        self._judge, self._settings = judge, settings
        self._rng = np.random.default_rng(seed)
        self._epsilon = settings.epsilon_initial
        kinds = judge.prepared.costs.space.tables.kinds
        self._teams = [
            _Team(judge, of_kind, settings, seed + n)
            for n, kind in enumerate((LayerKind.CONV, LayerKind.DENSE))
            if (of_kind := [layer for layer in layers if kinds[layer.row] is kind])
        ]
        self._turns = sorted(
            (layer.row, n, at)
            for n, team in enumerate(self._teams)
            for at, layer in enumerate(team.layers)
        )

    def round(self, count: int) -> dict[str, float]:
        """Play some episodes and learn from all that are remembered; the figures of the round."""
        settings = self._settings
        epsilon = self._epsilon
        self._epsilon = max(settings.epsilon_final, epsilon * settings.epsilon_decay)
        terms = self._judge.terms(self._play(count, epsilon))
        for team in self._teams:
            team.remember(terms)
        weights = self._judge.demand.weights
        losses = [
            team.agent.learn(weights, self._rng)
            for _ in range(settings.updates_per_round)
            for team in self._teams
        ]
        for team in self._teams:
            team.agent.copy_target()
        if settings.dual_step:
            self._judge.tighten(self.greedy())
        reward = float((terms @ weights).mean())
        return {"reward": reward, "loss": float(np.mean(losses)), "epsilon": epsilon}

    def greedy(self) -> IntArray:
        """``[D]`` the recipe of the agents as they are."""
        return np.asarray(self._play(1, epsilon=0.0)[0])

    def _play(self, count: int, epsilon: float) -> IntArray:
        """``[count, D]`` the recipes of as many episodes side by side."""
        configs = np.repeat(self._judge.prepared.start(), count, axis=0)
        for team in self._teams:
            team.begin(count)
        for _, n, at in self._turns:
            self._teams[n].act(configs, at, epsilon, self._rng)
        return self._judge.prepared.costs.space.canonical(configs)


class _Team:
    """The layers of one kind, the agent that is asked about them, and the episodes being played."""

    def __init__(
        self,
        judge: Judge,
        layers: Sequence[PaperLayer],
        settings: ClassicSettings,
        seed: int,
    ) -> None:
        self.layers = layers
        self._prepared = judge.prepared
        self._labels = action_labels(layers)
        states = _with_position(np.stack([layer.state for layer in layers]), settings)
        self.agent = TechniqueAgent(states, len(self._labels), settings, seed)
        self.begin(0)

    def begin(self, count: int) -> None:
        """Start episodes."""
        self._values = self.agent.values()
        shape = (count, len(self.layers), len(self._labels))
        self._legal = np.zeros(shape, dtype=np.bool_)
        self._actions: IntArray = np.zeros(shape[:2], dtype=np.int64)

    def act(self, configs: IntArray, at: int, epsilon: float, rng: np.random.Generator) -> None:
        """Decide one layer of every episode, in place in ``configs [B, D]``."""
        layer, space = self.layers[at], self._prepared.costs.space
        columns = [self._labels.index(labels) for labels in layer.options]
        legal = self._legal[:, at]
        legal[:, columns] = is_legal(space, self._prepared.mask, configs, layer)
        random = np.where(legal, rng.random(legal.shape), -1.0).argmax(axis=1)
        greedy = np.where(legal, self._values[at], -np.inf).argmax(axis=1)
        actions = np.where(rng.random(len(configs)) < epsilon, random, greedy)
        self._actions[:, at] = actions
        for column, option in zip(columns, layer.options.values(), strict=True):
            for choice in option:
                configs[actions == column, choice.decision] = choice.levels[choice.default]

    def remember(self, terms: Array) -> None:
        """Keep the episodes that were played, with what came of them."""
        self.agent.memory.add(actions=self._actions, legal=self._legal, terms=terms)


class LevelPhase:
    """An episode sets the levels of all techniques that a recipe uses; which ones they are stays."""

    def __init__(
        self,
        judge: Judge,
        layers: Sequence[PaperLayer],
        recipe: IntArray,
        settings: ClassicSettings,
        seed: int,
    ) -> None:
        self._judge, self._recipe, self._settings = judge, recipe.copy(), settings
        self._episodes = 0
        self._rng = np.random.default_rng(seed)
        tunable = [(layer, choice) for layer in layers for choice in tuned(layer, self._recipe)]
        self._choices = [choice for _, choice in tunable]
        if tunable:
            states = np.stack([_level_state(layer, choice) for layer, choice in tunable])
            self._agent = LevelAgent(_with_position(states, settings), settings, seed)

    @property
    def is_idle(self) -> bool:
        """Whether nothing in the recipe has levels."""
        return not self._choices

    def round(self, count: int) -> dict[str, float]:
        """Play some episodes and learn from all that are remembered; the figures of the round."""
        settings = self._settings
        share = self._episodes / settings.tuning_episodes
        fall = settings.noise_final - settings.noise_initial
        noise = settings.noise_initial + share * fall
        self._episodes += count
        wanted = self._agent.levels() + noise * self._rng.standard_normal(
            (count, len(self._choices))
        )
        levels = np.clip(wanted, 0.0, 1.0)
        terms = self._judge.terms(self._built(levels))
        self._agent.memory.add(levels=levels, terms=terms)
        weights = self._judge.demand.weights
        steps = range(settings.updates_per_round)
        losses = [self._agent.learn(weights, self._rng) for _ in steps]
        reward = float((terms @ weights).mean())
        return {"reward": reward, "loss": float(np.mean(losses)), "noise": noise}

    def greedy(self) -> IntArray:
        """``[D]`` the recipe with the levels that the actor sets now."""
        return np.asarray(self._built(self._agent.levels()[None])[0])

    def _built(self, levels: Array) -> IntArray:
        """``[B, D]`` the recipe at levels ``[B, K]``, each the nearest there is."""
        configs = np.repeat(self._recipe[None], len(levels), axis=0)
        for choice, wanted in zip(self._choices, levels.T, strict=True):
            places = np.rint(wanted * (len(choice.levels) - 1)).astype(np.int64)
            configs[:, choice.decision] = np.array(choice.levels)[places]
        return configs


def tuned(layer: PaperLayer, config: IntArray) -> list[Choice]:
    """The choices that a recipe ``[D]`` makes on a layer and that have levels."""
    return [
        choice
        for option in layer.options.values()
        for choice in option
        if len(option) == 1
        and len(choice.levels) > 1
        and config[choice.decision] in choice.levels
    ]


def _level_state(layer: PaperLayer, choice: Choice) -> Array:
    """``[F]`` the layer, the technique as one of ten, and how many levels it has."""
    technique = np.arange(len(LABELS)) == LABELS.index(choice.label)
    return np.concatenate([layer.state, technique, [len(choice.levels) / 10.0]])


def _with_position(states: Array, settings: ClassicSettings) -> Array:
    """States ``[L, F]`` that also say which of the layers it is, if they are to."""
    if not settings.position_in_state:
        return states
    return np.concatenate([states, np.eye(len(states))], axis=1)
