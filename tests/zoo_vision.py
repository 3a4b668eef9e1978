"""Convolutional families as people write them in PyTorch, narrow and on small images."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everyone uses


def conv_norm(inputs, outputs, kernel=3, stride=1, groups=1, act=nn.ReLU):
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([act()] if act else []))


def head(width, classes=5):
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class Vgg(nn.Sequential):
    """Pairs of convolutions with norms, pools, dropout in the head."""

    def __init__(self):
        layers, width = [], 3
        for outputs in (8, 8, "pool", 16, 16, "pool"):
            if outputs == "pool":
                layers.append(nn.MaxPool2d(2))
            else:
                layers.append(conv_norm(width, outputs))
                width = outputs
        head_ = (nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(64, 32), nn.ReLU())
        super().__init__(*layers, *head_, nn.Dropout(), nn.Linear(32, 5))


class BasicBlock(nn.Module):
    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(inputs, outputs, 3, stride), conv_norm(outputs, outputs, act=None)
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else conv_norm(inputs, outputs, 1, stride, act=None)
        )

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    def __init__(self, inputs, middle, stride=1, groups=1):
        super().__init__()
        outputs = middle * 4
        self.body = nn.Sequential(
            conv_norm(inputs, middle, 1),
            conv_norm(middle, middle, 3, stride, groups),
            conv_norm(middle, outputs, 1, act=None),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = (
            nn.Identity() if same else conv_norm(inputs, outputs, 1, stride, act=None)
        )

    def forward(self, x):
        return F.relu(self.body(x) + self.shortcut(x))


class ResNet(nn.Sequential):
    def __init__(self, block=BasicBlock, widths=(8, 16), **settings):
        stem = (conv_norm(3, 8, 3), nn.MaxPool2d(3, 2, 1))
        blocks, width = [], 8
        for index, middle in enumerate(widths):
            for repeat in range(2):
                stride = 2 if index and not repeat else 1
                blocks.append(block(width, middle, stride, **settings))
                width = middle * 4 if block is Bottleneck else middle
        super().__init__(*stem, *blocks, head(width))


class CifarResNet(nn.Module):
    """Shortcuts that subsample and pad with zeros instead of a convolution (He et al., option A)."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 8)
        self.body = nn.Sequential(conv_norm(8, 16, 3, 2), conv_norm(16, 16, act=None))
        self.head = head(16)

    def forward(self, x):
        x = self.stem(x)
        x = F.relu(self.body(x) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 4)))
        return self.head(x)


class MobileNetV1(nn.Sequential):
    def __init__(self):
        layers = [conv_norm(3, 8, 3, 2)]
        for inputs, outputs, stride in ((8, 16, 1), (16, 32, 2), (32, 32, 1)):
            layers += [
                conv_norm(inputs, inputs, 3, stride, inputs),
                conv_norm(inputs, outputs, 1),
            ]
        super().__init__(*layers, head(32))


class SqueezeExcite(nn.Module):
    def __init__(self, width, gate=nn.Sigmoid, act=nn.ReLU):
        super().__init__()
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            *(nn.Conv2d(width, width // 4, 1), act(), nn.Conv2d(width // 4, width, 1), gate()),
        )

    def forward(self, x):
        return x * self.gate(x)


class DenseSqueezeExcite(nn.Module):
    """The gate by dense layers on the mean, as in SENet."""

    def __init__(self, width):
        super().__init__()
        self.gate = nn.Sequential(
            nn.Linear(width, 4), nn.ReLU(), nn.Linear(4, width), nn.Sigmoid()
        )

    def forward(self, x):
        return x * self.gate(x.mean((2, 3))).view(x.shape[0], x.shape[1], 1, 1)


class InvertedResidual(nn.Module):
    def __init__(self, inputs, outputs, stride, act, squeeze=None):
        super().__init__()
        middle = inputs * 3
        self.same = stride == 1 and inputs == outputs
        self.body = nn.Sequential(
            conv_norm(inputs, middle, 1, act=act),
            conv_norm(middle, middle, 3, stride, middle, act),
            squeeze(middle) if squeeze else nn.Identity(),
            conv_norm(middle, outputs, 1, act=None),
        )

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


def mobile(act, squeeze=None):
    rows = ((8, 8, 1), (8, 16, 2), (16, 16, 1))
    blocks = [InvertedResidual(i, o, s, act, squeeze) for i, o, s in rows]
    return nn.Sequential(conv_norm(3, 8, 3, 2, act=act), *blocks, head(16))


def mobilenet_v2():
    return mobile(nn.ReLU6)


def mobilenet_v3():
    return mobile(nn.Hardswish, lambda width: SqueezeExcite(width, nn.Hardsigmoid))


def efficientnet():
    return mobile(nn.SiLU, lambda width: SqueezeExcite(width, nn.Sigmoid, nn.SiLU))


def efficientnet_lite():
    return mobile(nn.ReLU6)


def senet():
    return nn.Sequential(conv_norm(3, 16, 3, 2), DenseSqueezeExcite(16), head(16))


class Fire(nn.Module):
    def __init__(self, inputs, squeeze, expand):
        super().__init__()
        self.squeeze = nn.Conv2d(inputs, squeeze, 1)
        self.one, self.three = (
            nn.Conv2d(squeeze, expand, 1),
            nn.Conv2d(squeeze, expand, 3, padding=1),
        )

    def forward(self, x):
        x = F.relu(self.squeeze(x))
        return torch.cat([F.relu(self.one(x)), F.relu(self.three(x))], 1)


class SqueezeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Conv2d(3, 16, 3, 2), nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True)),
            *(Fire(16, 8, 12), Fire(24, 8, 16), nn.Dropout(), nn.Conv2d(32, 5, 1), nn.ReLU()),
            *(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
        )


class DenseLayer(nn.Sequential):
    def __init__(self, inputs):
        super().__init__(
            *(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, 16, 1, bias=False)),
            *(nn.BatchNorm2d(16), nn.ReLU(), nn.Conv2d(16, 8, 3, padding=1, bias=False)),
        )

    def forward(self, x):
        return torch.cat([x, super().forward(x)], 1)


class DenseNet(nn.Sequential):
    def __init__(self):
        transition = (
            nn.BatchNorm2d(24),
            nn.ReLU(),
            nn.Conv2d(24, 12, 1, bias=False),
            nn.AvgPool2d(2),
        )
        last = (nn.BatchNorm2d(20), nn.ReLU(), head(20))
        super().__init__(
            conv_norm(3, 8), DenseLayer(8), DenseLayer(16), *transition, DenseLayer(12), *last
        )


def shuffled(x, groups):
    batch, channels, height, width = x.shape
    x = x.view(batch, groups, channels // groups, height, width)
    return x.transpose(1, 2).contiguous().view(batch, channels, height, width)


class ShuffleUnit(nn.Module):
    """ShuffleNet v2: one half passes, the other is treated, then channels are shuffled."""

    def __init__(self, width, stride):
        super().__init__()
        half = width // 2
        inputs = half if stride == 1 else width // 2
        self.stride = stride
        self.right = nn.Sequential(
            conv_norm(inputs, half, 1),
            conv_norm(half, half, 3, stride, half, act=None),
            conv_norm(half, half, 1),
        )
        self.left = nn.Sequential(
            conv_norm(inputs, inputs, 3, stride, inputs, act=None), conv_norm(inputs, half, 1)
        )

    def forward(self, x):
        if self.stride == 1:
            left, right = x.chunk(2, 1)
            return shuffled(torch.cat([left, self.right(right)], 1), 2)
        return shuffled(torch.cat([self.left(x), self.right(x)], 1), 2)


class ShuffleNetV2(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(conv_norm(3, 8), ShuffleUnit(16, 2), ShuffleUnit(16, 1)),
            *(conv_norm(16, 24, 1), head(24)),
        )


class ShuffleNetV1(nn.Module):
    """Grouped pointwise convolutions with a shuffle between them."""

    def __init__(self):
        super().__init__()
        self.stem = conv_norm(3, 16, 3, 2)
        self.first = conv_norm(16, 16, 1, groups=4)
        self.second = nn.Sequential(
            conv_norm(16, 16, 3, 1, 16, None), conv_norm(16, 16, 1, 1, 4, None)
        )
        self.head = head(16)

    def forward(self, x):
        x = self.stem(x)
        return self.head(F.relu(x + self.second(shuffled(self.first(x), 4))))


class InceptionBlock(nn.Module):
    def __init__(self, inputs):
        super().__init__()
        self.one = conv_norm(inputs, 8, 1)
        self.three = nn.Sequential(conv_norm(inputs, 6, 1), conv_norm(6, 8, 3))
        self.five = nn.Sequential(
            *(conv_norm(inputs, 4, 1), nn.Conv2d(4, 8, (1, 5), padding=(0, 2)), nn.ReLU()),
            *(nn.Conv2d(8, 8, (5, 1), padding=(2, 0)), nn.ReLU()),
        )
        self.pool = nn.Sequential(nn.AvgPool2d(3, 1, 1), conv_norm(inputs, 8, 1))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


class GoogLeNet(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(conv_norm(3, 12, 3, 2), nn.MaxPool2d(3, 1, 1, ceil_mode=True)),
            *(InceptionBlock(12), InceptionBlock(32), head(32)),
        )


class RegNet(ResNet):
    """Grouped bottlenecks (ResNeXt, RegNet)."""

    def __init__(self):
        super().__init__(Bottleneck, (8,), groups=2)


class GhostModule(nn.Module):
    """Half of the channels are cheap copies of the other half."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.primary = conv_norm(inputs, outputs // 2, 1)
        self.cheap = conv_norm(outputs // 2, outputs // 2, 3, 1, outputs // 2)

    def forward(self, x):
        first = self.primary(x)
        return torch.cat([first, self.cheap(first)], 1)


def ghostnet():
    return nn.Sequential(
        conv_norm(3, 8, 3, 2), GhostModule(8, 16), GhostModule(16, 16), head(16)
    )


class LayerNorm2d(nn.LayerNorm):
    """Over the channels of each position, by way of channels last."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.spatial = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.wide, self.narrow = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.scale = nn.Parameter(torch.rand(width))

    def forward(self, x):
        y = self.norm(self.spatial(x).permute(0, 2, 3, 1))
        y = self.narrow(F.gelu(self.wide(y))) * self.scale
        return x + y.permute(0, 3, 1, 2)


def convnext():
    return nn.Sequential(
        nn.Conv2d(3, 8, 4, 4), LayerNorm2d(8), ConvNextBlock(8), ConvNextBlock(8), head(8)
    )


class Cnn1d(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Conv1d(3, 8, 5, padding=2), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(8, 16, 3, 2, 1, dilation=1), nn.BatchNorm1d(16), nn.ELU()),
            *(nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(16, 5)),
        )


class Mlp(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Flatten(), nn.Linear(36, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Dropout()),
            *(nn.Linear(24, 16), nn.PReLU(), nn.Linear(16, 5), nn.LogSoftmax(-1)),
        )


def resnet_bottleneck():
    return ResNet(Bottleneck, (4, 8))
