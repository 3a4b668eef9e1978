"""How good an ONNX file is: accuracy or agreement with its interval, and what changed for whom."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.onnx_probing import quiet_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compression.data import Split
    from compression.types import NetworkProfile

ACCURACY, AGREEMENT = "accuracy", "agreement"

_Z95 = 1.959964
_SUM_TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What a file scores on a split.

    ``accuracy`` is a share of 1 with its Wilson 95 % interval; its ``kind`` is ``accuracy`` or
    ``agreement`` (share of answers equal to the original's). ``zip_bytes`` is the file deflated.
    ``answers`` and ``confidences`` are the top class of each example and its probability.
    """

    accuracy: float
    accuracy_ci: tuple[float, float]
    kind: str
    n_test: int
    size_bytes: int
    zip_bytes: int
    macs: int
    params: int
    answers: NDArray[np.int64] = field(repr=False)
    confidences: NDArray[np.float32] = field(repr=False)
    wanted: NDArray[np.int64] = field(repr=False)

    @property
    def correct(self) -> NDArray[np.bool_]:
        """Which answers are as wanted."""
        return np.asarray(self.answers == self.wanted)

    def to_json(self) -> dict[str, Any]:
        """The keys of a report's ``baseline`` and ``result``."""
        return {
            "accuracy": round(self.accuracy, 6),
            "accuracy_ci": [round(end, 6) for end in self.accuracy_ci],
            "accuracy_kind": self.kind,
            "n_test": self.n_test,
            "size_bytes": self.size_bytes,
            "zip_bytes": self.zip_bytes,
            "macs": self.macs,
            "params": self.params,
        }


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
    """Two files on the same examples. ``drop_points`` are percentage points; positive is a loss."""

    drop_points: float
    drop_ci_points: tuple[float, float]
    n_lost: int
    n_gained: int
    agreement: float
    per_class: tuple[ClassChange, ...]
    flips: tuple[Flip, ...]


def onnx_logits(data: bytes, x: NDArray[np.float32], batch: int = 256) -> NDArray[np.float32]:
    """What the file answers to model-ready inputs ``[n, ...]``: its first output, ``[n, classes]``."""
    session = quiet_session(data)
    entry = session.get_inputs()[0]
    fixed = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else 0
    size = fixed or batch
    answers = []
    for start in range(0, len(x), size):
        part = x[start : start + size]
        missing = fixed - len(part) if fixed else 0
        if missing:
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        found = session.run(None, {entry.name: part})[0]
        answers.append(found[: len(found) - missing])
    flat: NDArray[np.float32] = np.concatenate(answers).reshape(len(x), -1)
    return flat


def evaluate_onnx(
    data: bytes,
    split: Split,
    *,
    reference: NDArray[np.int64] | None = None,
    profile: NetworkProfile | None = None,
) -> Evaluation:
    """Score a file on a split: accuracy when it has labels, else agreement with ``reference``.

    Args:
        data: the ONNX file.
        split: examples, prepared as the model reads them.
        reference: the original's answers on the split; left out, the file is the original.
        profile: where MACs and parameters are taken from.
    """
    logits = np.concatenate([onnx_logits(data, x) for x, _ in split.batches(2048)])
    answers = logits.argmax(axis=1).astype(np.int64)
    wanted = split.y if split.y is not None else answers if reference is None else reference
    correct = int((answers == wanted).sum())
    return Evaluation(
        accuracy=correct / len(answers),
        accuracy_ci=wilson_interval(correct, len(answers)),
        kind=ACCURACY if split.y is not None else AGREEMENT,
        n_test=len(answers),
        size_bytes=len(data),
        zip_bytes=zip_bytes(data),
        macs=profile.macs if profile else 0,
        params=profile.params if profile else 0,
        answers=answers,
        confidences=probabilities(logits).max(axis=1),
        wanted=wanted,
    )


def compare(
    before: Evaluation, after: Evaluation, split: Split, *, flips: int = 50
) -> Comparison:
    """What changed between two files on the same split; the flips of most confidence come first."""
    lost = before.correct & ~after.correct
    gained = after.correct & ~before.correct
    n = len(lost)
    low, high = paired_interval(int(lost.sum()), int(gained.sum()), n)
    sure = np.maximum(before.confidences, after.confidences)
    rows = np.flatnonzero(lost | gained)
    rows = rows[np.lexsort((rows, -sure[rows], gained[rows]))][:flips]
    return Comparison(
        drop_points=100 * (int(lost.sum()) - int(gained.sum())) / n,
        drop_ci_points=(100 * low, 100 * high),
        n_lost=int(lost.sum()),
        n_gained=int(gained.sum()),
        agreement=float((before.answers == after.answers).mean()),
        per_class=tuple(
            _class_change(before, after, int(label)) for label in np.unique(before.wanted)
        ),
        flips=tuple(_flip(before, after, split, int(row)) for row in rows),
    )


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): sound at shares near 0 and 1."""
    share, z2 = correct / total, _Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = (
        _Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def paired_interval(lost: int, gained: int, total: int) -> tuple[float, float]:
    """The 95 % interval of the loss of accuracy between two files on the same examples.

    Adjusted Wald (Bonett and Price 2012): one imagined loss and one gain keep it honest when
    hardly any answer changed.
    """
    p_lost, p_gained = (lost + 1) / (total + 2), (gained + 1) / (total + 2)
    middle = p_lost - p_gained
    half = _Z95 * math.sqrt((p_lost + p_gained - middle**2) / (total + 2))
    return middle - half, middle + half


def probabilities(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """Class probabilities from what a network puts out: logits, log-probabilities or these."""
    total = outputs[:32].sum(axis=1)
    if (outputs[:32] >= 0).all() and np.allclose(total, 1, atol=_SUM_TOLERANCE):
        return outputs
    shifted = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    ready: NDArray[np.float32] = shifted / shifted.sum(axis=1, keepdims=True)
    return ready


def zip_bytes(data: bytes) -> int:
    """The size of a zip that holds nothing but the file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("model.onnx", data)
    return len(buffer.getvalue())


def is_chance(accuracy_ci: tuple[float, float], labels: NDArray[np.int64]) -> bool:
    """Whether an accuracy could come from always naming the commonest class."""
    commonest = float(np.bincount(labels).max() / len(labels))
    return accuracy_ci[0] <= commonest


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
