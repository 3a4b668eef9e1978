"""NSGA-II (Deb et al. 2002), pymoo's: a front of loss, time, energy and size, of which the best is taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pymoo.algorithms.moo import nsga2
from pymoo.core.mutation import Mutation
from pymoo.core.problem import Problem
from pymoo.operators.crossover.ux import UniformCrossover
from pymoo.optimize import minimize

from selector import reward
from selector.baselines import Baseline

if TYPE_CHECKING:
    from selector.selection import Prepared
    from selector.tables import IntArray


class NSGA2(Baseline):
    """A population of 100 recipes over 60 generations; limits are constraints, as in the paper."""

    name = "nsga2"
    population = 100
    generations = 60

    def _search(self, question: Prepared) -> IntArray:
        space = question.costs.space
        drawn = space.sample(question.mask, self.population, np.random.default_rng(self.seed))
        drawn[0] = question.start()[0]
        algorithm = nsga2.NSGA2(
            pop_size=self.population,
            sampling=drawn,
            crossover=UniformCrossover(),
            mutation=_Redraw(),
            eliminate_duplicates=True,
        )
        found = minimize(
            _Recipes(question), algorithm, ("n_gen", self.generations), seed=self.seed
        )
        configs = _legal(question, found.pop.get("X"))
        return question.best(np.concatenate([question.start(), configs]))


class _Recipes(Problem):  # type: ignore[misc]  # pymoo carries no types
    """Quantities as objectives, exceeded limits as constraints."""

    def __init__(self, question: Prepared) -> None:
        space = question.costs.space
        super().__init__(
            n_var=space.n_decisions,
            n_obj=4,
            n_ieq_constr=4,
            xl=np.zeros(space.n_decisions),
            xu=space.counts - 1,
            vtype=int,
        )
        self.question = question

    def _evaluate(self, x: IntArray, out: dict[str, Any], *_args: Any, **_kwargs: Any) -> None:
        question = self.question
        totals = question.costs.totals(_legal(question, x))
        values = reward.quantities(question.question.surrogate, totals)
        out["F"] = values
        out["G"] = reward.violations(values[None], question.wants)[0]


class _Redraw(Mutation):  # type: ignore[misc]  # pymoo carries no types
    """One decision in a recipe, on average, drawn anew from what the locks leave."""

    def _do(
        self,
        problem: _Recipes,
        x: IntArray,
        *_args: Any,
        random_state: Any = None,
        **_kwargs: Any,
    ) -> IntArray:
        space, mask = problem.question.costs.space, problem.question.mask
        fresh = space.sample(mask, len(x), random_state)
        changes = random_state.random(x.shape) < 1.0 / x.shape[1]
        return np.asarray(np.where(changes, fresh, x))


def _legal(question: Prepared, configs: IntArray) -> IntArray:
    """The recipes that configurations stand for; the least change where crossing broke a lock."""
    space = question.costs.space
    found = space.canonical(np.asarray(configs, dtype=np.int64))
    legal = space.is_legal(found, question.mask)
    return np.where(legal[:, None], found, question.start())
