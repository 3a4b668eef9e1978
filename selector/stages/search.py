"""SEARCH: train the selector on the study's tables; until it has left anything, the shipped agent answers the sliders."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from compression.types import Stage
from selector.dqn import Trainer, Training
from selector.jobfolder import SO_FAR
from selector.learner import Learner
from selector.pretrained import pretrained
from selector.surrogate import Surrogate

if TYPE_CHECKING:
    from selector.job import Job
    from selector.training_state import Progress

CHECKPOINT = "training.safetensors"


def search(job: Job) -> None:
    """Leave ``policy.npz`` and the learning curve; while it works, the best so far."""
    curve: list[dict[str, float]] = []

    def report(done: int, total: int, point: dict[str, float]) -> bool:
        if point:
            curve.append(point)
            job.reporter.metric(**point)
        if "gap" in point:
            folder.write_with(Stage.SEARCH, SO_FAR, trainer.so_far().save)
        job.reporter.progress(done, total)
        return not job.reporter.ends_early()

    # Small networks gain nothing from threads, and two that wait for each other lose a lot.
    torch.set_num_threads(1)
    folder, seed = job.folder, job.request.seed
    trainer = Trainer(
        Surrogate(job.tables),
        job.targets,
        Training(seed=seed, rounds=job.effort.search_rounds),
        Learner(seed, pretrained()),
        folder.stage_path(Stage.SEARCH, CHECKPOINT),
        report,
    )
    trainer.run()
    progress = trainer.progress
    job.reporter.log(_outcome(progress))
    facts = {"best_round": progress.best_round, "gap": progress.gap}
    folder.write_json(
        Stage.SEARCH, "search.json", {"curve": curve, "first_gap": progress.first_gap, **facts}
    )
    folder.write_with(Stage.SEARCH, "policy.npz", trainer.weights().save)
    for name in (SO_FAR, CHECKPOINT):
        folder.stage_path(Stage.SEARCH, name).unlink(missing_ok=True)


def _outcome(progress: Progress) -> str:
    """Which agent is taken, for the log."""
    first = f"{progress.first_gap:.1%}"
    if not progress.best_round:
        return (
            f"{progress.rounds} rounds of training did not bring the selector's agent closer to the best known "
            f"answers than it was before ({first} missing): the agent that comes with AdaDeep is kept."
        )
    return (
        f"The selector's agent is the one of round {progress.best_round} of {progress.rounds}: without known recipes "
        f"and without a polish it misses {progress.gap:.1%} of what the best known answers gain, {first} before training."
    )
