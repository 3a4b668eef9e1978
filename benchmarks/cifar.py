"""CIFAR-10 as it lies in ``../shared/data``: JPEG files, decoded, and cut into three parts.

JPEG costs accuracy: compare only on this set. The last 5,000 training images are the validation part.
"""

from __future__ import annotations

import io
import itertools
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from benchmarks.task import SHARED, Arrays

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

SOURCE = SHARED / "data" / "cifar10_jpeg.npz"
SHAPE = (3, 32, 32)
PREPROCESSING = {
    "layout": "NCHW",
    "divide": 255,
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
}
VALIDATION = 5000
PADDING = 4


def images() -> Arrays:
    """uint8 ``[n, 3, 32, 32]`` and class numbers, 45,000 + 5,000 + 10,000."""
    with np.load(SOURCE, allow_pickle=False) as data:
        x, y = _decoded(data, "train"), data["y_train"]
        test = {"x_test": _decoded(data, "test"), "y_test": data["y_test"]}
    kept = slice(-VALIDATION), slice(-VALIDATION, None)
    training = {"x_train": x[kept[0]], "y_train": y[kept[0]]}
    return training | {"x_val": x[kept[1]], "y_val": y[kept[1]]} | test


def _decoded(data: Mapping[str, np.ndarray], part: str) -> np.ndarray:
    stream, ends = data[f"jpeg_{part}"], data[f"off_{part}"]
    files = (stream[a:b].tobytes() for a, b in itertools.pairwise(ends))
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    return pictures.transpose(0, 3, 1, 2)


def jitter(x: Tensor) -> Tensor:
    """Each image mirrored or not and moved by up to four pixels."""
    count, device = len(x), x.device
    mirrored = torch.where(torch.rand(count, 1, 1, 1, device=device) < 0.5, x.flip(3), x)
    padded = torch.nn.functional.pad(mirrored, [PADDING] * 4)
    size, most = x.shape[-1], 2 * PADDING + 1
    places = torch.arange(size, device=device)
    rows = torch.randint(0, most, (count, 1), device=device) + places
    columns = torch.randint(0, most, (count, 1), device=device) + places
    wide = rows[:, None, :, None].expand(-1, x.shape[1], -1, padded.shape[3])
    tall = columns[:, None, None, :].expand(-1, x.shape[1], size, -1)
    return padded.gather(2, wide).gather(3, tall)
