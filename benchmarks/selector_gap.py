"""How far each selector stays behind trying every recipe, over random goals and budgets.

``python -m benchmarks.selector_gap [TABLES.npz | STUDY_FOLDER]``; without a study, on synthetic tables
of LeNet-5. The trained agent of the study is used when it lies beside the tables, else one is trained.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

from compression.cost import load_device
from selector import reward
from selector.baselines import BASELINES, MOST_EXHAUSTIVE
from selector.job import TRAINING_TARGETS
from selector.policy import Policy
from selector.reward import BUDGET_NAMES, Preferences
from selector.surrogate import Surrogate
from selector.tables import Array, StudyTables
from selector.types import Budgets, Goals, Selection
from selector.wishes import draw_wishes

METHODS = ("greedy", "random", "coordinate_ascent", "genetic")
TARGETS = tuple(load_device(name) for name in TRAINING_TARGETS)
Select = Callable[[Goals, Budgets, int], Selection]


def main() -> None:
    options = _options()
    surrogate = Surrogate(_tables(options.study))
    count = surrogate.space.count(surrogate.space.mask)
    print(f"{count:,} recipes of {surrogate.space.n_decisions} decisions")
    started = time.process_time()
    policy = _policy(options.study, surrogate, options.seed, options.rounds)
    print(f"training: {time.process_time() - started:.1f} CPU-s")
    wants = draw_wishes(
        surrogate, TARGETS, options.goals, np.random.default_rng(options.seed + 77)
    )
    best, reference = _best(surrogate, wants, policy, count)
    print(f"against {reference}; {int((best > -1).sum())} of {len(best)} goals can be met\n")
    print(
        f"{'selector':<20}{'mean gap':>10}{'p95 gap':>10}{'worst':>10}{'score':>10}{'missed':>8}{'ms':>9}{'p95 ms':>9}"
    )
    for name, select in _selectors(surrogate, policy, options.seed).items():
        _line(name, select, wants, best)


def _selectors(surrogate: Surrogate, policy: Policy, seed: int) -> dict[str, Select]:
    def of(name: str) -> Select:
        baseline = BASELINES[name](surrogate, seed)
        return lambda goals, budgets, target: baseline.select(goals, budgets, TARGETS[target])

    def dqn(goals: Goals, budgets: Budgets, target: int) -> Selection:
        return policy.select(goals, budgets, TARGETS[target])

    return {"dqn": dqn} | {name: of(name) for name in METHODS}


def _line(name: str, select: Select, wants: Preferences, best: Array) -> None:
    gaps, missing, seconds, missed = [], [], [], 0
    for row in range(len(wants)):
        goals, budgets = _question(wants, row)
        started = time.perf_counter()
        answer = select(goals, budgets, int(wants.target[row]))
        seconds.append(time.perf_counter() - started)
        if best[row] <= -1:
            continue
        if answer.violated:
            missed += 1
        gap = reward.relative_gap(np.array(answer.score), np.array(best[row]))
        gaps.append(1.0 if answer.violated else float(gap))
        missing.append(1.0 if answer.violated else float(best[row]) - answer.score)
    ms = 1e3 * np.array(seconds)
    print(
        f"{name:<20}{np.mean(gaps):>10.3%}{np.quantile(gaps, 0.95):>10.3%}{np.max(gaps):>10.2%}"
        f"{np.mean(missing):>10.5f}"
        f"{missed:>8}{ms.mean():>9.2f}{np.quantile(ms, 0.95):>9.2f}"
    )


def _question(wants: Preferences, row: int) -> tuple[Goals, Budgets]:
    names = ("accuracy", "latency", "energy", "storage")
    goals = Goals(**dict(zip(names, wants.weights[row].tolist(), strict=True)))
    limits = zip(BUDGET_NAMES, wants.limits[row].tolist(), strict=True)
    return goals, Budgets(**{k: None if np.isinf(limit) else limit for k, limit in limits})


def _best(
    surrogate: Surrogate, wants: Preferences, policy: Policy, count: int
) -> tuple[Array, str]:
    """The best utility for every asker: by trying everything, or from every method we have."""
    if count > MOST_EXHAUSTIVE:
        found = np.full(len(wants), -np.inf)
        for select in _selectors(surrogate, policy, 1).values():
            answers = [
                select(*_question(wants, row), int(wants.target[row]))
                for row in range(len(wants))
            ]
            found = np.maximum(found, [-1e9 if a.violated else a.score for a in answers])
        return found, "the best of all methods (too many recipes to try)"
    best = np.full(len(wants), -np.inf)
    costs = surrogate.costs(TARGETS)
    for configs in surrogate.space.enumerate(surrogate.space.mask):
        for target in range(len(TARGETS)):
            values = reward.quantities(surrogate, costs.totals(configs, target))[None]
            for row in np.flatnonzero(wants.target == target):
                utility = reward.utility(values, wants.take(np.array([row])))
                best[row] = max(best[row], float(utility.max()))
    return best, "every recipe tried"


def _tables(study: Path | None) -> StudyTables:
    if study is None:
        from tests.selector.synthetic_tables import lenet_tables

        return lenet_tables()
    places = (study, study / "tables.npz", study / "PROBE" / "tables.npz")
    return StudyTables.load(next(place for place in places if place.is_file()))


def _policy(study: Path | None, surrogate: Surrogate, seed: int, rounds: int | None) -> Policy:
    import torch

    from selector.dqn import Training, train

    torch.set_num_threads(1)
    stored = study / "SEARCH" / "policy.npz" if study else None
    if stored and stored.is_file() and rounds is None:
        return Policy.load(stored, stored.parent.parent / "PROBE" / "tables.npz")
    settings = Training(seed=seed) if rounds is None else Training(seed=seed, rounds=rounds)
    return Policy.of(surrogate, train(surrogate, TARGETS, settings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", type=Path)
    parser.add_argument("--goals", type=int, default=100)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
