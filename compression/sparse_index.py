"""Where the values of a sparse tensor belong: three ways to write it down, and their sizes.

A *unit* is what is kept or dropped as a whole: one weight, or one kernel window. NumPy only.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Packed = NDArray[np.uint8]


class IndexForm(StrEnum):
    """How the places of kept units are stored.

    ``BITS``: one bit a unit. ``NIBBLES`` and ``BYTES``: the distance to the next kept unit in 4 or 8
    bits (S. Han et al., ICLR 2016, section 2); the largest code means “skip that many, keep none”, so
    that long gaps need no filler values.
    """

    BITS = "bits"
    NIBBLES = "nibbles"
    BYTES = "bytes"


CODE_BITS = {IndexForm.BITS: 1, IndexForm.NIBBLES: 4, IndexForm.BYTES: 8}


def packed_index(kept: Mask, form: IndexForm) -> Packed:
    """The index of ``kept`` (``[units]``) as bytes, high bits first."""
    if form is IndexForm.BITS:
        return np.packbits(kept)
    codes = gap_codes(kept, skip_code(form))
    return codes if form is IndexForm.BYTES else packed_nibbles(codes, fill=skip_code(form))


def index_bytes(kept: Mask, form: IndexForm) -> int:
    """Bytes of ``packed_index`` without building it."""
    if form is IndexForm.BITS:
        return -(-len(kept) // 8)
    steps = np.diff(np.flatnonzero(kept), prepend=-1)
    codes = len(steps) + int(((steps - 1) // skip_code(form)).sum())
    return -(-codes * CODE_BITS[form] // 8)


def expected_index_bytes(units: int, kept: int, form: IndexForm) -> int:
    """What ``index_bytes`` comes to when the kept units lie anywhere with the same chance."""
    if form is IndexForm.BITS or not kept:
        return -(-units // 8)
    dropped = (1.0 - min(1.0, kept / units)) ** skip_code(form)
    codes = kept * (1.0 + dropped / max(1.0 - dropped, 1e-9))
    return -(-round(codes) * CODE_BITS[form] // 8)


def gap_codes(kept: Mask, skip: int) -> Packed:
    """Codes in order: ``c < skip`` moves ``c + 1`` on and keeps; ``skip`` moves ``skip`` and keeps none.

    At least one code, so that what reads them never meets an empty tensor.
    """
    steps = np.diff(np.flatnonzero(kept), prepend=-1) - 1
    if not len(steps):
        return np.array([skip], np.uint8)
    skips = steps // skip
    codes = np.full(len(steps) + int(skips.sum()), skip, np.uint8)
    codes[np.arange(len(steps)) + np.cumsum(skips)] = steps % skip
    return codes


def packed_nibbles(codes: Packed, fill: int = 0) -> Packed:
    """Two 4-bit codes a byte, the first in the high half; an odd end is filled up."""
    even = np.append(codes, np.uint8(fill)) if len(codes) % 2 else codes
    return np.asarray(even[::2] << 4 | even[1::2], np.uint8)


def skip_code(form: IndexForm) -> int:
    """The code of a gap form that keeps nothing; also how far it moves."""
    return (1 << CODE_BITS[form]) - 1
