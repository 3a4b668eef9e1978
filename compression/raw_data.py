"""Uploaded arrays as they were found, before any split, and the checks that they make sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.errors import DataRefusedError
from compression.outputs import UNLABELLED

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from compression.types import Shape

WHOLE, TRAIN, VALIDATION, TEST = "", "train", "val", "test"
"""The names of parts: ``WHOLE`` is data that nobody has split yet."""

MORE = "x_unlabelled"
"""The array of examples beyond the parts, to learn from without labels."""

MIN_EXAMPLES = 20
_BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawPart:
    """Examples along the first axis of ``x``; ``y`` int64, one or many an example; ``group`` comparable."""

    x: NDArray[Any]
    y: NDArray[np.int64] | None = None
    group: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawData:
    """The parts of an upload by name, and what the classes are called (maybe nothing).

    ``unlabelled`` are more examples that nobody labelled, along the first axis; no part of any split.
    """

    parts: Mapping[str, RawPart]
    unlabelled: NDArray[Any] | None = None
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


_VOID = 255
"""What segmentation data often hold where nobody labelled."""


def labels_from(
    values: NDArray[Any], name: str, n_classes: int, shape: Shape = ()
) -> NDArray[np.int64]:
    """Class numbers from whole numbers or one-hot rows.

    Args:
        values: as uploaded, one example along the first axis.
        name: of the array, for messages.
        n_classes: of the model.
        shape: of the class numbers of one example, where it has one for each position; of these, -1
            and, beyond the classes, 255 are nobody's (``UNLABELLED``).

    Raises:
        DataRefusedError: when the values are not class numbers.
    """
    if shape:
        return _labels_at_positions(values, name, n_classes, shape)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] == n_classes and _is_one_hot(values):
        return np.asarray(values.argmax(axis=1), np.int64)
    if values.ndim != 1:
        raise DataRefusedError(
            f"The labels {name!r} have shape {shape_text(values.shape)}. "
            "Give one class number for each example."
        )
    return _whole(values, name, n_classes)


def _labels_at_positions(
    values: NDArray[Any], name: str, n_classes: int, shape: Shape
) -> NDArray[np.int64]:
    given = tuple(size for size in values.shape[1:] if size > 1)
    if given != tuple(size for size in shape if size > 1):
        raise DataRefusedError(
            f"The labels {name!r} have shape {shape_text(values.shape)}, but the model answers with one "
            f"class at each of {shape_text(shape)} positions. Give class numbers of shape N × "
            f"{shape_text(shape)}, or leave the labels out: agreement with the original is measured."
        )
    labels = _whole(values, name, n_classes).reshape(len(values), *shape)
    return np.where((labels == _VOID) & (n_classes <= _VOID), UNLABELLED, labels)


def _whole(values: NDArray[Any], name: str, n_classes: int) -> NDArray[np.int64]:
    if values.dtype.kind not in "iufb" or (
        values.dtype.kind == "f" and not np.array_equal(values, np.floor(values))
    ):
        raise DataRefusedError(
            f"The labels {name!r} are not whole numbers. Number the classes 0 to {n_classes - 1}."
        )
    return np.asarray(values, np.int64)


def check(data: RawData, n_classes: int) -> None:
    """Raise ``DataRefusedError`` for what no later stage could make sense of."""
    for part_name, part in data.parts.items():
        name = f"x_{part_name}" if part_name else "x"
        _check_values(part.x, name)
        for what, values in (("y", part.y), ("group", part.group)):
            if values is not None and len(values) != len(part.x):
                raise DataRefusedError(
                    f"{name!r} has {len(part.x)} examples, but {name.replace('x', what)!r} has "
                    f"{len(values)} values. Give one for each example."
                )
    if data.unlabelled is not None:
        _check_values(data.unlabelled, MORE)
    total = sum(len(part.x) for part in data.parts.values())
    if total < MIN_EXAMPLES:
        raise DataRefusedError(
            f"The data holds {total} examples; at least {MIN_EXAMPLES} are needed to "
            "calibrate, search, train and test on different ones."
        )
    labels = [part.y for part in data.parts.values() if part.y is not None]
    if labels:
        check_labels(labels, n_classes)


def shape_text(shape: tuple[int, ...]) -> str:
    """``(3, 32, 32)`` as ``3 × 32 × 32``."""
    return " × ".join(map(str, shape)) or "a single value"


def _is_one_hot(values: NDArray[Any]) -> bool:
    return bool(np.isin(values, (0, 1)).all() and (values.sum(axis=1) == 1).all())


def _check_values(x: NDArray[Any], name: str) -> None:
    if x.dtype.kind not in "iufb" or x.ndim < 2:
        raise DataRefusedError(
            f"The array {name!r} holds {x.dtype} of shape {shape_text(x.shape)}. "
            "Give numbers with one example along the first axis."
        )
    if x.dtype.kind != "f":
        return
    for start in range(0, len(x), _BLOCK):
        bad = ~np.isfinite(x[start : start + _BLOCK]).reshape(
            len(x[start : start + _BLOCK]), -1
        )
        if bad.any():
            first = start + int(bad.any(axis=1).argmax())
            raise DataRefusedError(
                f"The array {name!r} holds values that are not numbers (NaN or infinite), the "
                f"first in example {first}. Remove or repair these examples."
            )


def check_labels(parts: Sequence[NDArray[np.int64]], n_classes: int) -> None:
    """Raise ``DataRefusedError`` where class numbers are none of the model, or all the same."""
    labels = np.concatenate([part.reshape(-1) for part in parts])
    if parts[0].ndim > 1:
        labels = labels[labels != UNLABELLED]
    if not len(labels):
        raise DataRefusedError("No position has a label. Leave the labels out.")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= n_classes:
        advice = (
            "Subtract 1 from every label."
            if (low, high) == (1, n_classes)
            else "Use the data this model was trained for, or renumber the labels."
        )
        raise DataRefusedError(
            f"Labels run from {low} to {high}, but the model has outputs 0 to {n_classes - 1}. "
            f"{advice}"
        )
    if low == high:
        raise DataRefusedError(
            f"All {len(labels)} labels are {low}. With one class only, accuracy says nothing: "
            "give examples of at least two classes."
        )
