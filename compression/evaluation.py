"""How good an ONNX file is: accuracy or agreement with its interval, and what changed for whom."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.answer_forms import JointForm, answer_form, form_of
from compression.outputs import UNLABELLED, AnswerKind
from compression.packed import packed_bytes
from compression.runtime import quiet_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compression.answer_forms import AnswerForm
    from compression.data import Split
    from compression.outputs import OutputForm
    from compression.types import NetworkProfile

ACCURACY, AGREEMENT = "accuracy", "agreement"
SYNTHETIC_AGREEMENT = "agreement_on_synthetic_inputs"

Z95 = 1.959964
_SUM_TOLERANCE = 1e-3
_ROWS_AT_ONCE = 512
# Activations of a batch are many times its inputs: large images go in small batches.
_BATCH_VALUES, _LARGEST_BATCH = 2**20, 64


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What a file scores on a split.

    ``accuracy`` is a share of 1 with its Wilson 95 % interval; its ``kind`` is ``accuracy``,
    ``agreement`` (share of answers equal to the original's) or the same on synthetic inputs. What an
    answer is says ``form``: there is one for each position of each example, and positions of one
    example are alike, so the interval counts examples. ``zip_bytes`` is the file deflated,
    ``packed_bytes`` entropy-coded (nothing where that would take minutes).
    ``answers`` and ``confidences`` are the top class of each position and its probability; for values
    they are the values, and nothing is known of the confidence (0). Positions without a label are left
    out. Of several outputs, ``form`` and ``answers`` are those that labels are about, where there are
    labels; ``all_outputs`` tells how all are read and what they answer.
    """

    accuracy: float
    accuracy_ci: tuple[float, float]
    kind: str
    n_test: int
    size_bytes: int
    zip_bytes: int
    macs: int
    params: int
    form: AnswerForm
    answers: NDArray[Any] = field(repr=False)
    confidences: NDArray[np.float32] = field(repr=False)
    wanted: NDArray[Any] = field(repr=False)
    packed_bytes: int | None = None
    all_outputs: tuple[JointForm, NDArray[Any]] | None = field(default=None, repr=False)

    @property
    def correct(self) -> NDArray[Any]:
        """Which answers are as wanted, 0 or 1; of several outputs the shares that are."""
        return self.form.same(self.wanted, self.answers)

    @property
    def words(self) -> str:
        """What ``accuracy`` is, in words."""
        if self.kind == ACCURACY:
            return self.form.parts[self.form.judged].accuracy_words()
        where = " on synthetic inputs" if self.kind == SYNTHETIC_AGREEMENT else ""
        return self.form.words() + where

    def to_json(self) -> dict[str, Any]:
        """The keys of a report's ``baseline`` and ``result``."""
        return {
            "accuracy": round(self.accuracy, 6),
            "accuracy_ci": [round(end, 6) for end in self.accuracy_ci],
            "accuracy_kind": self.kind,
            "accuracy_words": self.words,
            "answer_kind": self.form.kind.value,
            "n_test": self.n_test,
            "size_bytes": self.size_bytes,
            "zip_bytes": self.zip_bytes,
            "packed_bytes": self.packed_bytes,
            "macs": self.macs,
            "params": self.params,
        }


class OnnxAnswers:
    """A loaded file that answers to inputs; load it once for many batches."""

    def __init__(self, data: bytes) -> None:
        self._session = quiet_session(data)
        entry = self._session.get_inputs()[0]
        self._input = entry.name
        self._fixed = entry.shape[0] if entry.shape and isinstance(entry.shape[0], int) else 0
        self._names = [output.name for output in self._session.get_outputs()]

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The outputs for model-ready inputs ``[n, ...]`` as rows, see ``answer_forms``."""
        size = self._fixed or int(
            np.clip(_BATCH_VALUES // max(1, x[:1].size), 1, _LARGEST_BATCH)
        )
        parts = [self._rows(x[start : start + size]) for start in range(0, len(x), size)]
        return np.concatenate(parts)

    def form(self, x: NDArray[np.float32]) -> AnswerForm:
        """How the outputs are read, told from those of some inputs ``[n, ...]``."""
        return self._form(x, self._answer(x[: self._fixed or 1]))

    def _form(self, x: NDArray[np.float32], outputs: list[NDArray[np.float32]]) -> AnswerForm:
        shapes = [output.shape[1:] for output in outputs]
        return answer_form(x.shape[1:], dict(zip(self._names, shapes, strict=True)))

    def _rows(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        found = self._answer(part)
        form = self._form(part, found)
        if len(found) == 1:
            return form.rows(found[0])
        return form.rows(np.concatenate([y.reshape(len(y), -1) for y in found], axis=1))

    def _answer(self, part: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        missing = max(0, self._fixed - len(part))
        if missing:
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        found: list[NDArray[np.float32]] = self._session.run(None, {self._input: part})
        return [output[: len(output) - missing] for output in found]


def onnx_logits(data: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a file answers to model-ready inputs ``[n, ...]``: ``[n * positions, channels]``."""
    return OnnxAnswers(data)(x)


def onnx_log_probabilities(data: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities ``[n * positions, classes]`` of a file's answers, whatever it ends in.

    Values have no probabilities: they are given as they are. Several outputs are joined to ``[n, values]``.
    """
    answer = OnnxAnswers(data)
    return answer.form(x).each(answer(x), _log_probabilities)


def _log_probabilities(form: OutputForm, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if form.kind is AnswerKind.VALUES:
        return rows
    floor = np.float32(1e-12)
    ready: NDArray[np.float32] = np.log(np.maximum(probabilities(rows), floor))
    return ready


def evaluate_onnx(
    data: bytes,
    split: Split,
    *,
    reference: NDArray[Any] | None = None,
    profile: NetworkProfile | None = None,
    synthetic: bool = False,
) -> Evaluation:
    """Score a file on a split: accuracy when it has labels, else agreement with ``reference``.

    Args:
        data: the ONNX file.
        split: examples, prepared as the model reads them.
        reference: the original's answers on the split; left out, the file is the original.
        profile: where MACs and parameters are taken from.
        synthetic: the examples were made up.
    """
    answer = OnnxAnswers(data)
    rows = np.concatenate([answer(x) for x, _ in split.batches(_ROWS_AT_ONCE)])
    whole = form_of(profile) if profile else answer.form(split.x_at(np.arange(1)))
    form, own, labels = _labelled_rows(whole, rows, split)
    answers = form.answers(own)
    wanted = labels if labels is not None else answers if reference is None else reference
    share = float(form.same(wanted, answers).mean())
    agreement = SYNTHETIC_AGREEMENT if synthetic else AGREEMENT
    return Evaluation(
        accuracy=share,
        accuracy_ci=wilson_interval(share * len(split), len(split)),
        kind=ACCURACY if labels is not None else agreement,
        form=form,
        n_test=len(split),
        size_bytes=len(data),
        zip_bytes=zip_bytes(data),
        macs=profile.macs if profile else 0,
        params=profile.params if profile else 0,
        answers=answers,
        confidences=_confidences(form, own),
        wanted=wanted,
        packed_bytes=packed_bytes(data),
        all_outputs=(whole, whole.answers(rows)) if isinstance(whole, JointForm) else None,
    )


def _labelled_rows(
    form: AnswerForm, rows: NDArray[np.float32], split: Split
) -> tuple[AnswerForm, NDArray[np.float32], NDArray[np.int64] | None]:
    """What is judged: where there are labels, the output that they are about and its labelled rows."""
    if split.y is None:
        return form, rows, None
    part, own = form.of_judged(rows)
    labels = part.label_rows(split.y)
    known = labels != UNLABELLED
    return part, own[known], labels[known]


def _confidences(form: AnswerForm, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if not form.n_classes or form.kind is AnswerKind.SEVERAL:
        return np.zeros(len(rows), np.float32)
    return np.asarray(probabilities(rows).max(axis=1))


def wilson_interval(correct: float, total: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927): sound at shares near 0 and 1."""
    share, z2 = correct / total, Z95**2
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = Z95 * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)


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
    known = labels[labels != UNLABELLED]
    commonest = float(np.bincount(known).max() / len(known))
    return accuracy_ci[0] <= commonest
