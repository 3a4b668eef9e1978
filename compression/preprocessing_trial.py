"""Which of the likely ways to prepare the data is right: the one under which the original works."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from compression.evaluation import probabilities
from compression.outputs import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from compression.data import Dataset, Split
    from compression.outputs import OutputForm
    from compression.preprocessing import Preprocessing

_SIGNIFICANT = 3.0
_WORTH_WHILE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class PreprocessingTrial:
    """How well the original does under one way to prepare the arrays; NaN where nobody can tell."""

    preprocessing: Preprocessing
    accuracy: float
    loss: float


def try_preprocessing(
    dataset: Dataset,
    answer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    *,
    form: OutputForm | None = None,
    examples: int = 500,
) -> tuple[PreprocessingTrial, ...]:
    """Try every candidate of a data set; the one to take comes first, the others by accuracy.

    A later candidate displaces a likelier one only by a lower loss that chance does not explain
    (three standard errors, example by example): accuracies alone tie. Without labels nothing can be
    told and the candidates keep their order.

    Args:
        dataset: with its candidates.
        answer: model-ready inputs to rows of scores, of the output that labels are about.
        form: how that output is read; left out, as one class an example.
        examples: at most so many, of the search split; the test split is never touched.
    """
    labels = dataset.search.take(examples).y
    if labels is None:
        return tuple(
            PreprocessingTrial(preprocessing=candidate, accuracy=math.nan, loss=math.nan)
            for candidate in dataset.candidates
        )
    trials, losses = [], []
    for candidate in dataset.candidates:
        split = dataset.with_preprocessing(candidate).search.take(examples)
        trial, loss = _try(split, form.label_rows(labels) if form else labels, answer)
        trials.append(trial)
        losses.append(loss)
    best = 0
    for challenger in range(1, len(trials)):
        if _is_better(losses[challenger], losses[best]):
            best = challenger
    others = sorted(trials[:best] + trials[best + 1 :], key=lambda trial: -trial.accuracy)
    return (trials[best], *others)


def _try(
    split: Split,
    labels: NDArray[np.int64],
    answer: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> tuple[PreprocessingTrial, NDArray[np.float64]]:
    outputs = answer(split.x)
    known = labels != UNLABELLED
    chosen = probabilities(outputs)[np.arange(len(labels)), np.where(known, labels, 0)]
    losses = np.where(known, -np.log(np.maximum(chosen, 1e-9)), 0).astype(np.float64)
    # Positions of one example are alike: only whole examples tell chance.
    loss = losses.reshape(len(split), -1).mean(axis=1)
    trial = PreprocessingTrial(
        preprocessing=split.preprocessing,
        accuracy=float((outputs.argmax(axis=1) == labels)[known].mean()),
        loss=float(loss.mean()),
    )
    return trial, loss


def _is_better(challenger: NDArray[np.float64], champion: NDArray[np.float64]) -> bool:
    gain = champion - challenger
    error = gain.std() / math.sqrt(len(gain))
    return bool(gain.mean() > max(_SIGNIFICANT * error, _WORTH_WHILE * champion.mean()))
