"""An example as bytes for a page to draw: scaled to its own range, thinned to a thumbnail."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_PIXELS, MOST_STEPS = 48, 128


def picture(example: NDArray[Any]) -> dict[str, Any] | None:
    """``{"shape", "data"}`` of an example ``[C, H, W]`` or ``[C, T]``; ``None`` for anything else.

    ``data`` is base64 of one byte a value, 0 for the example's least and 255 for its greatest.
    """
    if example.ndim not in (2, 3):
        return None
    most = MOST_PIXELS if example.ndim == 3 else MOST_STEPS
    thinned = example[
        (slice(None), *(slice(None, None, -(-size // most)) for size in example.shape[1:]))
    ]
    low, high = float(thinned.min()), float(thinned.max())
    scaled = (thinned - low) * (255 / (high - low) if high > low else 0.0)
    data = np.round(scaled).astype(np.uint8).tobytes()
    return {"shape": list(thinned.shape), "data": base64.b64encode(data).decode("ascii")}
