"""The torch module behind an ONNX file, for the formats that are made from torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from compression.errors import ModelRefusedError
from compression.formats.conversion import ConversionError
from compression.onnx_import import import_onnx
from compression.shape_modules import Picked, Reduced
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
        if isinstance(part, nn.LocalResponseNorm):
            module.set_submodule(name, _ResponseNorm(part))
        if isinstance(part, Picked) and not part.keep_axis:
            module.set_submodule(name, _Selected(part))
    return module


class _Selected(nn.Module):
    """``Picked`` of one entry whose number is part of the code: ``torch.export`` reads no buffers."""

    def __init__(self, picked: Picked) -> None:
        super().__init__()
        self.axis, self.index = picked.axis, int(picked.indices[0])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.select(self.axis, self.index)


def _largest(pool: nn.AdaptiveMaxPool1d | nn.AdaptiveMaxPool2d) -> nn.Module:
    """A global pool as a reduction: LiteRT's converter knows only that."""
    axes = (2,) if isinstance(pool, nn.AdaptiveMaxPool1d) else (2, 3)
    sizes = pool.output_size if isinstance(pool.output_size, tuple) else (pool.output_size,)
    return Reduced("max", axes, keep_axes=True) if set(sizes) == {1} else pool


def example(inputs: NDArray[np.float32]) -> torch.Tensor:
    """One input with its batch axis, to trace with."""
    return torch.from_numpy(inputs[:1].copy())


class _ResponseNorm(nn.Module):
    """Local response norm by slices: torch's own averages in 3-D, which ExecuTorch cannot run."""

    def __init__(self, norm: nn.LocalResponseNorm) -> None:
        super().__init__()
        self.size, self.k, self.beta = norm.size, norm.k, norm.beta
        self.share = norm.alpha / norm.size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        channels, around = x.shape[1], (0, 0) * (x.ndim - 2)
        margin = (*around, self.size // 2, (self.size - 1) // 2)
        squares = nn.functional.pad(x * x, margin)
        near = squares[:, :channels]
        for start in range(1, self.size):
            near = near + squares[:, start : start + channels]
        normed: torch.Tensor = x / (self.k + self.share * near) ** self.beta
        return normed
