"""Optuna over the product's own recipes: as many candidates built as the product builds, the best fine-tuned in full.

Judged by the product's utility of built recipes on the search examples, for two demands.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import optuna

from benchmarks.demands import demands
from benchmarks.peers.arena import Offer
from benchmarks.task import get
from compression.latency import paired_latency
from compression.types import Stage
from selector.choosing import question_of
from selector.learning import utilities
from selector.request import parse_budgets, parse_goals
from selector.study import load_surrogate
from selector.surrogate import Validated

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmarks.peers.arena import Arena
    from selector.trial import Trial

TOOL = "Optuna"
DEMANDS = ("even", "everything")
TIMING_ROUNDS = 20


def offers(arena: Arena) -> dict[str, Offer]:
    """One study of Optuna a demand."""
    effort = arena.job.effort
    text = f"TPE, {effort.candidates} candidates x {effort.candidate_steps} steps, best {effort.recoveries} {arena.budget}"
    return {
        f"optuna-{name}": Offer(f"{name}: {text}", partial(_best, arena, name))
        for name in DEMANDS
    }


def _best(arena: Arena, demand: str) -> bytes:
    search = _Search(arena, demand)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    sampler = optuna.samplers.TPESampler(seed=arena.seed)
    place = arena.job.folder.path.with_name(f"optuna-{demand}-{arena.seed}.db")
    study = optuna.create_study(
        study_name=demand,
        direction="maximize",
        sampler=sampler,
        storage=f"sqlite:///{place}",
        load_if_exists=True,
    )
    done = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
    study.optimize(search.objective, n_trials=arena.job.effort.candidates - len(done))
    return search.finished(study)


class _Search:
    """What was built so far, and how it answers the demand."""

    def __init__(self, arena: Arena, demand: str) -> None:
        self._arena = arena
        self._surrogate = load_surrogate(arena.job.folder)
        wanted = demands(get(arena.job.folder.path.parent.name))[demand]
        baseline = arena.job.folder.read_json(Stage.INSPECT, "baseline.json")
        budgets = wanted.budgets(float(baseline["host_latency_ms"]["p50"]), len(arena.model))
        request = replace(
            arena.job.request,
            goals=parse_goals(wanted.goals),
            budgets=parse_budgets(budgets),
        )
        arena.job.request = request
        self._question = question_of(arena.job, self._surrogate).prepared()

    def objective(self, trial: optuna.Trial) -> float:
        """Build what the sampler says, briefly fine-tuned."""
        for d, count in enumerate(self._surrogate.space.counts):
            trial.suggest_int(f"{d}", 0, int(count) - 1)
        utility, _ = self._outcome(trial.params, self._arena.job.effort.candidate_steps)
        return utility

    def finished(self, study: optuna.Study) -> bytes:
        """The best few fine-tuned in full; the most useful of them."""
        effort = self._arena.job.effort
        known = study.get_trials(states=(optuna.trial.TrialState.COMPLETE,))
        ranked = sorted(known, key=lambda each: each.values, reverse=True)
        chosen = [trial.params for trial in ranked[: effort.recoveries]]
        found = [self._outcome(params, effort.recovery_steps) for params in chosen]
        return max(found, key=lambda each: each[0])[1].exported

    def _outcome(self, params: Mapping[str, int], steps: int) -> tuple[float, Trial]:
        arena, space = self._arena, self._surrogate.space
        drawn = [params[f"{d}"] for d in range(space.n_decisions)]
        config = space.canonical(np.array([drawn], dtype=np.int64))[0]
        recipe = space.decode(config)
        trial = arena.trials.run(recipe, steps, lambda *_: True)
        files = {"base": arena.model, "result": trial.exported}
        timing = paired_latency(files, arena.calibration[:1], TIMING_ROUNDS)["result"]
        built = Validated(
            config=tuple(config.tolist()),
            drop_points=trial.drop_points,
            kl=trial.kl,
            size_bytes=len(trial.exported),
            host_ratio=timing.ratio_ci[0],
            recovered=True,
        )
        return float(utilities(self._question, [built])[0]), trial
