"""Fine-tuning by distillation: the changed network learns to answer as the original does."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional

from compression.augmentation import Augmentation, augmented
from compression.sensitivity import ends_in_softmax, kl_divergence, logits
from compression.sparsity import zero_again

if TYPE_CHECKING:
    from compression.graph import Network

Report = Callable[[int, int, dict[str, float]], bool]
"""Takes step, total and ``accuracy``, ``loss``, ``learning_rate``; ``False`` stops the training."""

Labelled = tuple[np.ndarray, np.ndarray | None]
"""Samples ``[samples, *input_shape]`` (float32) and class numbers, or ``None`` without labels."""


_SHALLOW = 5.0
"""Layers up to which the full learning rate is right (LeNet); 20 take half of it (ResNet-20)."""

_LONG = 300
"""Steps from which on the full learning rate is right; with fewer there is no time to settle."""


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
    """

    steps: int = 1000
    batch_size: int = 128
    learning_rate: float = 0.04
    temperature: float = 4.0
    alpha: float = 1.0
    seed: int = 0
    augmentation: Augmentation = Augmentation.NONE
    checks: int = 20


def distill(
    network: Network,
    original: Network,
    x: np.ndarray,
    y: np.ndarray | None,
    settings: FineTuning,
    validation: Labelled,
    report: Report,
) -> Network:
    """The network fine-tuned to the original's softened answers (and to the labels, if any).

    The weights that come back are those nearest to the original on the validation samples (softened
    divergence, the start included). Measured: with a few hundred validation samples, choosing by
    their accuracy loses up to four points on new people, choosing by divergence loses none.

    Args:
        network: A changed network; it stays as it was.
        original: The one that it came from.
        x: What it learns from, float32, ``[samples, *input_shape]``.
        y: Class numbers; ``None`` where there are no labels.
        settings: How long and how fast.
        validation: What the best is chosen by; no test sample may be in it.
        report: Called at every check; ``False`` stops and keeps the best so far.

    Returns:
        The best network met; on the validation samples never farther from the original than the
        one given.
    """
    judge = _Judge(network, original, validation, settings.temperature)
    judge.look(network.module)
    learner = _Learner(network, original, (x, y), settings)
    every = max(1, settings.steps // max(1, settings.checks))
    for step, chosen in enumerate(_batches(len(x), settings), start=1):
        rate, loss = learner.learn(chosen, step)
        if step % every and step != settings.steps:
            continue
        accuracy = judge.look(learner.plain())
        values = {"accuracy": accuracy, "loss": loss, "learning_rate": rate}
        if not report(step, settings.steps, values):
            break
    return replace(network, module=judge.best)


def _batches(samples: int, settings: FineTuning) -> Iterator[Tensor]:
    """Every sample once before any comes again; a last short batch is left out."""
    generator = torch.Generator().manual_seed(settings.seed)
    size = min(settings.batch_size, samples)
    order, start = torch.randperm(samples, generator=generator), 0
    for _ in range(settings.steps):
        if start + size > samples:
            order, start = torch.randperm(samples, generator=generator), 0
        yield order[start : start + size]
        start += size


class _Learner:
    """The student and its optimiser; batch norms keep their population statistics."""

    def __init__(
        self, network: Network, original: Network, training: Labelled, settings: FineTuning
    ) -> None:
        self._settings = settings
        self._x = training[0]
        self._y = training[1]
        self._softmax = ends_in_softmax(original)
        self._teacher = original.module
        self._student = network.copied_module()
        self._weights = list(self._student.parameters())
        for weight in self._weights:
            weight.requires_grad_(True)  # noqa: FBT003
        self._optimizer = torch.optim.Adam(_groups(self._student))
        self._generator = torch.Generator().manual_seed(settings.seed + 1)

    def learn(self, chosen: Tensor, step: int) -> tuple[float, float]:
        """One update; the learning rate that it was made with and the loss before it."""
        rate = self._rate(step)
        for group in self._optimizer.param_groups:
            group["lr"] = rate * group["size"]
        loss = self._loss(chosen)
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._weights, 5.0)
        self._optimizer.step()
        zero_again(self._student)
        return rate, float(loss.detach())

    def plain(self) -> fx.GraphModule:
        """A copy of the student as it is now."""
        module = copy.deepcopy(self._student)
        for weight in module.parameters():
            weight.requires_grad_(False)  # noqa: FBT003
            weight.grad = None
        return module

    def _rate(self, step: int) -> float:
        settings = self._settings
        warm_up = min(1.0, step / max(1, settings.steps // 20))
        falling = 0.5 * (1.0 + math.cos(math.pi * (step - 1) / settings.steps))
        short = math.sqrt(min(1.0, settings.steps / _LONG))
        return settings.learning_rate * short * warm_up * falling

    def _loss(self, chosen: Tensor) -> Tensor:
        settings = self._settings
        x = torch.from_numpy(self._x[chosen.numpy()])
        x = augmented(x, settings.augmentation, self._generator)
        with torch.no_grad():
            wanted = self._logits(self._teacher(x))
        given = self._logits(self._student(x))
        t = settings.temperature
        soft = functional.kl_div(
            functional.log_softmax(given / t, 1),
            functional.log_softmax(wanted / t, 1),
            reduction="batchmean",
            log_target=True,
        )
        if self._y is None or settings.alpha >= 1.0:
            return t * t * soft
        labels = torch.from_numpy(self._y[chosen.numpy()]).long()
        hard = functional.cross_entropy(given, labels)
        return settings.alpha * t * t * soft + (1.0 - settings.alpha) * hard

    def _logits(self, outputs: Tensor) -> Tensor:
        return outputs.clamp_min(1e-12).log() if self._softmax else outputs


def _groups(student: nn.Module) -> list[dict[str, Any]]:
    """For Adam: the weights of each layer with how far one step may move them at rate 1."""
    layers = [
        m for m in student.modules() if next(m.parameters(recurse=False), None) is not None
    ]
    depth = math.sqrt(min(1.0, _SHALLOW / len(layers)))
    groups = []
    for layer in layers:
        weights = list(layer.parameters(recurse=False))
        spread = float(weights[0].detach().square().mean().sqrt())
        groups.append({"params": weights, "size": depth * max(spread, 1e-4)})
    return groups


class _Judge:
    """Keeps the module whose softened answers on the validation samples are nearest."""

    def __init__(
        self, network: Network, original: Network, validation: Labelled, temperature: float
    ) -> None:
        self._network = network
        self._x, labels = validation
        self._temperature = temperature
        self._wanted = logits(original, self._x)
        self._labels = self._wanted.argmax(1) if labels is None else labels
        self._least = math.inf
        self.best = network.module

    def look(self, module: fx.GraphModule) -> float:
        """Accuracy on the validation samples (agreement without labels); remembers the best."""
        given = logits(replace(self._network, module=module), self._x)
        t = self._temperature
        divergence = kl_divergence(self._wanted / t, given / t)
        if divergence < self._least:
            self._least, self.best = divergence, module
        return float((given.argmax(1) == self._labels).mean())
