"""What an output holds, and when two networks answer alike.

Three forms: one vector of class scores for an example, a vector of class scores at each position
(segmentation, tagging), or plain values (regression, boxes of a detector, embeddings, pictures). All
of them become rows ``[examples * positions, channels]``, and everything else compares rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from compression.types import Shape

TOLERANCE = 0.2
"""Values agree when they are this near to the original's, as a share of their spread (see ``spread``)."""

MOST_VALUES = 4096
"""Rows times channels that are kept of one example: 5,000 examples then take 80 MB."""

_COARSEST = 4
"""Class scores come at a quarter of the input's resolution or finer; heads of detectors are coarser."""

_DEAD = 1e-4
_CERTAIN = 1e-12


class AnswerKind(StrEnum):
    """What the numbers of an output mean."""

    CLASS = "class"
    CLASS_PER_POSITION = "class_per_position"
    VALUES = "values"
    SEVERAL = "several"


UNLABELLED = -1
"""The class number of a sample, or of a position, that nobody labelled."""


@dataclass(frozen=True, kw_only=True)
class OutputForm:
    """How the output of one example is read.

    Attributes:
        kind: What the numbers mean.
        shape: Of the output without the batch.
        axis: Where the classes, or the values that belong together, lie in ``shape``.
        most_values: Rows times channels that are kept of one example.
    """

    kind: AnswerKind
    shape: Shape
    axis: int
    most_values: int = MOST_VALUES

    judged = 0
    """Number of the output that labels are about; this and what follows is what several outputs have too."""

    @property
    def parts(self) -> tuple[OutputForm, ...]:
        """The only output."""
        return (self,)

    def apart(self, outputs: Any) -> list[Any]:
        """Outputs ``[n, *shape]`` of each output; arrays or tensors."""
        return [outputs]

    def each(
        self,
        rows: NDArray[Any],
        change: Callable[[OutputForm, NDArray[Any]], NDArray[Any]],
    ) -> NDArray[Any]:
        """The rows after what is done to those of each output."""
        return change(self, rows)

    def of_judged(self, rows: NDArray[Any]) -> tuple[OutputForm, NDArray[Any]]:
        """The output that labels are about, and its rows."""
        return self, rows

    @property
    def channels(self) -> int:
        """Columns of a row: classes, or values at one position."""
        return self.shape[self.axis]

    @property
    def n_classes(self) -> int:
        """Classes told apart; 0 for values."""
        return 0 if self.kind is AnswerKind.VALUES else self.channels

    @property
    def positions(self) -> int:
        """Rows that one example gives."""
        return len(self._chosen)

    @property
    def label_shape(self) -> Shape:
        """Of the class numbers of one example; nothing where it has one."""
        return (
            self.shape[: self.axis] + self.shape[self.axis + 1 :]
            if self.kind is AnswerKind.CLASS_PER_POSITION
            else ()
        )

    def label_rows(self, labels: NDArray[np.int64]) -> NDArray[np.int64]:
        """Class numbers ``[n, *label_shape]`` of the rows that are compared."""
        if self.kind is not AnswerKind.CLASS_PER_POSITION:
            return labels
        return np.ascontiguousarray(
            labels.reshape(len(labels), -1)[:, self._chosen].reshape(-1)
        )

    @cached_property
    def _chosen(self) -> NDArray[np.int64]:
        """Positions that are compared, the same at every call."""
        count = math.prod(self.shape) // self.channels
        most = max(16, self.most_values // self.channels)
        if count <= most:
            return np.arange(count)
        return np.sort(np.random.default_rng(0).permutation(count)[:most])

    def rows(self, outputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs ``[n, *shape]`` as ``[n * positions, channels]``."""
        last = np.moveaxis(outputs, self.axis + 1, -1)
        flat = last.reshape(len(outputs), -1, self.channels)
        return np.ascontiguousarray(flat[:, self._chosen].reshape(-1, self.channels))

    def answers(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The most likely class of each row, int64; values are their own answer."""
        return rows if self.kind is AnswerKind.VALUES else rows.argmax(axis=1).astype(np.int64)

    def same(self, wanted: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.bool_]:
        """Which answers are as wanted: the same class, or values within ``TOLERANCE``."""
        if self.kind is not AnswerKind.VALUES:
            return np.asarray(wanted == answers)
        return np.asarray(self._squared_errors(wanted, answers) <= TOLERANCE**2)

    def divergence(
        self, original: NDArray[Any], changed: NDArray[Any], temperature: float = 1.0
    ) -> float:
        """Mean over rows of KL(original || changed), in nats.

        Values count as known up to ``TOLERANCE``: the divergence is that of two normal distributions
        of this width, half the squared error in units of it.

        Args:
            original: Class scores or values of the original, ``[rows, channels]``.
            changed: Those of a changed network.
            temperature: Softens class scores; values have none.
        """
        if self.kind is AnswerKind.VALUES:
            return float(self._squared_errors(original, changed).mean() / (2 * TOLERANCE**2))
        p, q = log_softmax(original / temperature), log_softmax(changed / temperature)
        return float((np.exp(p) * (p - q)).sum(1).mean())

    def relative_error(self, original: NDArray[Any], changed: NDArray[Any]) -> float:
        """Root mean square of the error of values, in units of their spread."""
        return float(np.sqrt(self._squared_errors(original, changed).mean()))

    def spread(self, rows: NDArray[Any]) -> NDArray[np.float64]:
        """How much each value moves from example to example, ``[channels]``.

        The standard deviation over the examples at one place, root mean square over the places: the grid
        that a detector adds to its boxes is no spread. A value that never moves is given the median of the
        others.
        """
        apart = rows.reshape(-1, self.positions, self.channels).astype(np.float64)
        variance = apart.var(axis=0).mean(axis=0) if len(apart) > 1 else rows.var(axis=0)
        found = np.sqrt(np.asarray(variance, np.float64))
        alive = found > max(_DEAD * float(found.max()), _CERTAIN)
        return np.where(alive, found, np.median(found[alive]) if alive.any() else 1.0)

    def _squared_errors(
        self, original: NDArray[Any], changed: NDArray[Any]
    ) -> NDArray[np.float64]:
        """Mean squared error of each row, each value in units of its spread."""
        errors = (changed - original.astype(np.float64)) / self.spread(original)
        return np.asarray((errors**2).mean(axis=1))

    def accuracy_words(self) -> str:
        """What accuracy counts where there are labels."""
        if self.kind is not AnswerKind.CLASS_PER_POSITION:
            return "accuracy"
        return "pixel accuracy" if len(self.shape) > 2 else "accuracy of positions"

    def words(self) -> str:
        """What agreement counts, for a table's row: ``agreement of positions``."""
        return {
            AnswerKind.CLASS: "agreement",
            AnswerKind.CLASS_PER_POSITION: "agreement of positions",
            AnswerKind.VALUES: f"agreement of values within {100 * TOLERANCE:.0f} % of their spread",
        }[self.kind]

    def note(self, *, labelled: bool = False) -> str:
        """How the output was read, in sentences for the user; empty for one class an example."""
        if self.kind is AnswerKind.CLASS:
            return ""
        shape = " × ".join(map(str, self.shape))
        of = math.prod(self.shape) // self.channels
        some = f" {self.positions:,} of {of:,} positions of each example are compared."
        some = some if self.positions < of else ""
        if self.kind is AnswerKind.CLASS_PER_POSITION:
            share = (
                f"{self.accuracy_words().capitalize()} is the share of labelled positions whose most likely "
                "class is the label."
                if labelled
                else "Agreement is the share of positions with the same most likely class."
            )
            return (
                f"The output ({shape}) is read as scores of {self.channels} classes at each of {of:,} "
                f"positions. {share}{some}"
            )
        return (
            f"The output ({shape}) is read as values, {self.channels} at each of {of:,} positions. "
            f"Agreement is the share of positions whose values lie within {100 * TOLERANCE:.0f} % of "
            f"their spread from the original's.{some}"
        )


def output_form(input_shape: Shape, shape: Shape, most_values: int = MOST_VALUES) -> OutputForm:
    """Tell the form from the shapes of one example; where it is doubtful, the stricter reading.

    One axis only: class scores, but a single number is a value. As many axes as the input, over the
    same places at its resolution or up to four times coarser: class scores at each place, on the axis
    where the input has its channels; with the channels of the input, it is a picture, and with one
    channel a map of values. All others (boxes, heads of detectors, enlarged pictures) are values: they
    agree when all that stands at one position is right.
    """
    shape = shape or (1,)
    largest = max(range(len(shape)), key=lambda axis: shape[axis])
    if math.prod(shape) == shape[largest]:
        one = AnswerKind.CLASS if shape[largest] > 1 else AnswerKind.VALUES
        return OutputForm(kind=one, shape=shape, axis=largest, most_values=most_values)
    axis = _channel_axis(input_shape, shape)
    if axis is None:
        axis = 0 if len(shape) > 2 else int(shape[1] <= shape[0])
        return OutputForm(
            kind=AnswerKind.VALUES, shape=shape, axis=axis, most_values=most_values
        )
    is_picture = shape[axis] in (1, input_shape[axis])
    kind = AnswerKind.VALUES if is_picture else AnswerKind.CLASS_PER_POSITION
    return OutputForm(kind=kind, shape=shape, axis=axis, most_values=most_values)


def _channel_axis(input_shape: Shape, shape: Shape) -> int | None:
    """Where the channels lie in an output that covers the places of the input."""
    last = len(shape) - 1
    if len(input_shape) != len(shape):
        return None
    for axis, places in ((0, slice(1, None)), (last, slice(0, last))):
        pairs = zip(input_shape[places], shape[places], strict=True)
        if all(there <= here <= _COARSEST * there for here, there in pairs):
            return axis
    return None


def log_softmax(values: NDArray[Any]) -> NDArray[np.float64]:
    """Logarithm of the softmax of each row."""
    shifted = values.astype(np.float64) - values.max(1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(1, keepdims=True)))
