"""How raw arrays become what a network reads: axis order, scale, mean and deviation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.errors import DataRefusedError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from compression.types import Shape

LAYOUTS = {
    "NCHW": "as they are: images, channels first",
    "NHWC": "images, channels last",
    "NHW": "images without a channel axis",
    "NCT": "as they are: series, channels first",
    "NTC": "series, channels last",
    "NT": "series without a channel axis",
    "N*": "as they are, or flattened to the model's input",
}
"""Axis orders of raw data by name, batch first."""

_KEYS = ("layout", "divide", "mean", "std")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preprocessing:
    """``(x / divide - mean) / std`` after the channel axis was moved to the front.

    ``mean`` and ``std`` hold one number for all channels or one a channel. The default leaves
    arrays as they are.
    """

    layout: str = "N*"
    divide: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def apply(self, x: NDArray[Any], input_shape: Shape) -> NDArray[np.float32]:
        """Model-ready float32 of shape ``[n, *input_shape]``; ``x`` is left as it is."""
        ready = channels_first(x, self.layout).astype(np.float32)
        if ready.shape[1:] != input_shape:
            ready = ready.reshape(len(ready), *input_shape)
        column = (-1, *(1,) * (len(input_shape) - 1))
        if self.divide != 1.0:
            ready /= np.float32(self.divide)
        if any(self.mean):
            ready -= np.array(self.mean, np.float32).reshape(column)
        if any(value != 1.0 for value in self.std):
            ready /= np.array(self.std, np.float32).reshape(column)
        return np.ascontiguousarray(ready)

    def to_json(self) -> dict[str, Any]:
        """The same as plain values."""
        return {
            "layout": self.layout,
            "divide": self.divide,
            "mean": list(self.mean),
            "std": list(self.std),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Preprocessing:
        """Read what ``to_json`` wrote; keys that are absent keep their defaults.

        Raises:
            DataRefusedError: when a key is unknown or a value is of no use, by name.
        """
        if not isinstance(values, Mapping):
            raise DataRefusedError(
                'Preprocessing must be an object like {"layout": "NCHW", "divide": 255, '
                '"mean": [0.5], "std": [0.25]}.'
            )
        for key in values:
            if key not in _KEYS:
                raise DataRefusedError(
                    f"Preprocessing has no setting {key!r}. It has: {', '.join(_KEYS)}."
                )
        layout = values.get("layout", "N*")
        if layout not in LAYOUTS:
            raise DataRefusedError(
                f"Preprocessing layout {layout!r} is not known. Take one of: {', '.join(LAYOUTS)}."
            )
        return cls(
            layout=layout,
            divide=_numbers("divide", values.get("divide", 1.0), nonzero=True)[0],
            mean=_numbers("mean", values.get("mean", 0.0), nonzero=False),
            std=_numbers("std", values.get("std", 1.0), nonzero=True),
        )

    def check(self, input_shape: Shape) -> None:
        """Raise ``DataRefusedError`` unless mean and std fit the model's channels."""
        channels = input_shape[0]
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, channels):
                raise DataRefusedError(
                    f"Preprocessing {name} has {len(values)} values, but the model's input has "
                    f"{channels} channels. Give one value, or {channels}."
                )


def channels_first(x: NDArray[Any], layout: str) -> NDArray[Any]:
    """A view of ``x`` with the channel axis behind the batch axis."""
    if layout in ("NHWC", "NTC"):
        return np.moveaxis(x, -1, 1)
    if layout in ("NHW", "NT"):
        return x[:, np.newaxis]
    return x


def fitting_layouts(shape: Shape, input_shape: Shape) -> tuple[str, ...]:
    """The layouts under which one raw example of ``shape`` is an input, the likeliest first."""
    rank = len(input_shape)
    first, last, bare = {3: ("NCHW", "NHWC", "NHW"), 2: ("NCT", "NTC", "NT")}.get(
        rank, ("N*", "", "")
    )
    fitting = []
    if shape == input_shape:
        fitting.append(first)
    if last and len(shape) == rank and (shape[-1], *shape[:-1]) == input_shape:
        fitting.append(last)
    if bare and (1, *shape) == input_shape:
        fitting.append(bare)
    if not fitting and _may_be_reshaped(shape, input_shape):
        fitting.append("N*")
    return tuple(fitting)


def fits(shape: Shape, layout: str, input_shape: Shape) -> bool:
    """Whether raw examples of ``shape`` in that layout can become inputs."""
    if layout in ("NHWC", "NTC"):
        return len(shape) == len(input_shape) and (shape[-1], *shape[:-1]) == input_shape
    ready = (1, *shape) if layout in ("NHW", "NT") else shape
    return ready == input_shape or _may_be_reshaped(ready, input_shape)


def _may_be_reshaped(shape: Shape, input_shape: Shape) -> bool:
    """Only where the order of values cannot be mistaken: one side flat, or axes of length 1."""
    if math.prod(shape) != math.prod(input_shape):
        return False
    squeezed = [size for size in shape if size != 1]
    wanted = [size for size in input_shape if size != 1]
    return squeezed == wanted or len(squeezed) == 1 or len(wanted) == 1


def _numbers(name: str, value: object, *, nonzero: bool) -> tuple[float, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    good = [v for v in items if isinstance(v, int | float) and not isinstance(v, bool)]
    fine = len(good) == len(items) > 0 and all(math.isfinite(v) for v in good)
    if not fine or (nonzero and any(v == 0 for v in good)):
        what = "a number other than 0" if nonzero else "a number"
        raise DataRefusedError(f"Preprocessing {name} must be {what} (or a list of them).")
    return tuple(float(v) for v in good)
