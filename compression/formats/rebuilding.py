"""The torch module behind an ONNX file, for the formats that are made from torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from compression.errors import ModelRefusedError
from compression.formats.conversion import ConversionError
from compression.onnx_import import import_onnx
from compression.shape_modules import Reduced
from compression.untouched import Untouched

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray


def rebuilt(model: Path) -> nn.Module:
    """The network as a torch module in evaluation mode.

    Raises:
        ConversionError: an operator runs only in ONNX Runtime.
    """
    try:
        module = import_onnx(model.read_bytes()).module.eval()
    except ModelRefusedError as error:
        raise ConversionError(str(error)) from error
    for name, part in list(module.named_modules()):
        if isinstance(part, Untouched):
            raise ConversionError(
                f"Operator {part.node.op_type} (node '{name}') runs only in ONNX Runtime."
            )
        if isinstance(part, nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d):
            module.set_submodule(name, _largest(part))
    return module


def _largest(pool: nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d) -> nn.Module:
    """A global pool as a reduction: LiteRT's converter knows only that."""
    axes = (2,) if isinstance(pool, nn.AdaptiveMaxPool1d) else (2, 3)
    sizes = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size,)
    return Reduced("max", axes, keep_axes=True) if set(sizes) == {1} else pool


def example(inputs: NDArray[np.float32]) -> torch.Tensor:
    """One input with its batch axis, to trace with."""
    return torch.from_numpy(inputs[:1].copy())
