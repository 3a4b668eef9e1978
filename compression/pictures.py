"""An example as bytes for a page to draw: scaled to its own range, made small as a thumbnail."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from compression.data import Split

MOST_PIXELS, MOST_STEPS = 48, 128


def picture(example: NDArray[Any]) -> dict[str, Any] | None:
    """``{"shape", "data"}`` of an example ``[C, H, W]`` or ``[C, T]``; ``None`` for anything else.

    ``data`` is base64 of one byte a value, 0 for the example's least and 255 for its greatest. Of an image,
    or a spectrogram, each pixel is the mean of those it stands for; of a signal every n-th step is kept,
    because means would flatten its peaks.
    """
    if example.ndim not in (2, 3):
        return None
    small = _averaged(example) if example.ndim == 3 else _thinned(example)
    low, high = float(small.min()), float(small.max())
    scaled = (small - low) * (255 / (high - low) if high > low else 0.0)
    data = np.round(scaled).astype(np.uint8).tobytes()
    return {"shape": list(small.shape), "data": base64.b64encode(data).decode("ascii")}


def pictures(split: Split, rows: Sequence[int]) -> list[dict[str, Any] | None]:
    """The pictures of some rows of the data, in the colours that they have there: without mean and deviation."""
    if not rows:
        return []
    as_stored = replace(split.preprocessing, mean=(0.0,), std=(1.0,))
    indices = np.array(rows, dtype=np.int64)
    shown = replace(split, indices=indices, y=None, preprocessing=as_stored)
    return [picture(example) for example in shown.x]


def pixels(seen: dict[str, Any]) -> NDArray[np.uint8]:
    """The values of a picture in its shape."""
    values = np.frombuffer(base64.b64decode(seen["data"]), np.uint8)
    return values.reshape(seen["shape"])


def _averaged(image: NDArray[Any]) -> NDArray[Any]:
    """Means over blocks of equal sides, so that the picture keeps its proportions."""
    step = -(-max(image.shape[1:]) // MOST_PIXELS)
    rows, columns = (range(0, size, step) for size in image.shape[1:])
    sums = np.add.reduceat(
        np.add.reduceat(image.astype(np.float64), rows, axis=1), columns, axis=2
    )
    counts = np.add.reduceat(
        np.add.reduceat(np.ones(image.shape[1:]), rows, axis=0), columns, axis=1
    )
    averaged: NDArray[Any] = sums / counts
    return averaged


def _thinned(signal: NDArray[Any]) -> NDArray[Any]:
    return signal[:, :: -(-signal.shape[1] // MOST_STEPS)]
