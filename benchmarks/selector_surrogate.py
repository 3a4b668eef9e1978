"""How well recipes are predicted before they are built: candidates near the front, as VALIDATE chooses them.

``python -m benchmarks.selector_surrogate STUDY [COUNT]``: a study folder after PROBE. Candidates are proposed in
three rounds, each after learning from the former, built and briefly fine-tuned; one thread. Each is predicted
by PROBE's single changes alone, with the pairs that PROBE measured, and with the pairs that came with the other
candidates; points lost by a fit to all the others.
"""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from selector.cell_prices import DAMAGE
from selector.divergence import Divergence
from selector.engine import job_of
from selector.jobfolder import JobFolder
from selector.layout import pair_probes
from selector.learning import learnt
from selector.pairs import unknown_pairs
from selector.prediction_check import rank_correlation
from selector.proposals import propose
from selector.reporter import Reporter
from selector.surrogate import Surrogate, Validated
from selector.trial import TrialRun

if TYPE_CHECKING:
    from selector.job import Job
    from selector.tables import Array, IntArray, StudyTables

ROUNDS = 3


def main(folder: Path, count: int) -> None:
    torch.set_num_threads(1)
    job = job_of(JobFolder(folder), Reporter(io.StringIO()))
    surrogate, built, predicted = Surrogate(job.tables), list[Validated](), list[float]()
    trials, divergence = TrialRun(job), Divergence(job)
    for number in range(ROUNDS):
        size = (count - len(built)) // (ROUNDS - number)
        for config in propose(surrogate, size, job.targets, number, built):
            predicted += surrogate.evaluate(config[None], job.target).drop_points.tolist()
            cells = unknown_pairs(surrogate, config)
            probes = pair_probes(job.layout, np.array(cells, dtype=np.int64).reshape(-1, 4))
            pairs = [(cell, divergence.of(p)) for cell, p in zip(cells, probes, strict=True)]
            found = _built(job, trials, surrogate, config)
            built.append(replace(found, pairs=tuple(pairs)))
            print(built[-1], file=sys.stderr, flush=True)
        surrogate = learnt(Surrogate(job.tables), built)
    _report(job, built, np.array(predicted))


def _built(job: Job, trials: TrialRun, surrogate: Surrogate, config: IntArray) -> Validated:
    def keep_on(_done: int, _total: int, _point: dict[str, float]) -> bool:
        return True

    trial = trials.run(surrogate.space.decode(config), job.effort.candidate_steps, keep_on)
    points, size_bytes = trial.drop_points, len(trial.exported)
    return Validated(
        config=tuple(config.tolist()), drop_points=points, kl=trial.kl, size_bytes=size_bytes
    )


def _report(job: Job, built: list[Validated], predicted: Array) -> None:
    kl = np.array([each.kl for each in built])
    points = np.array([each.drop_points for each in built])
    told = sum(len(each.pairs) for each in built)
    print(f"{len(built)} candidates, divergence {kl.min():.3g} to {kl.max():.3g} nats")
    print(f"{len(job.tables.kl_pair)} pairs of PROBE, {told} with the candidates")
    probed = [job.tables for _ in built]
    refitted = [_told_by(job.tables, [o for o in built if o is not each]) for each in built]
    for name, tables, candidates in (
        ("single changes", [job.tables.with_pairs({})] * len(built), _silent(built)),
        ("pairs of PROBE", probed, _silent(built)),
        ("and of other candidates", refitted, built),
    ):
        order = rank_correlation(_damage(job, tables, built), kl)
        first = job.tables.with_pairs({}) if name == "single changes" else job.tables
        check = learnt(Surrogate(first), candidates).checked(candidates)
        print(
            f"{name:<24} Spearman, divergence: {order:.3f}; points, each left out: "
            f"{check.rank_correlation:.3f}, typically {check.typical_points:.2f} points off, "
            f"9 in 10 within a factor of {check.factor_90:.2f}"
        )
    print(f"points as predicted before building: {rank_correlation(predicted, points):.3f}")


def _silent(built: list[Validated]) -> list[Validated]:
    return [replace(each, pairs=()) for each in built]


def _told_by(tables: StudyTables, built: list[Validated]) -> StudyTables:
    return tables.with_pairs(
        {**dict(pair for each in built for pair in each.pairs), **tables.known_pairs}
    )


def _damage(job: Job, tables: list[StudyTables], built: list[Validated]) -> Array:
    """``[N]`` nats predicted of each candidate by tables of its own."""
    found = []
    for each, candidate in zip(tables, built, strict=True):
        costs = Surrogate(each).costs(job.targets[:1])
        found.append(float(costs.totals(np.array([candidate.config]))[0, DAMAGE]) ** 2)
    return np.array(found)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
