"""Values of a request, checked one at a time; whatever is wrong is said with its place."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from selector.errors import BadRequestError


def as_object(value: object, where: str, keys: list[str]) -> dict[str, Any]:
    """The mapping, when all of its keys are known."""
    if not isinstance(value, Mapping):
        raise BadRequestError(f"{where} must be a JSON object.")
    unknown = [str(key) for key in value if key not in keys]
    if unknown:
        raise BadRequestError(
            f"{where} has unknown keys: {', '.join(unknown)}. Known keys: {', '.join(keys)}."
        )
    return dict(value)


def as_text(value: object, where: str) -> str:
    """The value, when it is a text."""
    if not isinstance(value, str):
        raise BadRequestError(f"{where} must be a text.")
    return value


def as_number(value: object, where: str, low: float, high: float) -> float:
    """The value, when it is a finite number between those two."""
    if (
        not isinstance(value, int | float)
        or isinstance(value, bool)
        or not math.isfinite(value)
    ):
        raise BadRequestError(f"{where} must be a number; got {value!r}.")
    if not low <= value <= high:
        raise BadRequestError(f"{where} must lie between {low:g} and {high:g}; got {value:g}.")
    return float(value)


def as_integer(value: object, where: str, low: int, high: int) -> int:
    """The value, when it is a whole number between those two."""
    if isinstance(value, float) or not isinstance(value, int):
        raise BadRequestError(f"{where} must be a whole number; got {value!r}.")
    return int(as_number(value, where, low, high))
