"""The referees: selectors that do not learn, behind the same interface as the policy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from selector.errors import BadRequestError
from selector.local_search import neighbours
from selector.selection import Prepared, Question

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import IntArray
    from selector.types import Budgets, Goals, Lock, Selection

MOST_EXHAUSTIVE = 5_000_000
"""Recipes beyond which trying them all takes too long to wait for."""


class Baseline(ABC):
    """One way to answer without training; the seed fixes what is random."""

    name: ClassVar[str]

    def __init__(self, surrogate: Surrogate, seed: int = 0) -> None:
        self.surrogate = surrogate
        self.seed = seed

    def select(
        self,
        goals: Goals,
        budgets: Budgets,
        target: DeviceProfile,
        locks: Mapping[str, Lock] | None = None,
    ) -> Selection:
        """The best recipe this method finds; see ``Policy.select``.

        Raises:
            BadRequestError: when the locks cannot be kept, or the method cannot search this space.
        """
        question = Question(
            surrogate=self.surrogate,
            target=target,
            goals=goals,
            budgets=budgets,
            locks=locks or {},
        ).prepared()
        return question.answer(self.search(question), self.name)

    def search(self, question: Prepared) -> IntArray:
        """The best configuration ``[D]`` that this method finds."""
        return self._search(question)

    @abstractmethod
    def _search(self, question: Prepared) -> IntArray:
        """What ``search`` finds."""


class Random(Baseline):
    """The best of a thousand recipes drawn evenly."""

    name = "random"
    draws = 1000

    def _search(self, question: Prepared) -> IntArray:
        rng = np.random.default_rng(self.seed)
        drawn = question.costs.space.sample(question.mask, self.draws, rng)
        return question.best(np.concatenate([question.start(), drawn]))


class Greedy(Baseline):
    """The single change that helps most, again and again, until none does."""

    name = "greedy"

    def _search(self, question: Prepared) -> IntArray:
        config, space = question.start(), question.costs.space
        while True:
            changed = np.concatenate([config, neighbours(space, config[0], question.mask)])
            best = question.best(changed)[None]
            if question.utility(best)[0] <= question.utility(config)[0] + 1e-12:
                return np.asarray(config[0])
            config = best


class CoordinateAscent(Baseline):
    """Every decision in turn set to its best action, from several random starts."""

    name = "coordinate_ascent"
    restarts = 20

    def _search(self, question: Prepared) -> IntArray:
        rng = np.random.default_rng(self.seed)
        drawn = question.costs.space.sample(question.mask, self.restarts - 1, rng)
        return question.best(question.polished(np.concatenate([question.start(), drawn])))


class Genetic(Baseline):
    """Tournaments, uniform crossover and mutation: 64 recipes over 30 generations."""

    name = "genetic"
    population = 64
    generations = 30

    def _search(self, question: Prepared) -> IntArray:
        rng = np.random.default_rng(self.seed)
        space, half = question.costs.space, self.population // 2
        alive = space.sample(question.mask, self.population, rng)
        alive[0] = question.start()[0]
        for _ in range(self.generations):
            parents = alive[np.argsort(-question.utility(alive), kind="stable")[:half]]
            pairs = parents[rng.integers(0, half, (2, self.population - half))]
            children = np.where(rng.random(pairs[0].shape) < 0.5, pairs[0], pairs[1])
            fresh = space.sample(question.mask, len(children), rng)
            mutates = rng.random(children.shape) < 1.0 / children.shape[1]
            children = space.canonical(np.where(mutates, fresh, children))
            legal = space.is_legal(children, question.mask)
            alive = np.concatenate([parents, np.where(legal[:, None], children, fresh)])
        return question.best(alive)


def check_enumerable(question: Prepared) -> None:
    """Refuse what ``Exhaustive`` cannot search.

    Raises:
        BadRequestError: when the locks leave more recipes than anybody waits for.
    """
    count = question.costs.space.count(question.mask)
    if count > MOST_EXHAUSTIVE:
        raise BadRequestError(
            f"This network allows {count:,} recipes, too many to try them all "
            f"(limit {MOST_EXHAUSTIVE:,}). Choose the selector “dqn”, or lock some layers."
        )


class Exhaustive(Baseline):
    """Every recipe there is; the yardstick for the others on small networks."""

    name = "exhaustive"

    def _search(self, question: Prepared) -> IntArray:
        check_enumerable(question)
        best = question.start()
        for configs in question.costs.space.enumerate(question.mask):
            best = question.best(np.concatenate([best, configs]))[None]
        return np.asarray(best[0])


BASELINES: Mapping[str, type[Baseline]] = {
    kind.name: kind for kind in (Random, Greedy, CoordinateAscent, Genetic, Exhaustive)
}
"""By the name that a request uses."""
