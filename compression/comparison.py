"""Two files on the same examples: what was lost, what was gained, and whether chance explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr

from compression.evaluation import Z95
from compression.outputs import AnswerKind

if TYPE_CHECKING:
    from compression.data import Split
    from compression.evaluation import Evaluation


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """An example whose answer went from right to wrong or back; ``index`` is its row in the data."""

    index: int
    wanted: int
    before: int
    after: int
    confidence_before: float
    confidence_after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassChange:
    """Accuracy of one class before and after (shares); 95 % interval of the change in points."""

    label: int
    n: int
    before: float
    after: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two files on the same examples. ``drop_points`` are percentage points; positive is a loss.

    ``n_lost`` and ``n_gained`` count positions where an example has several; classes are compared and
    single answers are told only where an example has one. ``chance`` is the probability that two equally
    good files differ this much or more (exact McNemar test), where an example has one answer.
    ``relative_error`` is the root mean square error of values as a share of their spread.
    """

    drop_points: float
    drop_ci_points: tuple[float, float]
    n_lost: int
    n_gained: int
    agreement: float
    per_class: tuple[ClassChange, ...]
    flips: tuple[Flip, ...]
    chance: float | None = None
    relative_error: float | None = None


def compare(
    before: Evaluation, after: Evaluation, split: Split, *, flips: int = 50
) -> Comparison:
    """What changed between two files on the same split; of each kind the surest flips come first.

    Where there are more than ``flips``, half of them are of either kind, as far as there are so many.
    """
    lost = before.correct & ~after.correct
    gained = after.correct & ~before.correct
    n, positions = len(lost), before.form.positions
    # Positions of one example are alike: the interval counts examples.
    shares = float(lost.sum()) / positions, float(gained.sum()) / positions
    ends = paired_interval(*shares, n // positions)
    sure = np.maximum(before.confidences, after.confidences)
    kinds = [
        rows[np.argsort(-sure[rows], kind="stable")]
        for rows in map(np.flatnonzero, (lost, gained))
    ]
    room = [max(flips // 2, flips - len(other)) for other in reversed(kinds)]
    rows = np.concatenate([kind[:most] for kind, most in zip(kinds, room, strict=True)])
    single = before.form.kind is AnswerKind.CLASS
    values = before.form.kind is AnswerKind.VALUES
    return Comparison(
        drop_points=100 * (int(lost.sum()) - int(gained.sum())) / n,
        drop_ci_points=(100 * ends[0], 100 * ends[1]),
        n_lost=int(lost.sum()),
        n_gained=int(gained.sum()),
        agreement=float(before.form.same(before.answers, after.answers).mean()),
        per_class=tuple(
            _class_change(before, after, int(label)) for label in np.unique(before.wanted)
        )
        if single
        else (),
        flips=tuple(_flip(before, after, split, int(row)) for row in rows) if single else (),
        chance=exact_mcnemar(int(lost.sum()), int(gained.sum())) if positions == 1 else None,
        relative_error=before.form.relative_error(before.answers, after.answers)
        if values
        else None,
    )


def paired_interval(lost: float, gained: float, total: int) -> tuple[float, float]:
    """The 95 % interval of the loss of accuracy between two files on the same examples.

    Adjusted Wald (Bonett and Price 2012): one imagined loss and one gain keep it honest when
    hardly any answer changed.
    """
    p_lost, p_gained = (lost + 1) / (total + 2), (gained + 1) / (total + 2)
    middle = p_lost - p_gained
    half = Z95 * math.sqrt((p_lost + p_gained - middle**2) / (total + 2))
    return middle - half, middle + half


def exact_mcnemar(lost: int, gained: int) -> float:
    """The two-sided exact McNemar test: how likely so uneven a split of the flips is by chance."""
    return min(1.0, 2 * float(bdtr(min(lost, gained), lost + gained, 0.5)))


def _class_change(before: Evaluation, after: Evaluation, label: int) -> ClassChange:
    rows = before.wanted == label
    was, now = before.correct[rows], after.correct[rows]
    low, high = paired_interval(int((was & ~now).sum()), int((now & ~was).sum()), len(was))
    return ClassChange(
        label=label,
        n=len(was),
        before=float(was.mean()),
        after=float(now.mean()),
        low=-100 * high,
        high=-100 * low,
    )


def _flip(before: Evaluation, after: Evaluation, split: Split, row: int) -> Flip:
    return Flip(
        index=int(split.indices[row]),
        wanted=int(before.wanted[row]),
        before=int(before.answers[row]),
        after=int(after.answers[row]),
        confidence_before=round(float(before.confidences[row]), 4),
        confidence_after=round(float(after.confidences[row]), 4),
    )
