"""How many points a changed network loses, judged from few examples without fooling oneself.

The measured difference on a few hundred examples is noisy: of a dozen recipes the one that happens
to gain looks best. The answers that changed tell more. Where the original was sure, a changed answer
is most likely a loss; where it wavered, it costs little. So the loss is expected from the original's
own calibrated probabilities (temperature scaling, Guo et al., ICML 2017), and the measured difference
moves that expectation as far as its precision allows. One standard error is added: a limit is a
limit, and what was tried on one person must hold for the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from selector.tables import Array, IntArray

Logits = NDArray[np.floating]

TEMPERATURES = (0.1, 0.25, 0.5, 0.75, 1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0, 6.0)
"""Below 1 for networks that are right more often than they are sure, as after label smoothing."""

_WITHIN_GROUP = 0.05
"""How alike examples of one person, speaker or scene are (intra-class correlation)."""

_OWN_ERROR = 0.25  # share by which calibrated probabilities are off themselves
_LEAST_ERROR = 0.05  # points


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Percentage points lost: ``measured``, ``expected`` from the changed answers, and ``points``.

    ``points`` weighs the two by their precision and adds one standard error.
    """

    measured: float
    expected: float
    points: float


class LossEstimator:
    """The original's answers to held-out examples, against which changed ones are judged.

    Args:
        logits: ``[N, classes]`` of the original.
        labels: ``[N]`` true classes; ``None`` counts every changed answer as a loss.
        n_groups: how many persons, speakers, ... the examples come from; 0 when they are unrelated.
    """

    def __init__(self, logits: Logits, labels: IntArray | None, n_groups: int = 0) -> None:
        self._answers = logits.argmax(axis=1)
        self._labels = self._answers if labels is None else labels
        self._logits = logits
        self._labelled = labels is not None
        self._n_effective = _effective(len(logits), n_groups)

    @cached_property
    def _probabilities(self) -> Array:
        """The original's probabilities at the temperature that explains the labels best."""
        rows = np.arange(len(self._labels))
        candidates = [_softmax(self._logits / temperature) for temperature in TEMPERATURES]
        likelihoods = [float(np.log(p[rows, self._labels] + 1e-9).mean()) for p in candidates]
        return candidates[int(np.argmax(likelihoods))]

    def loss(self, logits: Logits) -> Loss:
        """What a network with those answers ``[N, classes]`` loses."""
        answers = logits.argmax(axis=1)
        right = (self._answers == self._labels).astype(float) - (answers == self._labels)
        measured = 100.0 * float(right.mean())
        if not self._labelled:
            return Loss(measured=measured, expected=measured, points=measured)
        if np.array_equal(answers, self._answers):
            return Loss(measured=0.0, expected=0.0, points=0.0)
        rows, p = np.arange(len(answers)), self._probabilities
        regret = 100.0 * (p[rows, self._answers] - p[rows, answers])
        expected = float(regret.mean())
        variances = (
            regret.var() / self._n_effective + (_OWN_ERROR * expected) ** 2 + _LEAST_ERROR**2,
            (100.0 * right).var() / self._n_effective + _LEAST_ERROR**2,
        )
        weights = 1.0 / np.array(variances)
        mean = float(weights @ (expected, measured) / weights.sum())
        return Loss(
            measured=measured, expected=expected, points=mean + float(weights.sum() ** -0.5)
        )


def loss_of_agreement(same: NDArray[np.bool_ | np.float64]) -> Loss:
    """The points lost where every answer that changed counts as a loss; ``same`` says which did not.

    Of several outputs it says for each which share of its answers did not.
    """
    points = 100.0 * (1.0 - float(same.mean()))
    return Loss(measured=points, expected=points, points=points)


def _effective(count: int, n_groups: int) -> float:
    """Independent examples that ``count`` grouped ones are worth (Kish's design effect)."""
    if not n_groups:
        return float(count)
    return count / (1.0 + (count / n_groups - 1.0) * _WITHIN_GROUP)


def _softmax(logits: Logits) -> Array:
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True))
