"""One recipe made real and scored on the search split: what VALIDATE and RECOVER have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from compression import finetuning
from compression.augmentation import augmentation_for
from compression.evaluation import onnx_log_probabilities
from compression.finetuning import FineTuning, Supplies
from compression.int8_fallback import offered_file
from compression.outputs import UNLABELLED, AnswerKind
from compression.sensitivity import logits
from selector.loss_estimate import Loss, LossEstimator, loss_of_agreement

if TYPE_CHECKING:
    from pathlib import Path

    from compression.data import Split
    from compression.graph import Network
    from compression.types import Recipe, RecipeStep
    from selector.job import Job

Report = Callable[[int, int, dict[str, float]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A recipe that was built, fine-tuned and exported.

    ``loss`` is judged on the search split, from the exported file; ``kl`` (nats) and
    ``untuned_points`` are before fine-tuning, which took ``steps`` unless it had converged before. ``skipped`` holds the steps that were refused, with the reason.
    """

    network: Network
    exported: bytes
    applied: Recipe
    skipped: tuple[tuple[RecipeStep, str], ...]
    loss: Loss
    kl: float
    untuned_points: float
    steps: int

    @property
    def drop_points(self) -> float:
        """The best estimate of the points lost."""
        return self.loss.points


class Examples:
    """Some search examples, what the original answers to them, and what other answers lose against those."""

    def __init__(self, job: Job, split: Split) -> None:
        self._job, self._split = job, split

    @property
    def labels(self) -> np.ndarray | None:
        """Class numbers, ``None`` where there are none."""
        return self._split.y

    @cached_property
    def x(self) -> np.ndarray:
        """The examples, model-ready."""
        return self._split.x

    @cached_property
    def original_logits(self) -> np.ndarray:
        """What the uploaded file answers to them."""
        return onnx_log_probabilities(self._job.model_bytes, self.x)

    def loss_of(self, rows: np.ndarray) -> Loss:
        """What a network with those answers loses."""
        form = self._job.form
        if self._split.y is not None or form.kind is AnswerKind.CLASS:
            return self._estimator.loss(self._known(rows))
        wanted, answers = form.answers(self.original_logits), form.answers(rows)
        return loss_of_agreement(form.same(wanted, answers))

    @cached_property
    def _estimator(self) -> LossEstimator:
        labels, n_groups = self._known_labels, self._split.n_groups
        known = self._known(self.original_logits)
        if self._job.form.label_shape:
            n_groups = len(self._split)  # positions of one example are alike
        return LossEstimator(known, labels, n_groups)

    @cached_property
    def _known_labels(self) -> np.ndarray | None:
        """Class numbers of the rows that have one."""
        if self._split.y is None:
            return None
        form = self._job.form
        labels = form.parts[form.judged].label_rows(self._split.y)
        return np.asarray(labels[labels != UNLABELLED])

    def _known(self, rows: np.ndarray) -> np.ndarray:
        """The rows that labels are about; all where there are none."""
        if self._split.y is None:
            return rows
        part, own = self._job.form.of_judged(rows)
        return np.asarray(own[part.label_rows(self._split.y) != UNLABELLED])


class TrialRun:
    """The examples and the original's answers to them, for any number of trials of one job.

    Files are judged on all search examples, for a limit is kept or missed by tenths of a point; a few serve while a network is tuned.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        search, effort = job.dataset.search, job.effort
        few, more = search.take(effort.check_samples), search.take(effort.search_samples)
        self._few = Examples(job, few)
        self._all = self._few if len(few) == len(more) else Examples(job, more)

    @property
    def x(self) -> np.ndarray:
        """A few search examples, model-ready."""
        return self._few.x

    def loss(self, exported: bytes) -> Loss:
        """What a file loses against the original, judged on the search split."""
        return self._all.loss_of(onnx_log_probabilities(exported, self._all.x))

    def run(
        self, recipe: Recipe, steps: int, report: Report, checkpoint: Path | None = None
    ) -> Trial:
        """Build, fine-tune for that many steps, export, score.

        With a ``checkpoint`` an interrupted fine-tuning of the same recipe goes on from there.
        """
        job = self._job
        built = job.workbench.build(recipe)
        changed = logits(built.network, self.x)
        kl = job.form.divergence(self._few.original_logits, changed)
        clock = _Steps(report, steps)
        tuned = self.recovered(built.network, steps, clock, checkpoint)
        for note in tuned.notes[len(job.network.notes) :]:
            job.reporter.log(note, "warning")
        file = offered_file(tuned, job.calibration, self.x)
        return Trial(
            network=tuned,
            exported=file,
            applied=built.applied,
            skipped=built.skipped,
            loss=self.loss(file),
            kl=kl,
            untuned_points=self._few.loss_of(changed).points,
            steps=clock.steps,
        )

    def recovered(
        self, network: Network, steps: int, report: Report, checkpoint: Path | None = None
    ) -> Network:
        """A changed network fine-tuned from the original for that many steps."""
        job = self._job
        training = job.dataset.training
        passes = steps * job.effort.batch_size / len(training)
        settings = FineTuning(
            steps=steps,
            batch_size=job.effort.batch_size,
            seed=job.request.seed,
            augmentation=augmentation_for(
                job.network.profile.input_shape, passes, raw_kind=training.raw.dtype.kind
            ),
        )
        validation = (self.x, self._few.labels)
        more = job.dataset.unlabelled
        supplies = Supplies(
            unlabelled=(job.calibration, *([more.samples] if more else [])),
            calibration=job.calibration,
            checkpoint=checkpoint,
        )
        return finetuning.distill(
            network,
            job.network,
            training.samples,
            training.y,
            settings,
            validation,
            report,
            supplies,
        )


class _Steps:
    """Passes on how a training goes and remembers where it was told to end."""

    def __init__(self, report: Report, steps: int) -> None:
        self._report = report
        self.steps = steps

    def __call__(self, done: int, total: int, point: dict[str, float]) -> bool:
        """What a trainer calls at each check."""
        goes_on = self._report(done, total, point)
        if not goes_on:
            self.steps = done
        return goes_on
