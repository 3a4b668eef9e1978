"""What each referee finds for random goals on real tables, how often it beats the agent, how tight the bound is.

``python -m benchmarks.selector_referees STUDY [--goals N] [--seconds S]``. A study is a job folder after PROBE;
an agent stored in it is asked, else one is trained. Each referee gets the count that it has in a build, or is
repeated with new seeds for that many seconds.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from pathlib import Path

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from typing import TYPE_CHECKING

import numpy as np

from benchmarks.selector_gap import TARGETS, question
from selector import reward
from selector.baselines import Baseline, Greedy
from selector.bound import Bound, upper_bound
from selector.policy import Policy
from selector.referees import BRANCH_AND_BOUND, LOOSEST, REFEREES, gap_to
from selector.reward import INFEASIBLE
from selector.selection import Prepared, Question
from selector.surrogate import Surrogate
from selector.tables import StudyTables
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from selector.tables import IntArray

FIRST_SEED = 77


@dataclass(slots=True)
class Tally:
    """Utilities and seconds of each method by goal, and what the bound said of the best of all."""

    utilities: dict[str, list[float]] = field(default_factory=dict)
    seconds: dict[str, list[float]] = field(default_factory=dict)
    bounds: list[float | None] = field(default_factory=list)
    proven: int = 0

    def add(self, name: str, question: Prepared, config: IntArray, seconds: float) -> None:
        """What a method found for one goal."""
        utility = float(question.utility(config[None])[0])
        self.utilities.setdefault(name, []).append(utility)
        self.seconds.setdefault(name, []).append(seconds)


def main() -> None:
    options = _options()
    surrogate = Surrogate(_tables(options.study))
    policy = _policy(options.study, surrogate, options.seed, options.rounds)
    wants = draw_wishes(
        surrogate, TARGETS, options.goals, np.random.default_rng(FIRST_SEED + options.seed)
    )
    tally = Tally()
    for row in range(len(wants)):
        goals, budgets = question(wants, row)
        target = TARGETS[int(wants.target[row])]
        asked = Question(surrogate=surrogate, target=target, goals=goals, budgets=budgets)
        _judge(tally, policy, asked, options.seconds)
    _print(tally, options.study, surrogate)


def _judge(tally: Tally, policy: Policy, asked: Question, seconds: float) -> None:
    """Put one question to everybody."""
    prepared = asked.prepared()
    started = time.perf_counter()
    answer = policy.select(asked.goals, asked.budgets, asked.target, asked.locks)
    best = np.array(answer.config, dtype=np.int64)
    tally.add("dqn", prepared, best, time.perf_counter() - started)
    methods: tuple[type[Baseline], ...] = (Greedy, *REFEREES)
    for kind in methods:
        found: list[IntArray] = []
        started, seed = time.perf_counter(), 0
        while not found or time.perf_counter() - started < seconds:
            found.append(kind(asked.surrogate, seed).search(prepared))
            seed += 1
        config = prepared.best(np.array(found))
        tally.add(kind.name, prepared, config, time.perf_counter() - started)
        best = prepared.best(np.stack([best, config]))
    started = time.perf_counter()
    bound = upper_bound(prepared, best)
    config = best if bound is None else bound.config
    tally.add(BRANCH_AND_BOUND, prepared, config, time.perf_counter() - started)
    _note_bound(tally, prepared, bound, config)


def _note_bound(
    tally: Tally, prepared: Prepared, bound: Bound | None, config: IntArray
) -> None:
    utility = float(prepared.utility(config[None])[0])
    if utility <= INFEASIBLE:
        tally.proven += bound is not None
    else:
        tally.bounds.append(gap_to(bound.score, utility) if bound else None)


def _print(tally: Tally, study: Path, surrogate: Surrogate) -> None:
    all_utilities = np.array(list(tally.utilities.values()))
    best = all_utilities.max(axis=0)
    met = best > INFEASIBLE
    print(f"{study}: {surrogate.space.n_decisions} decisions, {len(best)} goals")
    print(f"{met.sum()} can be met; of the others {tally.proven} are proven impossible\n")
    print("| method | mean gap | p95 | limits missed | better than the agent | s, mean |")
    print("|---|---|---|---|---|---|")
    agent = all_utilities[0]
    for (name, seconds), found in zip(tally.seconds.items(), all_utilities, strict=True):
        missed = met & (found <= INFEASIBLE)
        gaps = np.where(missed, 1.0, reward.relative_gap(found, best))[met]
        wins = int((found > agent + 1e-6)[met].sum())
        print(
            f"| {name} | {gaps.mean():.2%} | {np.quantile(gaps, 0.95):.2%} | {missed.sum()} "
            f"| {wins} | {np.mean(seconds):.3f} |"
        )
    known = [gap for gap in tally.bounds if gap is not None]
    print(
        f"\nA bound below {LOOSEST:.0%} for {len(known)} of {len(tally.bounds)}; of these the gap is at "
        f"most {np.median(known):.2%} (median), {np.quantile(known, 0.9):.2%} (9 in 10)"
    )


def _tables(study: Path) -> StudyTables:
    places = (study, study / "tables.npz", study / "PROBE" / "tables.npz")
    return StudyTables.load(next(place for place in places if place.is_file()))


def _policy(study: Path, surrogate: Surrogate, seed: int, rounds: int | None) -> Policy:
    import torch

    from selector.dqn import Training, train

    torch.set_num_threads(1)
    stored = study / "SEARCH" / "policy.npz"
    if stored.is_file() and rounds is None:
        return Policy.load(stored, stored.parent.parent / "PROBE" / "tables.npz")
    settings = Training(seed=seed) if rounds is None else Training(seed=seed, rounds=rounds)
    return Policy.of(surrogate, train(surrogate, TARGETS, settings))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", type=Path)
    parser.add_argument("--goals", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
