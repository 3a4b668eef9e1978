"""Two files on the same examples: what was lost, what was gained, and whether chance explains it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import bdtr

from compression.evaluation import Z95
from compression.outputs import AnswerKind

if TYPE_CHECKING:
    from collections.abc import Mapping

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

    ``n_lost`` and ``n_gained`` count positions where an example has several, and sum shares where there
    are several outputs; classes are compared and single answers are told only where an example has one.
    ``chance`` is the probability that two equally good files differ this much or more (exact McNemar
    test), where an example has one answer. ``relative_error`` is the root mean square error of values as
    a share of their spread. ``agreement_by_output`` is told of several outputs only.
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
    agreement_by_output: Mapping[str, float] = field(default_factory=dict)


def compare(
    before: Evaluation, after: Evaluation, split: Split, *, flips: int = 50
) -> Comparison:
    """What changed between two files on the same split; of each kind the surest flips come first.

    Where there are more than ``flips``, half of them are of either kind, as far as there are so many.
    """
    change = after.correct.astype(np.float64) - before.correct
    lost, gained = np.maximum(-change, 0), np.maximum(change, 0)
    # Positions of one example are alike: the interval counts examples.
    shares = float(lost.mean()) * before.n_test, float(gained.mean()) * before.n_test
    ends = paired_interval(*shares, before.n_test)
    single = before.form.kind is AnswerKind.CLASS
    one_answer = before.form.kind is not AnswerKind.SEVERAL and len(change) == before.n_test
    values = before.form.kind is AnswerKind.VALUES
    return Comparison(
        drop_points=100 * float(lost.mean() - gained.mean()),
        drop_ci_points=(100 * ends[0], 100 * ends[1]),
        n_lost=round(float(lost.sum())),
        n_gained=round(float(gained.sum())),
        agreement=float(before.form.same(before.answers, after.answers).mean()),
        per_class=tuple(
            _class_change(before, after, int(label)) for label in np.unique(before.wanted)
        )
        if single
        else (),
        flips=_flips(before, after, split, flips) if single else (),
        chance=exact_mcnemar(round(float(lost.sum())), round(float(gained.sum())))
        if one_answer
        else None,
        relative_error=before.form.parts[0].relative_error(before.answers, after.answers)
        if values
        else None,
        agreement_by_output=_agreement_by_output(before, after),
    )


def _agreement_by_output(before: Evaluation, after: Evaluation) -> dict[str, float]:
    if before.all_outputs is None or after.all_outputs is None:
        return {}
    form, answers = before.all_outputs
    shares = form.same(answers, after.all_outputs[1]).mean(axis=0)
    return dict(zip(form.names, shares.tolist(), strict=True))


def _flips(before: Evaluation, after: Evaluation, split: Split, most: int) -> tuple[Flip, ...]:
    """The surest of each kind, half of them of either where there are so many."""
    sure = np.maximum(before.confidences, after.confidences)
    changed = before.correct & ~after.correct, after.correct & ~before.correct
    kinds = [
        rows[np.argsort(-sure[rows], kind="stable")] for rows in map(np.flatnonzero, changed)
    ]
    room = [max(most // 2, most - len(other)) for other in reversed(kinds)]
    rows = np.concatenate([kind[:count] for kind, count in zip(kinds, room, strict=True)])
    return tuple(_flip(before, after, split, int(row)) for row in rows)


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
