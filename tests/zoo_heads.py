"""Networks with several outputs: detectors with a head for each scale or task, auxiliary classifiers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everyone uses

from tests.exporting import seeded, settled
from tests.zoo_vision import conv_norm


class YoloHeads(nn.Module):
    """Two scales, each a map of boxes and classes as it leaves its convolution."""

    def __init__(self, anchors=2, classes=3):
        super().__init__()
        act, outputs = nn.LeakyReLU, anchors * (5 + classes)
        self.stem = nn.Sequential(
            conv_norm(3, 16, 3, 2, act=act), conv_norm(16, 32, 3, 2, act=act)
        )
        self.deep = conv_norm(32, 32, 3, 2, act=act)
        self.side = conv_norm(32, 16, 1, act=act)
        self.fine = nn.Sequential(conv_norm(48, 32, act=act), nn.Conv2d(32, outputs, 1))
        self.coarse = nn.Sequential(conv_norm(32, 32, act=act), nn.Conv2d(32, outputs, 1))

    def forward(self, x):
        shallow = self.stem(x)
        deep = self.deep(shallow)
        raised = F.interpolate(self.side(deep), scale_factor=2.0)
        return self.fine(torch.cat([raised, shallow], 1)), self.coarse(deep)


class Ssd(nn.Module):
    """Boxes and class probabilities of all priors, from two scales."""

    def __init__(self, priors=2, classes=4):
        super().__init__()
        self.classes = classes
        self.first = nn.Sequential(conv_norm(3, 16, 3, 2), conv_norm(16, 32, 3, 2))
        self.second = conv_norm(32, 32, 3, 2)
        self.boxes = nn.ModuleList([nn.Conv2d(32, 4 * priors, 3, padding=1) for _ in "ab"])
        self.scores = nn.ModuleList(
            [nn.Conv2d(32, classes * priors, 3, padding=1) for _ in "ab"]
        )

    def forward(self, x):
        first = self.first(x)
        maps = first, self.second(first)
        boxes = [self._listed(head(y), 4) for head, y in zip(self.boxes, maps, strict=True)]
        scores = [
            self._listed(head(y), self.classes)
            for head, y in zip(self.scores, maps, strict=True)
        ]
        return torch.cat(boxes, 1), torch.cat(scores, 1).softmax(-1)

    def _listed(self, x, values):
        return x.permute(0, 2, 3, 1).reshape(x.shape[0], -1, values)


class Auxiliary(nn.Module):
    """GoogLeNet's way: a classifier, and one more half-way that helped to train it."""

    def __init__(self, classes=4):
        super().__init__()
        self.early, self.late = conv_norm(1, 8), conv_norm(8, 16)
        self.aux = nn.Linear(8, classes)
        self.fc = nn.Linear(16, classes)

    def forward(self, x):
        early = F.max_pool2d(self.early(x), 2)
        late = F.max_pool2d(self.late(early), 2)
        return self.fc(late.mean((2, 3))), self.aux(early.mean((2, 3)))


class TwoTasks(nn.Module):
    """One vector of features, two questions with a different number of answers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(conv_norm(1, 8), nn.MaxPool2d(2), conv_norm(8, 16))
        self.wide, self.narrow = nn.Linear(16, 7), nn.Linear(16, 3)

    def forward(self, x):
        found = self.body(x).mean((2, 3))
        return self.wide(found).softmax(1), self.narrow(found)


def lively(make, *shape):
    """A network whose answers follow its inputs: random statistics and biases would let little through."""
    inputs = torch.randn(256, *shape, generator=torch.Generator().manual_seed(1))
    module = settled(seeded(make), inputs)
    heads = [layer for layer in module.modules() if isinstance(layer, nn.Linear)]
    hooks = [head.register_forward_pre_hook(_centred) for head in heads]
    with torch.no_grad():
        module(inputs)
    for hook in hooks:
        hook.remove()
    return module


def _centred(head, arguments):
    """Takes away what a classifier says of the mean input, and speaks up on what is left."""
    (x,) = arguments
    head.weight.div_(x.std(0).mean())
    head.bias.copy_(-head.weight @ x.mean(0))
