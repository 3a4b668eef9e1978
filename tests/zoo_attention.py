"""Transformers on small images and signals, the ways people write them."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - the name everyone uses


class Attention(nn.Module):
    """``split``: how queries, keys and values come apart; all three ways are common."""

    def __init__(self, width=16, heads=2, split="unbind"):
        super().__init__()
        self.heads, self.split = heads, split
        self.qkv, self.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)

    def forward(self, x):
        batch, tokens, width = x.shape
        shape = (batch, tokens, self.heads, width // self.heads)
        if self.split == "unbind":  # timm: the batch is moved behind an axis of three
            joined = self.qkv(x).reshape(batch, tokens, 3, *shape[2:]).permute(2, 0, 3, 1, 4)
            q, k, v = joined.unbind(0)
        else:
            q, k, v = (part.reshape(shape).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        scores = (q @ k.transpose(-2, -1)) * (width // self.heads) ** -0.5
        y = scores.softmax(-1) @ v
        return self.proj(y.transpose(1, 2).reshape(batch, tokens, width))


class FusedAttention(Attention):
    """By way of ``scaled_dot_product_attention``."""

    def forward(self, x):
        batch, tokens, width = x.shape
        shape = (batch, tokens, self.heads, width // self.heads)
        q, k, v = (part.reshape(shape).transpose(1, 2) for part in self.qkv(x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v)
        return self.proj(y.transpose(1, 2).reshape(batch, tokens, width))


class TorchAttention(nn.Module):
    """``nn.MultiheadAttention``: batch in the middle, heads merged into it (torchvision's ViT)."""

    def __init__(self, width=16, heads=2):
        super().__init__()
        self.inner = nn.MultiheadAttention(width, heads, batch_first=True)

    def forward(self, x):
        return self.inner(x, x, x, need_weights=False)[0]


class Block(nn.Module):
    def __init__(self, attention, width=16):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = attention
        self.mlp = nn.Sequential(
            nn.Linear(width, 32), nn.GELU(), nn.Dropout(), nn.Linear(32, width)
        )

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.mlp(self.norm2(x))


class Vit(nn.Module):
    """Patches, class token, position embedding, blocks; the head reads the token or the mean."""

    def __init__(self, attention=Attention, *, token=True, **settings):
        super().__init__()
        width = 16
        self.patches = nn.Conv2d(3, width, 4, 4)
        self.token = nn.Parameter(torch.randn(1, 1, width)) if token else None
        self.places = nn.Parameter(torch.randn(1, 9 + token, width))
        self.blocks = nn.Sequential(*(Block(attention(width, **settings)) for _ in range(2)))
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        if self.token is not None:
            x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1)
        x = self.norm(self.blocks(x + self.places))
        return self.head(x[:, 0] if self.token is not None else x.mean(1))


class MlpMixer(nn.Module):
    """Dense layers over positions, then over channels."""

    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, 12, 4, 4)
        self.norm1, self.norm2 = nn.LayerNorm(12), nn.LayerNorm(12)
        self.places = nn.Sequential(nn.Linear(9, 16), nn.GELU(), nn.Linear(16, 9))
        self.channels = nn.Sequential(nn.Linear(12, 24), nn.GELU(), nn.Linear(24, 12))
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = x + self.places(self.norm1(x).transpose(1, 2)).transpose(1, 2)
        x = x + self.channels(self.norm2(x))
        return self.head(x.mean(1))


class SignalTransformer(nn.Module):
    """A 1-D stem and PyTorch's own encoder layer."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv1d(3, 16, 4, 4)
        self.encoder = nn.TransformerEncoderLayer(
            16, 2, 32, batch_first=True, activation="gelu"
        )
        self.head = nn.Linear(16, 5)

    def forward(self, x):
        return self.head(self.encoder(self.stem(x).transpose(1, 2)).mean(1))


class Recurrent(nn.Module):
    """A convolutional stem before an LSTM: the last state is classified."""

    def __init__(self, kind=nn.LSTM):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv1d(3, 8, 3, padding=1), nn.ReLU())
        self.recurrent = kind(8, 12, batch_first=True)
        self.head = nn.Linear(12, 5)

    def forward(self, x):
        states, _ = self.recurrent(self.stem(x).transpose(1, 2))
        return self.head(states[:, -1])


def vit_chunked():
    return Vit(split="chunk")


def vit_without_token():
    return Vit(token=False)


def vit_fused():
    return Vit(FusedAttention)


def vit_torch():
    return Vit(TorchAttention)


def gru():
    return Recurrent(nn.GRU)
