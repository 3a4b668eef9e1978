"""Networks kept with weights of 16 bits, half as many bytes in the repository.

A training rounds its weights to what 16 bits hold, so the file that is restored is the one that was trained, bit for bit.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper


def halved(model: bytes) -> bytes:
    """The ONNX file with float weights of 16 bits: to be kept, not to be run."""
    return _converted(model, np.float32, np.float16)


def restored(kept: bytes) -> bytes:
    """What ``halved`` was given, its weights rounded to 16 bits."""
    return _converted(kept, np.float16, np.float32)


def _converted(data: bytes, before: type[np.generic], after: type[np.generic]) -> bytes:
    model = onnx.load_from_string(data)
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == before:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(after), tensor.name))
    return bytes(model.SerializeToString())
