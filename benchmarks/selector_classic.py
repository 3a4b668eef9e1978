"""AdaDeep as published against the DQN of today, each technique alone, and int8 alone, on real tables.

``python -m benchmarks.selector_classic [NAME...] [--target redmi-3s] [--seeds 5] [--goals 20]`` with networks of
``benchmarks.study_tables``. Everything here is predicted from the tables; nothing is built.

One demand first (equal goals, one point may be lost), then random goals and limits. "As many episodes"
trains today's DQN on as many finished recipes as the published form scores, for one demand; "as shipped"
is its usual training, done once for every demand. A technique alone is the best of the recipes that use
nothing else: tried one by one where there are fewer than the published form scores, else climbed.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.study_tables import NAMES, tables_of
from compression.cost import DeviceProfile, load_device
from selector import reward
from selector.baselines import CoordinateAscent, Exhaustive
from selector.classic import Classic
from selector.classic_actions import THE_TEN
from selector.classic_settings import ClassicSettings, View
from selector.dqn import Training, train
from selector.policy import Policy
from selector.reward import BUDGET_NAMES, Preferences
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock, Selection
from selector.wishes import draw_wishes

EPISODES = ClassicSettings().episodes + ClassicSettings().tuning_episodes
AS_MANY = Training(
    rounds=round(EPISODES / Training().episodes_per_round), pool_size=64, pool_rounds=0
)
DEMAND = Goals(), Budgets(max_accuracy_drop=1.0)
HEADER = f"{'selector':<30}{'accuracy':>9}{'ms':>9}{'mJ':>9}{'kB':>9}{'score':>8}{'± seeds':>9}{'CPU-s':>8}"

Select = Callable[[Goals, Budgets], Selection]


class Method(NamedTuple):
    """A way to answer, for each seed: a function of goals and limits."""

    name: str
    of_seed: Callable[[int], Select]
    seeds: int = 1


def main() -> None:
    options = _options()
    torch.set_num_threads(1)
    for name in options.names or ("lenet5", "motion", "resnet20"):
        surrogate = Surrogate(tables_of(name))
        target = load_device(options.target)
        space = surrogate.space
        print(f"\n== {name}, {target.title}: {space.count(space.mask):,} recipes")
        methods = _methods(surrogate, target, options)
        _one_demand(surrogate, methods)
        if options.goals:
            _random_demands(surrogate, target, methods, options.goals)


def _methods(
    surrogate: Surrogate, target: DeviceProfile, options: argparse.Namespace
) -> list[Method]:
    shipped = Policy.of(surrogate, train(surrogate, (target,), Training(seed=0)))
    ten = frozenset(each.technique for each in THE_TEN)

    def classic(settings: ClassicSettings) -> Callable[[int], Select]:
        return lambda seed: (
            lambda goals, budgets: Classic(surrogate, seed, settings).select(
                goals, budgets, target
            )
        )

    def as_many(seed: int) -> Select:
        settings = replace(AS_MANY, seed=seed)
        policy = Policy.of(surrogate, train(surrogate, (target,), settings))
        return lambda goals, budgets: policy.select(goals, budgets, target)

    def alone(names: frozenset[str]) -> Callable[[int], Select]:
        locks = _only(surrogate, names)
        return lambda _: (
            lambda goals, budgets: _searched(surrogate, locks).select(
                goals, budgets, target, locks
            )
        )

    offered = sorted(
        {n for d in range(surrogate.space.n_decisions) for n in surrogate.space.offered(d)}
    )
    return [
        Method("untouched", alone(frozenset())),
        Method("classic", classic(ClassicSettings()), options.seeds),
        Method(
            "classic, first phase alone",
            classic(ClassicSettings(tuning_episodes=1)),
            options.seeds,
        ),
        Method(
            "classic, analytic view",
            classic(ClassicSettings(view=View.ANALYTIC)),
            options.seeds,
        ),
        Method("dqn, as many episodes", as_many, options.seeds),
        Method(
            "dqn, as shipped",
            lambda _: lambda goals, budgets: shipped.select(goals, budgets, target),
        ),
        Method(
            "dqn as shipped, the ten only",
            lambda _: (
                lambda goals, budgets: shipped.select(
                    goals, budgets, target, _only(surrogate, ten)
                )
            ),
        ),
        *(Method(f"{name} alone", alone(frozenset({name}))) for name in offered),
    ]


def _only(surrogate: Surrogate, names: frozenset[str]) -> dict[str, Lock]:
    """Locks that forbid every technique but these."""
    space = surrogate.space
    locks: dict[str, set[str]] = {}
    for d, decision in enumerate(space.decisions):
        locks.setdefault(decision.layer, set()).update(space.offered(d) - names)
    return {layer: Lock(exclude=tuple(sorted(out))) for layer, out in locks.items() if out}


def _searched(surrogate: Surrogate, locks: dict[str, Lock]) -> Exhaustive | CoordinateAscent:
    from selector.locks import locked_mask

    space = surrogate.space
    few = space.count(locked_mask(space, locks)) <= EPISODES
    return Exhaustive(surrogate) if few else CoordinateAscent(surrogate)


def _one_demand(surrogate: Surrogate, methods: list[Method]) -> None:
    """What each answers to one demand, the median seed's figures and the spread of scores."""
    print(f"\n{HEADER}")
    accuracy = float(surrogate.tables.meta.get("accuracy", 1.0))
    for method in methods:
        started = time.process_time()
        found = [method.of_seed(seed)(*DEMAND) for seed in range(method.seeds)]
        seconds = (time.process_time() - started) / method.seeds
        scores = np.array([_worth(answer) for answer in found])
        answer = found[int(np.argsort(scores)[len(scores) // 2])]
        p = answer.prediction
        missed = "" if not answer.violated else "  misses " + ", ".join(answer.violated)
        print(
            f"{method.name:<30}{100 * accuracy - p.accuracy_drop_points.value:>8.2f}%"
            f"{p.latency_ms.value:>9.4g}{p.energy_mj.value:>9.4g}{p.size_bytes.value / 1000:>9.4g}"
            f"{np.median(scores):>8.3f}{np.ptp(scores) / 2:>9.3f}{seconds:>8.2f}{missed}"
        )


def _random_demands(
    surrogate: Surrogate, target: DeviceProfile, methods: list[Method], count: int
) -> None:
    """Mean relative gap to the best that any of them found, over random goals and limits."""
    wants = draw_wishes(surrogate, (target,), count, np.random.default_rng(77))
    questions = [_question(wants, row) for row in range(count)]
    worth = {}
    for method in methods:
        answers = []
        for seed in range(method.seeds):
            select = method.of_seed(seed)
            answers.append([_worth(select(*question)) for question in questions])
        worth[method.name] = np.array(answers)
    best = np.max([rows.max(axis=0) for rows in worth.values()], axis=0)
    meetable = best > reward.INFEASIBLE
    print(f"\n{count} random demands, {int(meetable.sum())} can be met")
    print(f"{'selector':<30}{'mean gap':>10}{'± seeds':>9}{'missed':>8}{'mean score':>12}")
    for name, rows in worth.items():
        kept = rows[:, meetable]
        missed = kept <= reward.INFEASIBLE
        scores = np.where(missed, 0.0, kept)
        gaps = np.where(missed, 1.0, reward.relative_gap(scores, best[meetable])).mean(axis=1)
        print(
            f"{name:<30}{gaps.mean():>10.1%}{np.ptp(gaps) / 2:>9.1%}"
            f"{missed.mean():>8.0%}{scores.mean():>12.3f}"
        )


def _worth(answer: Selection) -> float:
    return reward.INFEASIBLE if answer.violated else answer.score


def _question(wants: Preferences, row: int) -> tuple[Goals, Budgets]:
    names = ("accuracy", "latency", "energy", "storage")
    goals = Goals(**dict(zip(names, wants.weights[row].tolist(), strict=True)))
    limits = zip(BUDGET_NAMES, wants.limits[row].tolist(), strict=True)
    return goals, Budgets(**{name: None if np.isinf(v) else v for name, v in limits})


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []])
    parser.add_argument("--target", default="redmi-3s")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--goals", type=int, default=20)
    return parser.parse_args()


if __name__ == "__main__":
    main()
