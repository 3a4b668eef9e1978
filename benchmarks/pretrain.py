"""Trains one agent on many networks at once: what a study's own training starts from.

``python -m benchmarks.pretrain OUT.npz [--without NAME...]`` uses synthetic tables (LeNets and residual networks
drawn by seed) and the real ones of ``benchmarks.study_tables``, but for those named: leave a network out to
see what the agent of others is worth to it. Writes a card, OUT.json, beside the agent: it says how it was made. Each round takes
about a quarter of a CPU-second a network, once the tables are there.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

# Tiny products gain nothing from a second thread, and wait for it on a busy machine.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import torch

from benchmarks.study_tables import NAMES, tables_of
from compression.cost import load_device
from selector.dqn import Trainer, Training
from selector.job import TRAINING_TARGETS
from selector.learner import Learner
from selector.policy_network import PolicyWeights
from selector.surrogate import Surrogate
from tests.selector.synthetic_tables import lenet_tables, residual_tables

if TYPE_CHECKING:
    from selector.tables import StudyTables


def main() -> None:
    options = options_of(sys.argv[1:])
    torch.set_num_threads(1)
    settings = Training(rounds=options.rounds, seed=options.seed, pool_rounds=8)
    learner = Learner(options.seed)
    targets = tuple(load_device(name) for name in TRAINING_TARGETS)
    studies = _studies(options.without, options.synthetic)
    trainers = {
        name: Trainer(Surrogate(tables), targets, settings, learner)
        for name, tables in studies.items()
    }
    begun = time.process_time()
    before = {name: trainer.gap() for name, trainer in trainers.items()}
    for done in range(1, settings.rounds + 1):
        for trainer in trainers.values():
            trainer.round(done)
        if done % 10 == 0:
            gaps = {name: f"{trainer.gap():.3f}" for name, trainer in trainers.items()}
            print(done, f"{time.process_time() - begun:.0f} CPU-s", gaps, flush=True)
    card = {
        "made_by": command(sys.argv[1:]),
        "networks": list(trainers),
        "left_out": options.without,
        "devices": [target.name for target in targets],
        "seed": options.seed,
        "cpu_seconds": round(time.process_time() - begun),
        "training": asdict(settings),
        "gap_of_rollouts": {
            name: {"untrained": round(before[name], 4), "trained": round(trainer.gap(), 4)}
            for name, trainer in trainers.items()
        },
    }
    weights = PolicyWeights(
        arrays={name: array.astype(np.float32) for name, array in learner.arrays().items()},
        targets=tuple(target.name for target in targets),
        pool=np.zeros((0, 0), dtype=np.int64),
        facts={"networks": list(trainers), "seed": options.seed},
    )
    weights.save(options.out)
    options.out.with_suffix(".json").write_text(json.dumps(card, indent=1) + "\n", "utf-8")


def command(arguments: list[str]) -> str:
    """What makes the same agent again, with the same code."""
    return shlex.join(["python", "-m", "benchmarks.pretrain", *arguments])


def _studies(without: list[str], count: int) -> dict[str, StudyTables]:
    found: dict[str, StudyTables] = {}
    for seed in range(1, count + 1):
        found[f"synthetic lenet {seed}"] = lenet_tables(seed)
        found[f"synthetic wide lenet {seed}"] = lenet_tables(seed, (20, 50, 500, 100))
        found[f"synthetic residual {seed}"] = residual_tables(seed, blocks=1 + seed % 3)
    return found | {name: tables_of(name) for name in NAMES if name not in without}


def options_of(arguments: list[str]) -> argparse.Namespace:
    """What the command line asks for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--without", nargs="*", default=[], choices=NAMES)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--synthetic", type=int, default=2, help="tables of each kind")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
