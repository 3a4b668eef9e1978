"""How all outputs of a network are read, one or several.

Several are read each as if it were the only one (``outputs``), and each counts the same: agreement and
divergence are the means over the outputs. Whatever passes through joins the outputs of an example to
one row, so that everything else handles one array.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.outputs import MOST_VALUES, AnswerKind, OutputForm, output_form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from numpy.typing import NDArray

    from compression.types import NetworkProfile, Shape


@dataclass(frozen=True, kw_only=True)
class JointForm:
    """How several outputs are read together.

    Attributes:
        parts: how each is read, in the order of the model.
        names: what they are called.
        judged: number of the one that labels are about.
    """

    parts: tuple[OutputForm, ...]
    names: tuple[str, ...]
    judged: int

    kind = AnswerKind.SEVERAL

    @property
    def n_classes(self) -> int:
        """Classes that the judged output tells apart; 0 where no output classifies."""
        return self.parts[self.judged].n_classes

    @property
    def label_shape(self) -> Shape:
        """Of the class numbers of one example, see ``OutputForm``."""
        return self.parts[self.judged].label_shape

    def apart(self, joined: Any) -> list[Any]:
        """Outputs ``[n, *shape]``, each on its own, from ``[n, values]``; arrays or tensors."""
        sizes = [math.prod(part.shape) for part in self.parts]
        return [
            columns.reshape(len(joined), *part.shape)
            for part, columns in zip(self.parts, _columns(joined, sizes), strict=True)
        ]

    def rows(self, joined: NDArray[np.float32]) -> NDArray[np.float32]:
        """What is compared of outputs ``[n, values]``: the rows of each, joined to one an example."""
        found = zip(self.parts, self.apart(joined), strict=True)
        return _beside(len(joined), (part.rows(output) for part, output in found))

    def rows_apart(self, rows: NDArray[Any]) -> list[NDArray[Any]]:
        """The rows ``[n * positions, channels]`` of each output."""
        sizes = [part.positions * part.channels for part in self.parts]
        return [
            columns.reshape(-1, part.channels)
            for part, columns in zip(self.parts, _columns(rows, sizes), strict=True)
        ]

    def each(
        self,
        rows: NDArray[Any],
        change: Callable[[OutputForm, NDArray[Any]], NDArray[Any]],
    ) -> NDArray[Any]:
        """The rows after what is done to those of each output."""
        found = zip(self.parts, self.rows_apart(rows), strict=True)
        return _beside(len(rows), (change(part, own) for part, own in found))

    def of_judged(self, rows: NDArray[Any]) -> tuple[OutputForm, NDArray[Any]]:
        """The output that labels are about, and its rows."""
        return self.parts[self.judged], self.rows_apart(rows)[self.judged]

    def answers(self, rows: NDArray[Any]) -> NDArray[Any]:
        """The answers of all outputs, one row an example."""
        return self.each(rows, lambda part, own: part.answers(own))

    def same(self, wanted: NDArray[Any], answers: NDArray[Any]) -> NDArray[np.float64]:
        """For each example and output the share of positions that are as wanted, ``[n, outputs]``."""
        pairs = zip(self._answers_apart(wanted), self._answers_apart(answers), strict=True)
        shares = [
            part.same(*pair).reshape(len(wanted), -1).mean(axis=1)
            for part, pair in zip(self.parts, pairs, strict=True)
        ]
        return np.stack(shares, axis=1)

    def divergence(
        self, original: NDArray[Any], changed: NDArray[Any], temperature: float = 1.0
    ) -> float:
        """The mean of the outputs' divergences, in nats."""
        pairs = zip(self.rows_apart(original), self.rows_apart(changed), strict=True)
        found = [
            part.divergence(*pair, temperature)
            for part, pair in zip(self.parts, pairs, strict=True)
        ]
        return float(np.mean(found))

    def words(self) -> str:
        """What agreement counts."""
        return f"agreement (mean of {len(self.parts)} outputs)"

    def note(self, *, labelled: bool = False) -> str:
        """How the outputs are read, in sentences for the user."""
        start = f"The network has {len(self.parts)} outputs: {', '.join(self.names)}. "
        if labelled:
            name = self.names[self.judged]
            start += (
                f"Labels are held against “{name}” ({self.n_classes} classes): accuracy is its own. All "
                "count the same where it is predicted what a change damages."
            )
        else:
            start += "Each is read by itself and counts the same: agreement is their mean."
        notes = [
            part.note(labelled=labelled and number == self.judged)
            for number, part in enumerate(self.parts)
        ]
        named = zip(self.names, notes, strict=True)
        return " ".join([start, *(f"“{name}”: {note}" for name, note in named if note)])

    def _answers_apart(self, answers: NDArray[Any]) -> list[NDArray[Any]]:
        values = AnswerKind.VALUES
        sizes = [p.positions * (p.channels if p.kind is values else 1) for p in self.parts]
        return [
            columns.reshape(-1, part.channels) if part.kind is values else columns.reshape(-1)
            for part, columns in zip(self.parts, _columns(answers, sizes), strict=True)
        ]


AnswerForm = OutputForm | JointForm


def form_of(profile: NetworkProfile) -> AnswerForm:
    """How the outputs of that network are read."""
    shapes = dict(zip(profile.output_names, profile.output_shapes, strict=True))
    return answer_form(profile.input_shape, shapes, profile.judged_output)


def answer_form(
    input_shape: Shape, shapes: dict[str, Shape], judged: int | None = None
) -> AnswerForm:
    """How outputs of those names and shapes are read.

    Args:
        input_shape: of one example.
        shapes: of the outputs for one example, by name.
        judged: which output labels are about; left out, the first that classifies.
    """
    most = MOST_VALUES // len(shapes)
    parts = tuple(output_form(input_shape, shape, most) for shape in shapes.values())
    if len(parts) == 1:
        return parts[0]
    first = next((i for i, part in enumerate(parts) if part.n_classes), 0)
    return JointForm(
        parts=parts, names=tuple(shapes), judged=first if judged is None else judged
    )


def _columns(values: Any, sizes: Sequence[int]) -> list[Any]:
    return [values[:, start:stop] for start, stop in pairwise(accumulate(sizes, initial=0))]


def _beside(examples: int, parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([part.reshape(examples, -1) for part in parts], axis=1)
