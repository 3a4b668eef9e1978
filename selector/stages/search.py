"""SEARCH: train the selector on the study's tables; from then on sliders are answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from compression.types import Stage
from selector import dqn
from selector.pretrained import pretrained
from selector.surrogate import Surrogate

if TYPE_CHECKING:
    from selector.job import Job


def search(job: Job) -> None:
    """Leave ``policy.npz`` and the learning curve."""
    curve: list[dict[str, float]] = []

    def report(done: int, total: int, point: dict[str, float]) -> bool:
        curve.append(point)
        job.reporter.metric(**point)
        job.reporter.progress(done, total)
        return not job.reporter.out_of_time()

    # Small networks gain nothing from threads, and two that wait for each other lose a lot.
    torch.set_num_threads(1)
    settings = dqn.Training(seed=job.request.seed, rounds=job.effort.search_rounds)
    weights = dqn.train(
        Surrogate(job.tables), job.targets, settings, report, start=pretrained()
    )
    job.folder.write_json(Stage.SEARCH, "search.json", {"curve": curve})
    job.folder.write_with(Stage.SEARCH, "policy.npz", weights.save)
