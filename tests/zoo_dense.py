"""Networks whose answer is not one vector of classes: U-Nets and detectors."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everyone uses

from tests.exporting import seeded, settled
from tests.zoo_vision import conv_norm


class UNet(nn.Module):
    """Two levels; ``up`` is how the decoder doubles the resolution."""

    def __init__(self, up="transposed"):
        super().__init__()
        self.first, self.second = conv_norm(3, 8), conv_norm(8, 16)
        self.bottom = conv_norm(16, 16)
        if up == "transposed":
            self.up = nn.ConvTranspose2d(16, 8, 2, 2)
        else:
            aligned = {"align_corners": False} if up != "nearest" else {}
            upsample = nn.Upsample(scale_factor=2, mode=up, **aligned)
            self.up = nn.Sequential(upsample, nn.Conv2d(16, 8, 1))
        self.merge, self.out = conv_norm(16, 8), nn.Conv2d(8, 2, 1)

    def forward(self, x):
        first = self.first(x)
        deep = self.bottom(self.second(F.max_pool2d(first, 2)))
        return self.out(self.merge(torch.cat([self.up(deep), first], 1)))


class Autoencoder(nn.Sequential):
    """Strided convolutions down, transposed ones with odd padding up."""

    def __init__(self):
        super().__init__(
            *(nn.Conv2d(1, 8, 3, 2, 1), nn.ReLU(), nn.Conv2d(8, 4, 3, 2, 1), nn.ReLU()),
            *(nn.ConvTranspose2d(4, 8, 3, 2, 1, output_padding=1), nn.ReLU()),
            *(nn.ConvTranspose2d(8, 1, 4, 2, 1), nn.Sigmoid()),
        )


class CspBlock(nn.Module):
    """YOLO's C2f: split, treat one half, join everything."""

    def __init__(self, width):
        super().__init__()
        half = width // 2
        self.enter = conv_norm(width, width, 1, act=nn.SiLU)
        self.inner = nn.Sequential(
            conv_norm(half, half, act=nn.SiLU), conv_norm(half, half, act=nn.SiLU)
        )
        self.leave = conv_norm(half * 3, width, 1, act=nn.SiLU)

    def forward(self, x):
        left, right = self.enter(x).chunk(2, 1)
        return self.leave(torch.cat([left, right, right + self.inner(right)], 1))


class PyramidPool(nn.Module):
    """YOLO's SPPF: one pool, three times."""

    def __init__(self, width):
        super().__init__()
        self.enter = conv_norm(width, width // 2, 1, act=nn.SiLU)
        self.leave = conv_norm(width * 2, width, 1, act=nn.SiLU)

    def forward(self, x):
        x = self.enter(x)
        one = F.max_pool2d(x, 5, 1, 2)
        two = F.max_pool2d(one, 5, 1, 2)
        return self.leave(torch.cat([x, one, two, F.max_pool2d(two, 5, 1, 2)], 1))


class Yolo(nn.Module):
    """Two scales, an upsampled path, heads decoded to boxes and joined to one output."""

    def __init__(self, anchors=2, classes=3):
        super().__init__()
        act, self.per_anchor, self.anchors = nn.SiLU, 5 + classes, anchors
        self.stem = conv_norm(3, 8, 3, 2, act=act)
        self.fine = nn.Sequential(conv_norm(8, 16, 3, 2, act=act), CspBlock(16))
        self.coarse = nn.Sequential(
            conv_norm(16, 32, 3, 2, act=act), CspBlock(32), PyramidPool(32)
        )
        self.merge = CspBlock(48)
        outputs = anchors * self.per_anchor
        self.heads = nn.ModuleList([nn.Conv2d(48, outputs, 1), nn.Conv2d(32, outputs, 1)])
        self.register_buffer("size", torch.rand(1, anchors, 1, 1, 2) * 8)

    def forward(self, x):
        fine = self.fine(self.stem(x))
        coarse = self.coarse(fine)
        merged = self.merge(torch.cat([F.interpolate(coarse, scale_factor=2.0), fine], 1))
        found = [
            self._decoded(self.heads[0](merged), 4),
            self._decoded(self.heads[1](coarse), 8),
        ]
        return torch.cat(found, 1)

    def _decoded(self, x, stride):
        batch, _, height, width = x.shape
        x = x.view(batch, self.anchors, self.per_anchor, height, width).permute(0, 1, 3, 4, 2)
        rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        grid = torch.stack([columns, rows], -1).float()
        place, size, rest = x.contiguous().sigmoid().split((2, 2, self.per_anchor - 4), 4)
        place = (place * 2 - 0.5 + grid) * stride
        found = torch.cat([place, (size * 2) ** 2 * self.size, rest], 4)
        return found.view(batch, -1, self.per_anchor)


class YoloX(nn.Module):
    """Anchor-free: heads flattened and transposed, no decoding."""

    def __init__(self):
        super().__init__()
        act = nn.LeakyReLU
        self.body = nn.Sequential(
            conv_norm(12, 16, 3, act=act), CspBlock(16), conv_norm(16, 16, act=act)
        )
        self.boxes, self.classes = nn.Conv2d(16, 4, 1), nn.Conv2d(16, 4, 1)

    def forward(self, x):
        corners = (x[..., a::2, b::2] for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)))
        x = self.body(torch.cat(list(corners), 1))  # the "focus" layer
        found = torch.cat([self.boxes(x), self.classes(x).sigmoid()], 1)
        return found.flatten(2).permute(0, 2, 1)


class FullyConvolutional(nn.Module):
    """FCN: a coarse map of classes, brought back to the image's size by bilinear resizing."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(
            conv_norm(3, 8, 3, 2), nn.Conv2d(8, 16, 3, 2, 2, dilation=2), nn.ReLU()
        )
        self.out = nn.Conv2d(16, 3, 1)

    def forward(self, x):
        y = self.out(self.body(x))
        return F.interpolate(y, size=x.shape[-2:], mode="bilinear", align_corners=True)


class SuperResolution(nn.Sequential):
    def __init__(self):
        super().__init__(
            *(nn.Conv2d(1, 8, 5, padding=2), nn.Tanh(), nn.Conv2d(8, 4, 3, padding=1)),
            nn.PixelShuffle(2),
        )


def unet_nearest():
    return UNet("nearest")


def unet_bilinear():
    return UNet("bilinear")


def unet_bicubic():
    return UNet("bicubic")


def lively_yolo():
    """A detector whose answers follow its inputs: norms of random statistics would let little through."""
    inputs = torch.randn(256, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    module = settled(seeded(Yolo), inputs)
    with torch.no_grad():
        for head in module.heads:
            head.weight.mul_(5)
    return module
