"""Fine-tuning by distillation: the changed network learns to answer as the original does."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.augmentation import Augmentation
from compression.distillation import Judge, Loss, Teacher, Weighing, matched_layers
from compression.learner import Curriculum, Learner, Pace, batches
from compression.student import Student, TrainingForm, brain_floats_pay, training_device
from compression.training_checkpoint import Checkpoint, fingerprint
from compression.training_norms import takes_norms

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor, fx

    from compression.data import Samples
    from compression.graph import Network

Report = Callable[[int, int, dict[str, float]], bool]
"""Takes step, total and ``accuracy``, ``loss``, ``learning_rate``; ``False`` stops the training."""

Labelled = tuple[np.ndarray, np.ndarray | None]
"""Samples ``[samples, *input_shape]`` (float32) and class numbers, or ``None`` without labels."""

Training = tuple["Samples", np.ndarray | None]
"""The same, with samples that may be prepared when they are asked for."""

_BREAKDOWNS = 2
"""How often a training that broke down goes on from its last good weights."""

_SLOWER = 0.25
"""Share of the learning rate that is left after each breakdown."""

_CALIBRATION = 256
_LEAST_BATCH = 32
"""With fewer samples in a batch, their mean and spread are too rough for a batch norm."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning:
    """How to distil; work is counted in steps, so that a seed repeats.

    Attributes:
        steps: Updates of the weights.
        batch_size: Samples in each.
        learning_rate: How far one step of Adam may move a layer, as a share of the root mean square
            of its weights, at the most: it warms up, then falls along a cosine; deep networks and
            short trainings get less. One absolute rate does not fit: 5e-3 suits LeNet and
            ruins a ResNet-20.
        temperature: Softens both answers in the distillation loss.
        alpha: Share of the distillation loss; the rest is cross entropy where there are labels.
            Measured: with labels (0.7) the network learns the people it is trained on, 0.5 points
            worse on others; on digits there is no difference.
        seed: Of the order of samples and of their augmentation.
        augmentation: What is done to samples; the original sees the same.
        checks: How many times to look at the validation samples.
        norms: Whether batch norms that were folded at export are put back for the training.
        feature_weight: Of the squared error of a few layers' outputs against the original's, in networks
            that norms are put back into. Measured at equal steps, 1 against 0: divergence falls by 3 %
            (ResNet-20) and 5 % (LeNet-5); in a 1-D network it fell for one person and rose for two, in a
            dense one of digits it rose by 1 to 5 %.
        patience: After so many checks in a row without a better network the training ends.
        device: Where to train; empty: CUDA when present, else the CPU.
        brain_floats: Whether to multiply in bfloat16 where that is quicker; the validation samples are judged without.
    """

    steps: int = 1000
    batch_size: int = 128
    learning_rate: float = 0.04
    temperature: float = 4.0
    alpha: float = 1.0
    seed: int = 0
    augmentation: Augmentation = Augmentation.NONE
    checks: int = 20
    norms: bool = True
    feature_weight: float = 1.0
    patience: int = 10
    device: str = ""
    brain_floats: bool = True

    @property
    def pace(self) -> Pace:
        """The part that concerns single updates."""
        return Pace(
            steps=self.steps,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            seed=self.seed,
            augmentation=self.augmentation,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Supplies:
    """What fine-tuning uses where it is at hand.

    Attributes:
        unlabelled: More samples to learn from, without labels.
        calibration: Samples that norms and ranges of activations start from; otherwise some of those
            that are learnt from.
        checkpoint: A file that the state is kept in; a training that finds its own state there goes
            on from it, and ends as if it had never been interrupted.
    """

    unlabelled: tuple[Samples, ...] = ()
    calibration: np.ndarray | None = None
    checkpoint: Path | None = None


def distill(
    network: Network,
    original: Network,
    x: Samples,
    y: np.ndarray | None,
    settings: FineTuning,
    validation: Labelled,
    report: Report,
    supplies: Supplies | None = None,
) -> Network:
    """The network fine-tuned to the original's softened answers (and to the labels, if any).

    Weights, and for ``INT8`` activations, are rounded during training as the precision of the network
    says (straight-through). The weights that come back are those nearest to the original on the validation samples (softened
    divergence, rounded likewise, the start included). Measured: with a few hundred validation samples, choosing by
    their accuracy loses up to four points on new people, choosing by divergence loses none.

    A training that breaks down (values that are not finite) goes on twice from its last good weights
    at a lower rate, then ends with the best so far; ``notes`` of the network say so.

    Args:
        network: A changed network; it stays as it was.
        original: The one that it came from.
        x: What it learns from, float32, ``[samples, *input_shape]``.
        y: Class numbers; ``None`` where there are no labels.
        settings: How long and how fast.
        validation: What the best is chosen by; no test sample may be in it.
        report: Called at every check, also for those of an interrupted training; ``False`` stops and
            keeps the best so far.
        supplies: Unlabelled samples, calibration samples, a place for checkpoints.

    Returns:
        The best network met; on the validation samples never farther from the original than the
        one given.
    """
    training = _Training(
        network, original, (x, y), settings, validation, supplies or Supplies()
    )
    return training.run(report)


@dataclass(slots=True, kw_only=True)
class _Progress:
    """How far a training is, in plain values."""

    step: int = 0
    finished: bool = False
    stale_checks: int = 0
    breakdowns: int = 0
    rate_share: float = 1.0
    improved: bool = False
    least: float = math.inf
    history: list[dict[str, float]] = field(default_factory=list)


class _Training:
    """Updates, looks at the validation samples, checkpoints, and falls back when it breaks down."""

    def __init__(
        self,
        network: Network,
        original: Network,
        training: Training,
        settings: FineTuning,
        validation: Labelled,
        supplies: Supplies,
    ) -> None:
        x, y = training
        if y is not None and y.ndim > 1 and settings.alpha < 1:
            # Labels at positions would have to move with the pictures.
            settings = replace(settings, augmentation=Augmentation.NONE)
        known = supplies.calibration
        calibration = x[:_CALIBRATION] if known is None or not len(known) else known
        self._network, self._settings = network, settings
        self._path = supplies.checkpoint
        self._samples = Curriculum(x, y, *supplies.unlabelled)
        self._student, self._learner = _student_and_learner(
            network, original, settings, self._samples, calibration
        )
        self._judge = Judge(network, original, validation, settings.temperature)
        self._progress = _Progress(least=self._judge.divergence(self._student)[0])
        self._best: fx.GraphModule = network.module
        self._good = self._learner.state()
        self._identity = fingerprint(
            network.module.state_dict(), settings, network.precision, len(self._samples)
        )

    def run(self, report: Report) -> Network:
        self._resume()
        progress, total = self._progress, self._settings.steps
        for point in progress.history:
            known = {name: value for name, value in point.items() if name != "step"}
            if not report(int(point["step"]), total, known):
                return self._result()
        plan = enumerate(batches(len(self._samples), self._settings.pace), start=1)
        for step, chosen in islice(plan, progress.step, None):
            if progress.finished or not self._advanced(step, chosen, report):
                break
        return self._result()

    def _advanced(self, step: int, chosen: Tensor, report: Report) -> bool:
        """One step; whether to go on."""
        settings = self._settings
        rate, loss = self._learner.learn(chosen, step)
        if not math.isfinite(loss):
            return self._fell_back()
        if step % max(1, settings.steps // max(1, settings.checks)) and step != settings.steps:
            return True
        return self._checked(step, {"loss": loss, "learning_rate": rate}, report)

    def _checked(self, step: int, values: dict[str, float], report: Report) -> bool:
        """Looks at the validation samples, remembers the best; whether to go on."""
        progress, settings = self._progress, self._settings
        self._student.refresh()
        divergence, accuracy = self._judge.divergence(self._student)
        if not math.isfinite(divergence):
            return self._fell_back()
        self._good = self._learner.state()
        progress.step, progress.stale_checks = step, progress.stale_checks + 1
        if divergence < progress.least:
            progress.least, progress.stale_checks, progress.improved = divergence, 0, True
            self._best = self._student.plain()
        values = {"accuracy": accuracy, **values}
        progress.history.append({"step": step, **values})
        progress.finished = step == settings.steps or progress.stale_checks >= settings.patience
        self._keep()
        return report(step, settings.steps, values) and not progress.finished

    def _fell_back(self) -> bool:
        """Back to the last good weights at a lower rate; whether to go on."""
        progress = self._progress
        progress.breakdowns += 1
        progress.finished = progress.breakdowns > _BREAKDOWNS
        progress.rate_share *= _SLOWER
        self._learner.share = progress.rate_share
        self._learner.load(self._good)
        self._student.refresh()
        return not progress.finished

    def _keep(self) -> None:
        if self._path is None:
            return
        best = self._best.state_dict() if self._progress.improved else {}
        tensors = {**self._good, **{f"best.{name}": t for name, t in best.items()}}
        facts = {"training": self._identity, **asdict(self._progress)}
        Checkpoint(tensors=tensors, facts=facts).write(self._path)

    def _resume(self) -> None:
        """Takes up the state of this very training, if there is one."""
        found = None if self._path is None else Checkpoint.read(self._path)
        if found is None or found.facts.get("training") != self._identity:
            return
        facts: dict[str, Any] = {n: v for n, v in found.facts.items() if n != "training"}
        self._progress = _Progress(**facts)
        self._good = {n: t for n, t in found.tensors.items() if not n.startswith("best.")}
        self._learner.load(self._good)
        self._learner.share = self._progress.rate_share
        self._student.refresh()
        if self._progress.improved:
            self._best = self._network.copied_module()
            self._best.load_state_dict(found.part("best"))

    def _result(self) -> Network:
        broken = self._progress.breakdowns
        notes = self._network.notes
        if broken:
            notes = (*notes, _breakdown_note(broken, improved=self._progress.improved))
        return replace(self._network, module=self._best, notes=notes)


def _student_and_learner(
    network: Network,
    original: Network,
    settings: FineTuning,
    samples: Curriculum,
    calibration: np.ndarray,
) -> tuple[Student, Learner]:
    device = training_device(network, settings.device)
    half = settings.brain_floats and brain_floats_pay(original, device)
    enough = min(settings.batch_size, len(samples)) >= _LEAST_BATCH
    norms = settings.norms and enough and takes_norms(network.module)
    matched = norms and settings.feature_weight > 0
    features = matched_layers(network, original, calibration[:2]) if matched else ()
    form = TrainingForm(
        norms=norms,
        features=features,
        calibration=calibration,
        device=device,
        brain_floats=half,
    )
    weighing = Weighing(
        temperature=settings.temperature,
        alpha=settings.alpha,
        feature_weight=settings.feature_weight,
    )
    student = Student(network, form)
    teacher = Teacher(original, network, features, device, brain_floats=half)
    loss = Loss(original, weighing)
    return student, Learner(student, teacher, loss, samples, settings.pace)


def _breakdown_note(count: int, *, improved: bool) -> str:
    """What a breakdown led to, for the user."""
    times = {1: "once", 2: "twice"}.get(count, f"{count} times")
    if count <= _BREAKDOWNS:
        end = "went on from the last good weights at a lower learning rate"
    elif improved:
        end = "was ended with the best weights until then"
    else:
        end = "was given up, and the network is as it was before"
    return (
        f"Fine-tuning broke down {times} (values that are not finite) and {end}. "
        "Are there extreme values in the training examples?"
    )
