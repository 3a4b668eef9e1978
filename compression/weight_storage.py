"""Bytes of stored weights."""

from __future__ import annotations

from typing import TYPE_CHECKING

from compression.types import Precision

if TYPE_CHECKING:
    from compression.types import OpSpec


def stored_bytes(op: OpSpec, precision: Precision) -> int:
    """Bytes."""
    if op.op not in ("conv", "dense") or precision is Precision.FP32:
        return 4 * op.params
    channels = op.out_shape[0] if op.op == "conv" else op.out_shape[-1]
    return op.params + 4 * channels + 3 * min(op.params, channels)
