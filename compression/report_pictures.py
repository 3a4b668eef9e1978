"""The pictures of the printable report: examples as PNG or lines inside the page itself."""

from __future__ import annotations

import base64
import io
from html import escape
from typing import TYPE_CHECKING, Any

from PIL import Image

from compression.pictures import pixels

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

_MOST_LINES = 6
_CHANNELS_OF_COLOUR = 3


def picture_html(seen: Mapping[str, Any], label: str) -> str:
    """What ``compression.pictures.picture`` made of an example: an image, or a line a channel."""
    values = pixels(dict(seen))
    return _image(values, label) if values.ndim == 3 else _lines(values, label)


def _image(values: NDArray[np.uint8], label: str) -> str:
    """Three channels are red, green and blue; of other counts the first is shown in grey."""
    is_colour = len(values) == _CHANNELS_OF_COLOUR
    shown = values.transpose(1, 2, 0) if is_colour else values[0]
    file = io.BytesIO()
    Image.fromarray(shown).save(file, "PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    return f'<img src="data:image/png;base64,{data}" alt="{escape(label)}">'


def _lines(values: NDArray[np.uint8], label: str) -> str:
    lines = "".join(
        f'<polyline class="line-{number}" points="{_points(channel)}"/>'
        for number, channel in enumerate(values[:_MOST_LINES])
    )
    return f'<svg viewBox="0 0 100 100" role="img" aria-label="{escape(label)}">{lines}</svg>'


def _points(channel: NDArray[np.uint8]) -> str:
    step = 100 / max(1, len(channel) - 1)
    return " ".join(
        f"{step * i:.1f},{95 - 90 * int(v) / 255:.1f}" for i, v in enumerate(channel)
    )
