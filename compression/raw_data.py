"""Uploaded arrays as they were found, before any split, and the checks that they make sense."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.errors import DataRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

WHOLE, TRAIN, VALIDATION, TEST = "", "train", "val", "test"
"""The names of parts: ``WHOLE`` is data that nobody has split yet."""

MIN_EXAMPLES = 20
_BLOCK = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawPart:
    """Examples along the first axis of ``x``; ``y`` int64; ``group`` of any comparable type."""

    x: NDArray[Any]
    y: NDArray[np.int64] | None = None
    group: NDArray[Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RawData:
    """The parts of an upload by name, and what the classes are called (maybe nothing)."""

    parts: Mapping[str, RawPart]
    class_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def labels_from(values: NDArray[Any], name: str, n_classes: int) -> NDArray[np.int64]:
    """Class numbers from whole numbers or one-hot rows.

    Raises:
        DataRefusedError: when the values are not class numbers.
    """
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 2 and values.shape[1] == n_classes and _is_one_hot(values):
        return np.asarray(values.argmax(axis=1), np.int64)
    if values.ndim != 1:
        raise DataRefusedError(
            f"The labels {name!r} have shape {shape_text(values.shape)}. "
            "Give one class number for each example."
        )
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
    total = sum(len(part.x) for part in data.parts.values())
    if total < MIN_EXAMPLES:
        raise DataRefusedError(
            f"The data holds {total} examples; at least {MIN_EXAMPLES} are needed to "
            "calibrate, search, train and test on different ones."
        )
    labels = [part.y for part in data.parts.values() if part.y is not None]
    if labels:
        _check_labels(np.concatenate(labels), n_classes)


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


def _check_labels(labels: NDArray[np.int64], n_classes: int) -> None:
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
