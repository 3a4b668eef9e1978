"""Answers any goals in milliseconds with a trained agent: roll-outs in NumPy, then a polish."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from selector.errors import BadRequestError
from selector.observation import Observer
from selector.pareto import front
from selector.policy_network import PolicyWeights
from selector.pool import grow_pool
from selector.selection import Prepared, Question
from selector.surrogate import Surrogate
from selector.tables import IntArray, StudyTables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from compression.cost import DeviceProfile
    from selector.accuracy import AccuracyModel
    from selector.tables import BoolArray
    from selector.types import Budgets, Goals, Lock, Selection

ANSWERED_BY = "dqn"
_SAMPLES = 64
_POOL = 600
_TEMPERATURE = 0.03  # of scores: samples differ where the agent is nearly indifferent
_SOFTENED, _STRANGERS = 8, 24
_LEAST_TRUST = 0.0  # of the learned part: where it errs, the exact gains alone do well
_POLISHED_PER_KIND = 2
_SWEEPS = 3  # the pool is polished already: of 60 answers none was better after eight
_FORBIDDEN = -1e9


@dataclass(slots=True)
class Policy:
    """A trained agent for one study. Not torch, not thread-bound: safe to keep in the web process.

    Attributes:
        surrogate: predictions for any recipe.
        weights: the agent; its pool grows by ``with_known``.
    """

    surrogate: Surrogate
    weights: PolicyWeights
    _observers: dict[str, Observer] = field(default_factory=dict)

    @classmethod
    def load(
        cls, policy: Path, tables: Path, calibration: AccuracyModel | None = None
    ) -> Policy:
        """Read an agent and its study's tables.

        Raises:
            BadRequestError: when the two do not belong together.
        """
        surrogate = Surrogate(StudyTables.load(tables), calibration)
        return cls.of(surrogate, PolicyWeights.load(policy))

    @classmethod
    def of(cls, surrogate: Surrogate, weights: PolicyWeights) -> Policy:
        """The policy of an agent just trained.

        Raises:
            BadRequestError: when the agent was trained on other tables.
        """
        space = surrogate.space
        if weights.pool.shape[1:] != (space.n_decisions,) or (
            len(weights.arrays["advantage.bias"]) != space.mask.shape[1]
        ):
            raise BadRequestError(
                "The trained selector does not belong to these tables. Run the study again."
            )
        return cls(surrogate, weights)

    def with_known(self, configs: IntArray) -> Policy:
        """The same policy that also considers these configurations ``[N, D]``."""
        pool = np.unique(np.concatenate([self.weights.pool, configs]), axis=0)
        return Policy(self.surrogate, replace(self.weights, pool=pool))

    def judging_by(
        self, surrogate: Surrogate, targets: Sequence[DeviceProfile], rounds: int = 16
    ) -> Policy:
        """The same agent under other predictions, with a pool grown for them; a few seconds.

        Call it after every refit: what was good under the old predictions may be far from the best
        under the new ones.
        """
        pool = grow_pool(surrogate, targets, self.weights.pool, rounds, _POOL)
        return Policy(surrogate, replace(self.weights, pool=pool))

    def select(
        self,
        goals: Goals,
        budgets: Budgets,
        target: DeviceProfile,
        locks: Mapping[str, Lock] | None = None,
    ) -> Selection:
        """The best recipe that roll-outs, the pool and a polish find; a feasible one if they find any.

        Deterministic: the same question gets the same answer. When nothing meets all budgets, the
        recipe with the least total relative violation.

        Raises:
            BadRequestError: when the locks name what is not there or leave nothing.
        """
        question = Question(
            surrogate=self.surrogate,
            target=target,
            goals=goals,
            budgets=budgets,
            locks=locks or {},
        ).prepared()
        found = self.polished(question)
        best = question.best(found)
        return question.answer(best, ANSWERED_BY, float(question.utility(found).max()))

    def polished(self, question: Prepared) -> IntArray:
        """The best roll-outs and known configurations, each improved by single changes."""
        rolled = self.rollouts(question, _SAMPLES)
        known = question.allowed(self.weights.pool)
        start = np.concatenate([rolled, known, question.start()])
        found = question.polished(start[_best_of_each_kind(question, start)], _SWEEPS)
        if not question.is_limited:
            return found
        soft = question.softened(start, _SOFTENED, _STRANGERS)
        return np.concatenate([found, question.polished(soft)])

    def rollouts(self, question: Prepared, samples: int) -> IntArray:
        """``[1 + samples, D]`` the agent's greedy recipe, then recipes drawn near it."""
        observer = self._observer(question.question.target, question.mask)
        rng = np.random.default_rng(0)
        wants = question.wants.repeated(1 + samples)
        temperature = np.full((1 + samples, 1), _TEMPERATURE)
        temperature[0] = 1e-9
        trust = np.linspace(1.0, _LEAST_TRUST, 1 + samples)[:, None]
        configs = self.surrogate.space.untouched(1 + samples)
        for step, decision in enumerate(observer.order):
            # Few recipes differ early on: each distinct beginning is looked at once.
            distinct, of = _distinct(configs)
            seen = observer.observe(configs[distinct], step, wants.take(distinct))
            gain = np.where(seen.legal, seen.gain, _FORBIDDEN)
            values = gain[of] + trust * self.weights.values(seen.vector)[of]
            noise = rng.gumbel(size=values.shape) * temperature
            configs[:, decision] = (values + noise).argmax(axis=1)
        return configs

    def candidates(self, target: DeviceProfile, count: int = 300) -> IntArray:
        """``[<= count, D]`` distinct configurations to show: the front of the pool first, then the rest."""
        pool = self.weights.pool
        metrics = self.surrogate.evaluate(pool, target)
        costs = np.stack(metrics[:4], axis=1)
        on_front = front(costs)
        order = np.argsort(~on_front, kind="stable")
        return pool[order][:count]

    def _observer(self, target: DeviceProfile, mask: BoolArray) -> Observer:
        known = self._observers.get(target.name)
        if known is None or known.surrogate is not self.surrogate:
            known = Observer(self.surrogate, (target,), self.weights.anchors)
            self._observers[target.name] = known
        return known.masked(mask)


def _distinct(configs: IntArray) -> tuple[IntArray, IntArray]:
    """Rows that differ, and for each configuration which of those it equals."""
    keys = configs @ (np.int64(1_000_003) ** np.arange(configs.shape[1]))
    _, rows, of = np.unique(keys, return_index=True, return_inverse=True)
    return rows, of


def _best_of_each_kind(question: Prepared, configs: IntArray) -> IntArray:
    """Rows of the best few of each precision, with and without removals: single changes rarely cross over."""
    kinds = 2 * configs[:, -1] + question.costs.space.removals.gone(configs).any(axis=1)
    rows, _ = _distinct(configs)
    rows = rows[np.argsort(-question.utility(configs[rows]), kind="stable")]
    kept = [rows[kinds[rows] == kind][:_POLISHED_PER_KIND] for kind in np.unique(kinds)]
    return np.concatenate(kept)
