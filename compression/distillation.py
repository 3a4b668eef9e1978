"""What a student is taught by: the original's softened answers, its features, and labels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, fx

from compression.answer_forms import form_of
from compression.answer_losses import distillation_loss, label_loss
from compression.graph import joined
from compression.outputs import UNLABELLED
from compression.sensitivity import Scores, logits
from compression.student import in_order, placed, products, tap

if TYPE_CHECKING:
    import numpy as np

    from compression.graph import Network
    from compression.student import Student

MOST_FEATURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighing:
    """Of the terms of the loss; see ``FineTuning``."""

    temperature: float
    alpha: float
    feature_weight: float


def matched_layers(network: Network, original: Network, x: np.ndarray) -> tuple[str, ...]:
    """A few layers, spread over the depth, whose outputs both networks hold in the same places.

    Args:
        network: A changed network.
        original: The one that it came from.
        x: A few samples, float32, ``[samples, *input_shape]``.
    """
    rows = [row.name for row in original.profile.layers if row.kind in {"conv", "dense"}]
    common = [name for name in rows[:-1] if name in network.outputs_of]
    common = [name for name in common if name in original.outputs_of]
    step = max(1, len(common) // MOST_FEATURES)
    chosen = tuple(common[::-1][::step][:MOST_FEATURES][::-1])
    teacher = Teacher(original, network, chosen, torch.device("cpu"))
    student = network.copied_module()
    tap(student, [network.outputs_of[name].node for name in chosen])
    samples = torch.from_numpy(x)
    with torch.no_grad():
        wanted, found = teacher.answers(samples)[1:], student(samples)[1:] if chosen else ()
    fits = [a.shape == b.shape for a, b in zip(wanted, found, strict=True)]
    return tuple(name for name, same in zip(chosen, fits, strict=True) if same)


class Teacher:
    """The original's answers, and its features as far as the changed network holds their channels."""

    def __init__(
        self,
        original: Network,
        network: Network,
        features: tuple[str, ...],
        device: torch.device,
        *,
        brain_floats: bool = False,
    ) -> None:
        module = original.copied_module()
        tap(module, [original.outputs_of[name].node for name in features])
        self._module: fx.GraphModule = placed(module, device)
        self._device, self._brain_floats = device, brain_floats
        self._kept = [network.outputs_of[name].kept for name in features]
        self._axes = [original.profile.layer(name).out_axis + 1 for name in features]

    def answers(self, x: Tensor) -> tuple[Tensor, ...]:
        """Outputs and features, without a gradient."""
        with torch.no_grad(), products(self._device, brain_floats=self._brain_floats):
            found = self._module(in_order(x))
        outputs, *features = found if self._kept else (found,)
        answers = joined(outputs), *map(_only, features, self._kept, self._axes)
        return tuple(each.float() for each in answers)


def _only(feature: Tensor, kept: tuple[int, ...] | None, axis: int) -> Tensor:
    if kept is None:
        return feature
    return feature.index_select(axis, torch.tensor(kept, device=feature.device))


class Loss:
    """Softened divergence (Hinton et al., arXiv:1503.02531), matched features and cross entropy.

    The divergence is times ``temperature ** 2``. Features (Romero et al., FitNets, ICLR 2015, without their
    regressor, as channels correspond) count by squared error over the spread of the original's.
    """

    def __init__(self, original: Network, weighing: Weighing) -> None:
        self._scores = Scores(original)
        self._form = form_of(original.profile)
        self._weighing = weighing

    def of(
        self, given: tuple[Tensor, ...], wanted: tuple[Tensor, ...], labels: Tensor | None
    ) -> Tensor:
        """The loss of a batch: outputs and features of student and original, and class numbers."""
        weighing = self._weighing
        answers, right = self._scores.of(given[0]), self._scores.of(wanted[0])
        loss = distillation_loss(self._form, answers, right, weighing.temperature)
        if labels is not None and weighing.alpha < 1.0:
            hard = label_loss(self._form, answers, labels)
            loss = weighing.alpha * loss + (1.0 - weighing.alpha) * hard
        errors = [_relative_error(*pair) for pair in zip(given[1:], wanted[1:], strict=True)]
        return loss + weighing.feature_weight * sum(errors, torch.zeros_like(loss)) / max(
            1, len(errors)
        )


def _relative_error(given: Tensor, wanted: Tensor) -> Tensor:
    spread = (wanted - wanted.mean()).square().mean().clamp_min(1e-12)
    return (given - wanted).square().mean() / spread


class Judge:
    """Compares softened answers on the validation samples with the original's."""

    def __init__(
        self,
        network: Network,
        original: Network,
        validation: tuple[np.ndarray, np.ndarray | None],
        temperature: float,
    ) -> None:
        self._x, labels = validation
        self._temperature = temperature
        self._scores = Scores(network)
        self._wanted = logits(original, self._x)
        self._form = form_of(original.profile)
        self._labels = labels

    def divergence(self, student: Student) -> tuple[float, float]:
        """Softened divergence, and accuracy (agreement without labels)."""
        outputs = torch.cat(list(student.outputs(self._x)))
        given = self._form.rows(self._scores.of(outputs).numpy())
        return self._form.divergence(self._wanted, given, self._temperature), self._share(given)

    def _share(self, given: np.ndarray) -> float:
        """Of the answers that are right, or those of the original."""
        form, rows = self._form, given
        if self._labels is None:
            return float(form.same(form.answers(self._wanted), form.answers(rows)).mean())
        part, rows = form.of_judged(given)
        wanted = part.label_rows(self._labels)
        known = wanted != UNLABELLED
        return float(part.same(wanted[known], part.answers(rows[known])).mean())
