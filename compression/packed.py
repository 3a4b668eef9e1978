"""The smallest form of a model file: entropy-coded as a whole, unpacked by what every system has.

The file is the exported ONNX in an ``.xz`` container, with the coder's contexts chosen for what it
holds. A format of our own was measured against it: one byte a symbol with an ideal order-0 coder for each
layer would need 0.2 to 3 % more for LeNet-5 and ResNet-20 with 8-bit or clustered weights, dense and
sparse (benchmarks/storage_forms.py), and a decoder that nobody has.
"""

from __future__ import annotations

import lzma

MOST_BYTES = 32 * 2**20
"""Larger files are not packed: it takes about a second a megabyte."""

_CONTEXTS = ((0, 0, 0), (2, 0, 0), (3, 0, 0), (1, 2, 2))
"""``lc, lp, pb`` worth trying: codes have no context, 8-bit weights little, floats repeat every four bytes."""

_SAMPLE_BYTES = 2**20
_SAMPLE_PRESET, _PRESET = 0, 9


def packed(model: bytes) -> bytes:
    """The model in an ``.xz`` container; the same bytes for the same model."""
    sample = model[:_SAMPLE_BYTES]
    small = len(model) == len(sample)
    tried = {
        context: _compressed(sample, context, _PRESET if small else _SAMPLE_PRESET)
        for context in _CONTEXTS
    }
    best = min(tried, key=lambda context: len(tried[context]))
    return tried[best] if small else _compressed(model, best, _PRESET)


def unpacked(data: bytes) -> bytes:
    """The model that ``packed`` was given.

    Raises:
        ValueError: the data are not a whole ``.xz`` container.
    """
    try:
        return lzma.decompress(data, format=lzma.FORMAT_XZ)
    except lzma.LZMAError as error:
        raise ValueError(f"The packed model is damaged: {error}. Pack it again.") from error


def packed_bytes(model: bytes) -> int | None:
    """The size of the packed form; nothing for a file larger than ``MOST_BYTES``."""
    return len(packed(model)) if len(model) <= MOST_BYTES else None


def _compressed(data: bytes, context: tuple[int, int, int], preset: int) -> bytes:
    literal, literal_position, position = context
    settings = {
        "id": lzma.FILTER_LZMA2,
        "preset": preset,
        "lc": literal,
        "lp": literal_position,
        "pb": position,
    }
    return lzma.compress(
        data, format=lzma.FORMAT_XZ, check=lzma.CHECK_CRC32, filters=[settings]
    )
