"""Answers any goals in milliseconds with a trained agent: known answers, roll-outs in NumPy, a polish."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from selector.changes import SingleChanges, polish
from selector.env import CompressionEnv
from selector.errors import BadRequestError
from selector.exact_search import ExactSearch
from selector.observation import Observer
from selector.pareto import front
from selector.policy_network import PolicyWeights
from selector.pool import Pool, distinct, grow_pool
from selector.pricing import Priced
from selector.reward import gap_to_best, potential
from selector.selection import Prepared, Question
from selector.surrogate import Surrogate
from selector.swaps import swap
from selector.tables import StudyTables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from compression.cost import DeviceProfile
    from selector.accuracy import AccuracyModel
    from selector.tables import Array, IntArray
    from selector.types import Budgets, Goals, Lock, Selection

ANSWERED_BY = "dqn"
_POOL = 600
_ROLLOUTS = 4  # half of them greedy, half drawn near that
_MOST_STEPS = 4  # of a roll-out: decisions on which the best known recipes differ
_ASKED = 32  # best known recipes that are asked which decisions are contested
_TEMPERATURE = 0.03  # of potentials: samples differ where the agent is nearly indifferent
_POLISHED = 16
_POLISHED_LAST = 4  # after some turns of a first look, where there are many changes to price
_MANY_CHANGES = 200  # with fewer, halving saves no time
_POLISHED_CHANGES = 15_000  # priced in a turn: of deep networks fewer recipes are improved
_PER_KIND = 2
_SWAPPED, _SWAPPED_AGAIN = 1, 2  # in a first look, and in a second
_TURNS, _FEWER, _LONGER = 8, 4, 16  # of a polish: usual, of a deep network, of its second look
_KINDS = 5  # precisions that exact solvers look into, the most promising first
_PRESSURES = (0.03, 0.1, 0.3, 1.0, 3.0)  # of limits at first; each turn raises or lowers them
_PATH = 4  # turns of prices
_MOST_SOLVED = 200  # decisions beyond which an exact solver takes longer than anybody waits
_FORBIDDEN = -1e9
_MASKS_KEPT = 4


@dataclass(slots=True)
class _Known:
    """What is at hand for one target and set of locks."""

    observer: Observer
    changes: SingleChanges
    pool: Pool
    exact: ExactSearch


@dataclass(slots=True)
class Policy:
    """A trained agent for one study. Not torch, not thread-bound: safe to keep in the web process.

    Attributes:
        surrogate: predictions for any recipe.
        weights: the agent; its pool grows by ``with_known``.
    """

    surrogate: Surrogate
    weights: PolicyWeights
    _known: dict[tuple[str, bytes], _Known] = field(default_factory=dict)

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
        counts, pool = surrogate.space.counts, weights.pool
        if pool.shape[1:] != counts.shape or not (pool < counts).all():
            raise BadRequestError(
                "The trained selector does not belong to these tables. Run the study again."
            )
        return cls(surrogate, weights)

    def with_known(self, configs: IntArray) -> Policy:
        """The same policy that also considers these configurations ``[N, D]``."""
        pool = np.unique(np.concatenate([self.weights.pool, configs]), axis=0)
        return Policy(self.surrogate, replace(self.weights, pool=pool))

    def judging_by(
        self, surrogate: Surrogate, targets: Sequence[DeviceProfile], rounds: int = 4
    ) -> Policy:
        """The same agent under other predictions, with a pool grown a little for them; a second or two.

        Call it after every refit. More rounds were measured to find nothing that an answer's own polish
        does not find, and nobody else can work meanwhile.
        """
        pool = grow_pool(surrogate, targets, self.weights.pool, rounds, _POOL)
        return Policy(surrogate, replace(self.weights, pool=pool))

    def select(
        self,
        goals: Goals,
        budgets: Budgets,
        target: DeviceProfile,
        locks: Mapping[str, Lock] | None = None,
        *,
        thorough: bool = False,
    ) -> Selection:
        """The best recipe that the pool, roll-outs and a polish find; a feasible one if they find any.

        Deterministic: the same question gets the same answer. When nothing meets all budgets, the
        recipe with the least total relative violation. The target need not be one of those trained on.
        A ``thorough`` answer also asks exact solvers, or of a deep network goes on improving; it takes several
        times as long.

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
        first = question.best_of(found)
        if not thorough:
            return question.answer(first.configs[0], ANSWERED_BY)
        best = question.best_of(_joined(found, self._reconsidered(question, found)))
        reached, most = (
            float(question.totals_utility(each.totals)[0]) for each in (first, best)
        )
        answer = question.answer(best.configs[0], ANSWERED_BY)
        return replace(answer, first_look_gap=gap_to_best(reached, most))

    def polished(self, question: Prepared) -> Priced:
        """The best known configurations and roll-outs from them, improved by one change and by two at once."""
        known = self._at_hand(question)
        configs, rolled = known.pool.configs, self.rollouts(question)
        worth = known.pool.worth(question.wants)[0]
        start = np.concatenate([configs[_best_of_each_kind(configs, worth)], rolled])
        return self._improved(question, start)

    def _reconsidered(self, question: Prepared, known: Priced) -> Priced:
        """Recipes that are cheapest at prices around those of the best found, improved likewise."""
        found = known.configs
        if self.surrogate.space.n_decisions > _MOST_SOLVED:
            return self._improved(question, found, _LONGER, thorough=True)
        kinds = _best_of_each_precision(question, found)[:_KINDS]
        starts = np.repeat(kinds, len(_PRESSURES), axis=0)
        pressure = np.tile(_PRESSURES, len(kinds))[:, None] * np.ones(4)
        wants = question.wants.repeated(len(starts))
        met = self._at_hand(question).exact.recipes(wants, pressure, starts, _PATH)
        met = np.concatenate([kinds[:1], question.allowed(met)])
        return self._improved(question, met, thorough=True)

    def _improved(
        self,
        question: Prepared,
        configs: IntArray,
        turns: int | None = None,
        *,
        thorough: bool = False,
    ) -> Priced:
        """The best few of them, improved by one change and by two at once."""
        changes = self._at_hand(question).changes
        count = max(2, min(_POLISHED, _POLISHED_CHANGES // len(changes.decisions)))
        start = _best_few(question, question.costs.priced(configs), count)
        turns = turns or (_TURNS if count == _POLISHED else _FEWER)
        halved = not thorough and len(changes.decisions) > _MANY_CHANGES
        fewest = _POLISHED_LAST if halved else None
        found = polish(changes, start, question.mask, question.totals_utility, turns, fewest)
        some = _best_few(question, found, _SWAPPED_AGAIN if thorough else _SWAPPED)
        rows = np.arange(len(some.configs))[:, None]
        return _joined(found, *(swap(changes, question, some.take(row)) for row in rows))

    def rollouts(self, question: Prepared) -> IntArray:
        """``[R, D]`` where the agent leads from good recipes: greedily, and drawn near that."""
        known = self._at_hand(question)
        worth = known.pool.worth(question.wants, potential)[0]
        order = np.argsort(-worth, kind="stable")
        starts = known.pool.configs[np.resize(order[: _ROLLOUTS // 2], _ROLLOUTS)]
        decisions = _contested(known.observer.order[:-1], known.pool.configs[order[:_ASKED]])
        wants = question.wants.repeated(len(starts))
        rng = np.random.default_rng(0)
        temperature = np.where(np.arange(len(starts)) < _ROLLOUTS // 2, 1e-9, _TEMPERATURE)
        env = CompressionEnv(known.observer)
        seen = env.reset(wants, starts, decisions) if len(decisions) else None
        while seen is not None:
            values = np.where(seen.legal, self.weights.values(seen), _FORBIDDEN)
            noise = rng.gumbel(size=values.shape) * temperature[:, None]
            seen, _, _ = env.step((values + noise * seen.legal).argmax(axis=1))
        return env.configs if len(decisions) else starts

    def candidates(self, target: DeviceProfile, count: int = 300) -> IntArray:
        """``[<= count, D]`` distinct configurations to show: the front of the pool first, then the rest."""
        pool = self.weights.pool
        metrics = self.surrogate.evaluate(pool, target)
        costs = np.stack(metrics[:4], axis=1)
        on_front = front(costs)
        order = np.argsort(~on_front, kind="stable")
        return pool[order][:count]

    def _at_hand(self, question: Prepared) -> _Known:
        """Looked up once for a target and locks; of the latest locks alone, as people try many."""
        target, mask = question.question.target, question.mask
        key, free = (target.name, mask.tobytes()), (target.name, b"")
        if free in self._known and self._known[free].observer.costs.targets != (target,):
            # A user's device that was measured again keeps its name.
            for each in [k for k in self._known if k[0] == target.name]:
                del self._known[each]
        if key not in self._known:
            if free not in self._known:
                observer = Observer(self.surrogate, (target,))
                pool = Pool(self.surrogate, (target,), self.weights.pool)
                exact = ExactSearch(self.surrogate, observer.costs, observer.mask)
                self._known[free] = _Known(observer, SingleChanges(observer.costs), pool, exact)
            base = self._known[free]
            allowed = _allowed(question, self.weights.pool)
            pool = base.pool if allowed is None else Pool(self.surrogate, (target,), allowed)
            older = [k for k in self._known if k[0] == target.name and k != free]
            for each in older[:-_MASKS_KEPT]:
                del self._known[each]
            exact = ExactSearch(self.surrogate, base.observer.costs, mask)
            self._known[key] = _Known(base.observer.masked(mask), base.changes, pool, exact)
        return self._known[key]


def _allowed(question: Prepared, pool: IntArray) -> IntArray | None:
    """The pool as the locks allow it: what they forbid becomes the first choice left; ``None`` without locks."""
    space, mask = question.costs.space, question.mask
    if np.array_equal(mask, space.mask):
        return None
    kept = mask[np.arange(space.n_decisions), pool]
    bent = space.canonical(np.where(kept, pool, mask.argmax(axis=1)))
    bent = distinct(np.concatenate([question.start(), bent]))
    return bent[space.is_legal(bent, mask)]


def _contested(order: IntArray, configs: IntArray) -> IntArray:
    """The decisions on which good recipes differ most, in order: what all agree upon is left alone."""
    same = (configs == configs[0]).mean(axis=0)[order]
    most = np.argsort(same, kind="stable")[:_MOST_STEPS]
    chosen: IntArray = np.sort(most[same[most] < 1.0])
    return np.asarray(order[chosen])


def _best_few(question: Prepared, some: Priced, count: int) -> Priced:
    """The best few that differ, best first; for a handful of rows faster than sorting them by value."""
    order = np.argsort(-question.totals_utility(some.totals), kind="stable")
    found: dict[bytes, int] = {}
    for row in order.tolist():
        found.setdefault(some.configs[row].tobytes(), row)
    return some.take(np.array(list(found.values())[:count]))


def _joined(*some: Priced) -> Priced:
    return Priced(*(np.concatenate(parts) for parts in zip(*some, strict=True)))


def _best_of_each_precision(question: Prepared, configs: IntArray) -> IntArray:
    """One of each precision that the locks allow, the best first; where there is none, the best of all stored so."""
    precisions = np.flatnonzero(question.mask[-1])
    best = np.repeat(question.best(configs)[None], len(precisions), axis=0)
    best[:, -1] = precisions
    every = np.concatenate([configs, best])
    every = every[np.argsort(-question.utility(every), kind="stable")]
    _, first = np.unique(every[:, -1], return_index=True)
    return every[np.sort(first)]


def _best_of_each_kind(configs: IntArray, worth: Array) -> IntArray:
    """Rows of the best, and of the best few of each precision: single changes rarely cross over."""
    rows = np.argsort(-worth, kind="stable")
    kinds = configs[rows, -1]
    few = [rows[kinds == kind][:_PER_KIND] for kind in np.unique(kinds)]
    return np.concatenate([rows[:_POLISHED], *few])
