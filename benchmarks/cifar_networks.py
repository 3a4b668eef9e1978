"""CIFAR-size networks as people write them in PyTorch, with random weights: for studies of time."""

from __future__ import annotations

import torch
from torch import nn

STAGES_OF_RESNET_20 = ((16, 1), (32, 2), (64, 2))
"""Width and stride of each stage of three blocks."""

ROWS_OF_MOBILENET_V2 = (
    *((1, 16, 1, 1), (6, 24, 2, 1), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
"""Expansion, width, repeats and stride; strides as for images of 32x32."""


class BasicBlock(nn.Module):
    """Two convolutions around which the input is added (He et al., CVPR 2016)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(inputs, outputs, 3, stride),
            nn.ReLU(),
            conv_norm(outputs, outputs, 3),
        )
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or inputs != outputs:
            self.shortcut = conv_norm(inputs, outputs, 1, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``."""
        return torch.relu(self.body(x) + self.shortcut(x))


class InvertedResidual(nn.Module):
    """Widen, filter each channel, narrow (Sandler et al., CVPR 2018)."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        super().__init__()
        middle = inputs * expansion
        widen = (conv_norm(inputs, middle, 1), nn.ReLU6()) if expansion > 1 else ()
        self.body = nn.Sequential(
            *widen,
            *(conv_norm(middle, middle, 3, stride, groups=middle), nn.ReLU6()),
            conv_norm(middle, outputs, 1),
        )
        self.same = stride == 1 and inputs == outputs

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[N, inputs, H, W]`` to ``[N, outputs, H / stride, W / stride]``."""
        found: torch.Tensor = self.body(x)
        return x + found if self.same else found


def conv_norm(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, and its norm."""
    padding = kernel // 2
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


def resnet_20() -> nn.Sequential:
    """Three stages of three blocks: 41 M multiply-adds."""
    blocks: list[nn.Module] = []
    before = 16
    for width, stride in STAGES_OF_RESNET_20:
        for repeat in range(3):
            blocks.append(BasicBlock(before, width, 1 if repeat else stride))
            before = width
    return nn.Sequential(conv_norm(3, 16, 3), nn.ReLU(), *blocks, *_head(before))


def mobilenet_v2() -> nn.Sequential:
    """Seventeen inverted residuals between a stem and a wide 1x1 convolution: 88 M multiply-adds."""
    blocks: list[nn.Module] = []
    before = 32
    for expansion, width, repeats, stride in ROWS_OF_MOBILENET_V2:
        for repeat in range(repeats):
            blocks.append(InvertedResidual(before, width, expansion, 1 if repeat else stride))
            before = width
    stem, wide = conv_norm(3, 32, 3), conv_norm(before, 1280, 1)
    return nn.Sequential(stem, nn.ReLU6(), *blocks, wide, nn.ReLU6(), *_head(1280))


def _head(width: int) -> tuple[nn.Module, ...]:
    return nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, 10)
