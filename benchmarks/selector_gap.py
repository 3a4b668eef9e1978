"""How far the selector stays behind the best that anybody finds, over random goals and budgets on real tables.

``python -m benchmarks.selector_gap [NAME...]`` with networks of ``benchmarks.study_tables``. For each network and
seed an agent is trained, then asked ``--goals`` random goals over all devices, at once and in a second look; so is the agent that comes
with the package, as it answers until then. They are judged by the best of: every seed's answers, and for each goal ``--seconds`` each of every
other method (random, greedy, coordinate ascent, genetic, NSGA-II), of a memetic search that starts from known answers and of branch and bound that
starts from the best of all; where there are few enough recipes, by all of them instead. ``--processes`` shares the goals out. ``--unseen`` asks about the devices that no agent is trained on. ``--pretrained FILE``
starts from that agent with half the rounds. ``--kept`` takes the agents of an earlier call.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.study_tables import CACHE, NAMES, tables_of
from compression.cost import device_names, load_device
from selector import reward
from selector.baselines import (
    MOST_EXHAUSTIVE,
    CoordinateAscent,
    Exhaustive,
    Genetic,
    Greedy,
    Random,
)
from selector.bound import BOXES, upper_bound
from selector.dqn import Training, train
from selector.job import TRAINING_TARGETS
from selector.nsga2 import NSGA2
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.reward import BUDGET_NAMES, Preferences
from selector.selection import Prepared, Question
from selector.study import shipped
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals
from selector.wishes import draw_wishes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.tables import Array, IntArray

TARGETS = tuple(load_device(name) for name in TRAINING_TARGETS)
UNSEEN = tuple(load_device(name) for name in device_names() if name not in TRAINING_TARGETS)
ROUNDS = Training().rounds
OUT_OF_REACH = -1e9
RESTARTED = (Random, CoordinateAscent, Genetic, NSGA2)
"""Methods that find other recipes with other seeds."""
HEADER = (
    "| network | decisions | recipes | training, CPU-s | goals that can be met | mean gap | p95 | worst "
    "| score missing, mean | limits missed | answer, p50 / p95 | CPU, p50 / p95 |"
)


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    print(HEADER, "|---" * HEADER.count(" | ") + "|---|", sep="\n", flush=True)
    for name in options.names or NAMES:
        surrogate = Surrogate(tables_of(name))
        asked = UNSEEN if options.unseen else TARGETS
        wants = draw_wishes(surrogate, asked, options.goals, np.random.default_rng(77))
        agents = [_trained(name, surrogate, seed, options) for seed in range(options.seeds)]
        first, second = (
            [_run(agent, wants, asked, thorough=thorough) for agent in agents]
            for thorough in (False, True)
        )
        untrained = (Policy.of(surrogate, shipped(surrogate)), 0.0)
        before = _run(untrained, wants, asked, thorough=False)
        runs = [*first, *second, before]
        referees = Referees(
            surrogate=surrogate, wants=wants, asked=asked, seconds=options.seconds
        )
        best = _reference(name, referees, runs, options.processes)
        best = np.max([best, *(run["scores"] for run in runs)], axis=0)
        print(_line(name, surrogate, first, best), flush=True)
        print(_line(f"{name}, second look", surrogate, second, best), flush=True)
        print(_line(f"{name}, before the search", surrogate, [before], best), flush=True)


def _trained(
    name: str, surrogate: Surrogate, seed: int, options: argparse.Namespace
) -> tuple[Policy, float]:
    """An agent and the CPU seconds of its training, which is kept beside the tables."""
    kind = options.pretrained.stem if options.pretrained else "scratch"
    kept = CACHE / name / f"policy-{kind}-{seed}.npz"
    if options.kept:
        weights = PolicyWeights.load(kept)
        return Policy.of(surrogate, weights), float(weights.facts["cpu_seconds"])
    start = PolicyWeights.load(options.pretrained).arrays if options.pretrained else None
    settings = Training(seed=seed, rounds=ROUNDS // (1 if start is None else 2))
    begun = time.process_time()
    weights = train(surrogate, TARGETS, settings, start=start)
    seconds = time.process_time() - begun
    replace(weights, facts={**weights.facts, "cpu_seconds": seconds}).save(kept)
    return Policy.of(surrogate, weights), seconds


def _run(
    trained: tuple[Policy, float],
    wants: Preferences,
    asked: Sequence[DeviceProfile],
    *,
    thorough: bool,
) -> dict[str, Any]:
    """Its answers to every goal: ``scores [B]``, ``configs [B, D]`` and the milliseconds each took."""
    policy, seconds = trained
    for target in asked:
        # What is looked up once is not an answer's time.
        policy.select(Goals(), Budgets(), target, thorough=thorough)
    scores, configs, spent, cpu = np.full(len(wants), OUT_OF_REACH), [], [], []
    for row in range(len(wants)):
        goals, budgets = question(wants, row)
        begun, worked = time.perf_counter(), time.process_time()
        device = asked[int(wants.target[row])]
        answer = policy.select(goals, budgets, device, thorough=thorough)
        spent.append(1e3 * (time.perf_counter() - begun))
        cpu.append(1e3 * (time.process_time() - worked))
        configs.append(answer.config)
        if not answer.violated:
            scores[row] = answer.score
    return {
        "seconds": seconds,
        "scores": scores,
        "configs": np.array(configs),
        "ms": spent,
        "cpu": cpu,
    }


def question(wants: Preferences, row: int) -> tuple[Goals, Budgets]:
    """One asker's wishes as a person states them."""
    names = ("accuracy", "latency", "energy", "storage")
    goals = Goals(**dict(zip(names, wants.weights[row].tolist(), strict=True)))
    limits = zip(BUDGET_NAMES, wants.limits[row].tolist(), strict=True)
    return goals, Budgets(**{k: None if np.isinf(limit) else limit for k, limit in limits})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Referees:
    """Every other method, put to the goals of ``wants``; each may take ``seconds`` of CPU time for one."""

    surrogate: Surrogate
    wants: Preferences
    asked: Sequence[DeviceProfile]
    seconds: float

    def best_score(self, row: int, known: IntArray) -> float:
        """What the best recipe scores for that goal, beginning with known ones ``[N, D]``."""
        goals, budgets = question(self.wants, row)
        device = self.asked[int(self.wants.target[row])]
        put = Question(
            surrogate=self.surrogate, target=device, goals=goals, budgets=budgets
        ).prepared()
        best = self._best(put, known)
        utility = float(put.utility(best[None])[0])
        return utility if utility > reward.INFEASIBLE + 1 else OUT_OF_REACH

    def _best(self, put: Prepared, known: IntArray) -> IntArray:
        if put.costs.space.count(put.mask) <= MOST_EXHAUSTIVE:
            return Exhaustive(self.surrogate).search(put)
        found = [*known, Greedy(self.surrogate).search(put)]
        for method in RESTARTED:
            begun, seed = time.process_time(), 0
            while not seed or time.process_time() - begun < self.seconds:
                found.append(method(self.surrogate, seed).search(put))
                seed += 1
        found.append(_memetic(put, known, self.seconds))
        return _bounded(put, put.best(np.array(found)), self.seconds)


def _reference(
    name: str, referees: Referees, runs: list[dict[str, Any]], processes: int
) -> Array:
    """``[B]`` the best score that the referees find for each goal; kept beside the tables."""
    facts = json.dumps(
        [
            [target.name for target in referees.asked],
            referees.wants.limits.tolist(),
            referees.seconds,
            [method.name for method in RESTARTED],
        ]
    )
    tables = referees.surrogate.tables
    digest = hashlib.sha256(facts.encode() + tables.kl_structure.tobytes())
    kept = CACHE / name / f"reference-{digest.hexdigest()[:12]}.npy"
    if kept.is_file():
        return np.asarray(np.load(kept))
    best = best_scores(referees, [run["configs"] for run in runs], processes)
    np.save(kept, best)
    return best


def best_scores(referees: Referees, known: Sequence[IntArray], processes: int) -> Array:
    """``[B]`` of every goal; ``known`` are answers ``[B, D]`` each. The goals are shared out among processes."""
    goals = [
        (row, np.array([answers[row] for answers in known]))
        for row in range(len(referees.wants))
    ]
    if processes == 1:
        return np.array([referees.best_score(*goal) for goal in goals])
    # Forked, so that they share the tables.
    context = multiprocessing.get_context("fork")
    with context.Pool(processes, _AtWork.begin, (referees,)) as pool:
        found = pool.map(_AtWork.best_score, goals, chunksize=1)
        # They end by themselves: whatever handles signals here was forked along.
        pool.close()
        pool.join()
    return np.array(found)


class _AtWork:
    """What a process was started with."""

    referees: Referees

    @classmethod
    def begin(cls, referees: Referees) -> None:
        cls.referees = referees

    @classmethod
    def best_score(cls, goal: tuple[int, IntArray]) -> float:
        return cls.referees.best_score(*goal)


def _bounded(asked: Prepared, best: IntArray, seconds: float) -> IntArray:
    """The best that branch and bound meets, in twice as many boxes each time until nothing can be better."""
    begun, boxes = time.process_time(), BOXES
    while time.process_time() - begun < seconds:
        bound = upper_bound(asked, best, boxes)
        if bound is None:
            break
        best = asked.best(np.array([best, bound.config]))
        if bound.boxes < boxes:
            break
        boxes *= 2
    return best


def _memetic(asked: Prepared, known: IntArray, seconds: float) -> IntArray:
    """Children of the best recipes so far, mutated, and climbed first with soft limits, then hard ones."""
    space, rng = asked.costs.space, np.random.default_rng(5)
    begun = time.process_time()
    best = asked.polished(np.concatenate([known, space.sample(asked.mask, 60, rng)]))
    turn = 0
    while time.process_time() - begun < seconds:
        best = np.unique(best, axis=0)
        best = best[np.argsort(-asked.utility(best), kind="stable")][:40]
        one, other = best[rng.integers(0, len(best), (2, 100))]
        crossed = np.where(rng.random(one.shape) < 0.5, one, other) if turn % 3 else one
        share = rng.choice([1.5, 3.0, 6.0], (100, 1)) / space.n_decisions
        fresh = space.sample(asked.mask, 100, rng)
        child = space.canonical(np.where(rng.random(one.shape) < share, fresh, crossed))
        child = child[space.is_legal(child, asked.mask)]
        soft = asked.softened(child, len(child), 0, sweeps=3)
        best = np.concatenate([best, asked.polished(soft, sweeps=4)])
        turn += 1
    return asked.best(best)


def _line(name: str, surrogate: Surrogate, runs: list[dict[str, Any]], best: Array) -> str:
    """Every run's goals together; the spread is between the means of the seeds."""
    per_run = [_gaps(run, best) for run in runs]
    gaps = np.concatenate([gaps for gaps, _, _ in per_run])
    means = [gaps.mean() for gaps, _, _ in per_run if len(gaps)]
    missing = np.concatenate([missing for _, missing, _ in per_run])
    ms, cpu = (np.concatenate([run[key] for run in runs]) for key in ("ms", "cpu"))
    seconds = [run["seconds"] for run in runs]
    cells = (
        *(
            name,
            surrogate.space.n_decisions,
            f"{surrogate.space.count(surrogate.space.mask):.0e}",
        ),
        f"{np.mean(seconds):.0f} ({np.min(seconds):.0f} to {np.max(seconds):.0f})",
        int((best > OUT_OF_REACH).sum()),
        f"{gaps.mean():.2%} ({np.min(means):.2%} to {np.max(means):.2%})",
        *(f"{np.quantile(gaps, 0.95):.2%}", f"{gaps.max():.1%}", f"{missing.mean():.5f}"),
        sum(missed for _, _, missed in per_run),
        *(f"{np.median(each):.1f} / {np.quantile(each, 0.95):.1f} ms" for each in (ms, cpu)),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def _gaps(run: dict[str, Any], best: Array) -> tuple[Array, Array, int]:
    """Relative gaps and scores missing of goals that can be met, and how often a limit was missed."""
    rows = np.flatnonzero(best > OUT_OF_REACH)
    found = run["scores"][rows]
    missed = found <= OUT_OF_REACH
    missing = np.where(missed, 1.0, best[rows] - found)
    gaps = np.where(missed, 1.0, reward.relative_gap(found, best[rows]))
    return gaps, missing, int(missed.sum())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--goals", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=10.0, help="a method and goal")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--unseen", action="store_true")
    parser.add_argument("--pretrained", type=Path)
    parser.add_argument("--kept", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    main()
