"""What fine-tuning minimises: how far answers are from the original's, or from the labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch.nn import functional

from compression.outputs import TOLERANCE, UNLABELLED, AnswerKind

if TYPE_CHECKING:
    from torch import Tensor

    from compression.answer_forms import AnswerForm
    from compression.outputs import OutputForm

_LEAST_SPREAD = 1e-3


def distillation_loss(
    form: AnswerForm, given: Tensor, wanted: Tensor, temperature: float
) -> Tensor:
    """How far the answers are from the original's, mean over examples and positions, and over outputs.

    Class scores: KL divergence of the softened answers times the squared temperature (Hinton et al.,
    2015, section 2). Values: half the squared error in units of what counts as equal, the divergence
    of ``OutputForm.divergence``.

    Args:
        form: What the outputs mean.
        given: Outputs of the network that learns, as ``graph.joined`` gives them; logits where it classifies.
        wanted: Those of the original.
        temperature: Softens class scores.
    """
    pairs = zip(form.parts, form.apart(given), form.apart(wanted), strict=True)
    losses = [_loss_of(part, ours, theirs, temperature) for part, ours, theirs in pairs]
    return torch.stack(losses).mean()


def _loss_of(form: OutputForm, given: Tensor, wanted: Tensor, temperature: float) -> Tensor:
    axis = form.axis + 1
    given, wanted = (y.reshape(len(y), *form.shape) for y in (given, wanted))
    if form.kind is AnswerKind.VALUES:
        return _error_of_values(given, wanted, axis)
    soft = functional.kl_div(
        functional.log_softmax(given / temperature, axis),
        functional.log_softmax(wanted / temperature, axis),
        reduction="none",
        log_target=True,
    )
    return temperature**2 * soft.sum(axis).mean()


def _error_of_values(given: Tensor, wanted: Tensor, axis: int) -> Tensor:
    places = [i for i in range(1, wanted.ndim) if i != axis]
    variance = wanted.var(dim=0, correction=0, keepdim=True)
    spread = (variance.mean(dim=places, keepdim=True) if places else variance).sqrt()
    floor = spread.max().clamp_min(1e-12) * _LEAST_SPREAD
    return ((given - wanted) / spread.clamp_min(floor)).square().mean() / (2 * TOLERANCE**2)


def label_loss(form: AnswerForm, given: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy to class numbers, ``[n]`` or ``[n, *positions]``, mean over all of them.

    Of several outputs the judged one counts. What is ``UNLABELLED`` adds nothing.
    """
    part, scores = form.parts[form.judged], form.apart(given)[form.judged]
    scores, wanted = torch.movedim(scores, part.axis + 1, 1), labels.long()
    total = functional.cross_entropy(scores, wanted, ignore_index=UNLABELLED, reduction="sum")
    return total / wanted.numel()
