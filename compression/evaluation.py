"""How good an ONNX file is: accuracy or agreement with its interval, and what changed for whom."""

from __future__ import annotations

import io
import math
import zipfile
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.packed import packed_bytes
from compression.runtime import quiet_session

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compression.data import Split
    from compression.types import NetworkProfile

ACCURACY, AGREEMENT = "accuracy", "agreement"

Z95 = 1.959964
_SUM_TOLERANCE = 1e-3
_ROWS_AT_ONCE = 512
# Activations of a batch are many times its inputs: large images go in small batches.
_BATCH_VALUES, _LARGEST_BATCH = 2**22, 256


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Evaluation:
    """What a file scores on a split.

    ``accuracy`` is a share of 1 with its Wilson 95 % interval; its ``kind`` is ``accuracy`` or
    ``agreement`` (share of answers equal to the original's). ``zip_bytes`` is the file deflated,
    ``packed_bytes`` entropy-coded (nothing where that would take minutes).
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
    packed_bytes: int | None = None

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

    def __call__(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        """The first output ``[n, classes]`` for model-ready inputs ``[n, ...]``."""
        size = self._fixed or int(
            np.clip(_BATCH_VALUES // max(1, x[:1].size), 1, _LARGEST_BATCH)
        )
        parts = [self._answer(x[start : start + size]) for start in range(0, len(x), size)]
        flat: NDArray[np.float32] = np.concatenate(parts).reshape(len(x), -1)
        return flat

    def _answer(self, part: NDArray[np.float32]) -> NDArray[np.float32]:
        missing = max(0, self._fixed - len(part))
        if missing:
            part = np.concatenate([part, np.repeat(part[-1:], missing, axis=0)])
        found: NDArray[np.float32] = self._session.run(None, {self._input: part})[0]
        return found[: len(found) - missing]


def onnx_logits(data: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a file answers to model-ready inputs ``[n, ...]``: its first output, ``[n, classes]``."""
    return OnnxAnswers(data)(x)


def onnx_log_probabilities(data: bytes, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Log-probabilities ``[n, classes]`` of a file's answers, whatever it ends in."""
    floor = np.float32(1e-12)
    ready: NDArray[np.float32] = np.log(np.maximum(probabilities(onnx_logits(data, x)), floor))
    return ready


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
    answer = OnnxAnswers(data)
    logits = np.concatenate([answer(x) for x, _ in split.batches(_ROWS_AT_ONCE)])
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
        packed_bytes=packed_bytes(data),
    )


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
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
    commonest = float(np.bincount(labels).max() / len(labels))
    return accuracy_ci[0] <= commonest
