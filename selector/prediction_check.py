"""How far predictions of built candidates are off, each made without the candidate that it is about."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.accuracy import FLOOR, relevant

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.accuracy import AccuracyModel, Lessons
    from selector.tables import Array


NEARLY_FULL = 0.9
"""Share of the steps from which on nobody needs to be told that trials were shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Predictions of built candidates, each made without that candidate, against what came out.

    ``typical_points`` is the median of the errors, ``factor_90`` the factor within which 9 in 10
    of ``(points + FLOOR)`` were; ``rank_correlation`` (Spearman) says whether the order was right,
    0 below three candidates. ``trained`` is the share of a full recovery's steps that they were
    fine-tuned for, on geometric average.
    """

    n_left_out: int
    typical_points: float
    factor_90: float
    rank_correlation: float
    trained: float = 1.0

    @property
    def sentence(self) -> str:
        """The check in words for the user."""
        return (
            f"Each of {self.n_left_out} built candidates predicted from the others: typically "
            f"{self.typical_points:.1f} points off, 9 in 10 within a factor of {self.factor_90:.1f}."
            f"{self._extrapolated}"
        )

    @property
    def _extrapolated(self) -> str:
        """That what a full recovery loses was never seen."""
        if self.trained > NEARLY_FULL:
            return ""
        return (
            f" They were fine-tuned for {100 * self.trained:.0f} % of the steps that a build takes: "
            "what a build loses is predicted from these short trials."
        )

    def to_json(self) -> dict[str, float]:
        """Plain values that ``from_json`` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Check:
        """Read what ``to_json`` wrote."""
        return cls(**values)


def check(model: AccuracyModel, built: Lessons, alone: Array) -> Check:
    """Leave each built candidate out in turn and predict it, as it was trained, from the others.

    Args:
        model: says what the most is that can be lost.
        built: the candidates as they are fitted to.
        alone: ``[N, 3]`` their features without what only the candidate itself has told; what is predicted from.
    """
    # the untouched network is nothing to predict
    usable = np.asarray(np.isfinite(built.features).all(axis=-1))
    built, alone = built.where(usable), alone[usable]
    truth = np.maximum(built.drop_points, 0.0)
    if not len(truth):
        return Check(n_left_out=0, typical_points=0.0, factor_90=1.0, rank_correlation=0.0)
    predicted = model.left_out(relevant(built), alone)
    errors = np.abs(np.log(predicted + FLOOR) - np.log(truth + FLOOR))
    return Check(
        n_left_out=len(truth),
        typical_points=float(np.median(np.abs(predicted - truth))),
        factor_90=float(np.exp(np.quantile(errors, 0.9))),
        rank_correlation=rank_correlation(predicted, truth),
        trained=float(np.exp(np.mean(np.log(built.trained)))),
    )


def rank_correlation(first: Array, second: Array) -> float:
    """Spearman's, of two rows ``[N]``; 0 below three or where one does not vary."""
    if len(first) < 3:
        return 0.0
    one, other = (ranks - ranks.mean() for ranks in (_ranks(first), _ranks(second)))
    scale = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / scale if scale else 0.0


def _ranks(values: Array) -> Array:
    """``[N]`` ranks from 0; equals share the mean of theirs."""
    below = (values[None] < values[:, None]).sum(axis=1)
    equal = (values[None] == values[:, None]).sum(axis=1)
    return np.asarray(below + (equal - 1) / 2)
