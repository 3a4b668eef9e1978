"""One update after the other: samples, the student's optimiser, and what both need to go on later."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, nn

from compression.augmentation import Augmentation, augmented
from compression.outputs import UNLABELLED
from compression.sparsity import zero_again

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compression.data import Samples
    from compression.distillation import Loss, Teacher
    from compression.student import Student

_SHALLOW = 5.0
"""Layers up to which the full learning rate is right (LeNet); 20 take half of it (ResNet-20)."""

_LONG = 300
"""Steps from which on the full learning rate is right; with fewer there is no time to settle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How far and in which order to go; the attributes are those of ``FineTuning``."""

    steps: int
    batch_size: int
    learning_rate: float
    seed: int
    augmentation: Augmentation

    def rate(self, step: int) -> float:
        """The learning rate of a step, counted from 1: a short warm-up, then half a cosine."""
        warm_up = min(1.0, step / max(1, self.steps // 20))
        falling = 0.5 * (1.0 + math.cos(math.pi * (step - 1) / self.steps))
        short = math.sqrt(min(1.0, self.steps / _LONG))
        return self.learning_rate * short * warm_up * falling


class Curriculum:
    """Labelled and unlabelled samples as one set, without copying any.

    Args:
        x: ``[samples, *input_shape]``, float32.
        y: Class numbers of ``x``, or ``None``.
        unlabelled: More samples that nobody labelled; may be empty.
    """

    def __init__(self, x: Samples, y: np.ndarray | None, *unlabelled: Samples) -> None:
        self._parts = x, *unlabelled
        self._ends = np.cumsum([len(part) for part in self._parts])
        self._y = y

    def __len__(self) -> int:
        return sum(map(len, self._parts))

    def at(self, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """The samples at some places, and their class numbers (``UNLABELLED`` where there is none)."""
        rows = chosen.numpy()
        places = np.searchsorted(self._ends, rows, side="right")
        x = np.empty((len(rows), *self._parts[0][:0].shape[1:]), np.float32)
        for place, (part, end) in enumerate(zip(self._parts, self._ends, strict=True)):
            own = places == place
            x[own] = part[rows[own] - (end - len(part))]
        known = places == 0
        if self._y is None:
            return torch.from_numpy(x), None
        labels = np.full((len(rows), *self._y.shape[1:]), UNLABELLED, np.int64)
        labels[known] = self._y[rows[known]]
        return torch.from_numpy(x), torch.from_numpy(labels)


def batches(samples: int, pace: Pace) -> Iterator[Tensor]:
    """Every sample once before any comes again; a last short batch is left out."""
    generator = torch.Generator().manual_seed(pace.seed)
    size = min(pace.batch_size, samples)
    order, start = torch.randperm(samples, generator=generator), 0
    for _ in range(pace.steps):
        if start + size > samples:
            order, start = torch.randperm(samples, generator=generator), 0
        yield order[start : start + size]
        start += size


class Learner:
    """The student's optimiser; batch norms that the network came with keep their statistics.

    Attributes:
        share: Of the planned learning rate; less after a breakdown.
    """

    def __init__(
        self, student: Student, teacher: Teacher, loss: Loss, samples: Curriculum, pace: Pace
    ) -> None:
        self.share = 1.0
        self._student, self._teacher, self._loss = student, teacher, loss
        self._samples, self._pace = samples, pace
        self._weights = list(student.module.parameters())
        for weight in self._weights:
            weight.requires_grad_(True)  # noqa: FBT003
        self._optimizer = torch.optim.Adam(_groups(student))
        self._generator = torch.Generator().manual_seed(pace.seed + 1)

    def learn(self, chosen: Tensor, step: int) -> tuple[float, float]:
        """One update; the learning rate that it was made with and the loss before it.

        A loss that is not finite updates nothing.
        """
        rate = self.share * self._pace.rate(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["size"]
        loss = self._batch_loss(chosen)
        if not bool(loss.isfinite()):
            return rate, math.nan
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._weights, 5.0)
        self._optimizer.step()
        zero_again(self._student.module)
        return rate, float(loss.detach())

    def state(self) -> dict[str, Tensor]:
        """All that changes from step to step, copied."""
        found = {f"student.{name}": t for name, t in self._student.state().items()}
        for number, weight in enumerate(self._weights):
            moments = self._optimizer.state.get(weight, {})
            found |= {f"adam.{number}.{name}": t for name, t in moments.items()}
        found["generator"] = self._generator.get_state()
        return {name: t.detach().clone() for name, t in found.items()}

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Goes back to a ``state``, on whatever device it was kept."""
        prefix = "student."
        self._student.load(
            {n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)}
        )
        self._optimizer.state.clear()
        for number, weight in enumerate(self._weights):
            start = f"adam.{number}."
            moments = {
                n.removeprefix(start): t.clone()
                if n.endswith(".step")
                else t.to(weight, copy=True)
                for n, t in state.items()
                if n.startswith(start)
            }
            if moments:
                self._optimizer.state[weight] = moments
        self._generator.set_state(state["generator"].cpu())

    def _batch_loss(self, chosen: Tensor) -> Tensor:
        x, labels = self._samples.at(chosen)
        x = x.to(self._student.device)
        x = augmented(x, self._pace.augmentation, self._generator)
        given, wanted = self._student.answers(x), self._teacher.answers(x)
        on_device = None if labels is None else labels.to(x.device)
        return self._loss.of(given, wanted, on_device)


def _groups(student: Student) -> list[dict[str, Any]]:
    """For Adam: the weights of each layer with how far one step may move them at rate 1."""
    layers = student.layers()
    depth = math.sqrt(min(1.0, _SHALLOW / max(1, len(layers) - len(student.norms))))
    groups = []
    for layer in layers:
        weights = list(layer.parameters(recurse=False))
        spread = float(weights[0].detach().square().mean().sqrt())
        groups.append({"params": weights, "size": depth * max(spread, 1e-4)})
    return groups
