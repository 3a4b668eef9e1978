"""A small network on log-mel pictures of spoken digits (Free Spoken Digit Dataset, six speakers).

Official split: takes 0 to 4 of each speaker and digit are the test part; takes 5 to 9 are carved from training for
validation. The log-mel pictures are made here, so that the network reads what a phone's front end would give it.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.task import MODELS, SHARED, Arrays, Task, Training
from webapp.samples.training import Schedule

if TYPE_CHECKING:
    from collections.abc import Mapping

SOURCE = SHARED / "data" / "fsdd.npz"
RATE, WINDOW, HOP, BANDS, FRAMES = 8000, 256, 128, 32, 64
LOWEST_HZ = 60.0
VALIDATION_TAKES = range(5, 10)


def sound_network() -> nn.Sequential:
    """Three convolutions and two dense layers: 155,082 parameters, 5.1 M multiply-adds."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(1, 16, 3, padding=1),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(16, 32, 3, padding=1),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        conv3=nn.Conv2d(32, 64, 3, padding=1),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        drop1=nn.Dropout(0.4),
        fc1=nn.Linear(64 * 4 * 8, 64),
        relu4=nn.ReLU(),
        fc2=nn.Linear(64, 10),
    )
    return nn.Sequential(layers)


def log_mel(pcm: np.ndarray) -> np.ndarray:
    """``[1, BANDS, FRAMES]`` float32 of one recording, cut or filled with silence to one second."""
    length = WINDOW + HOP * (FRAMES - 1)
    sound = np.zeros(length, np.float32)
    kept = pcm[:length].astype(np.float32) / 32768
    sound[: len(kept)] = kept
    frames = np.lib.stride_tricks.sliding_window_view(sound, WINDOW)[::HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(WINDOW))) ** 2
    bands = power @ _filters().T
    picture: np.ndarray = np.log(bands + 1e-6).T[None].astype(np.float32)
    return picture


def _filters() -> np.ndarray:
    """``[BANDS, bins]`` triangles evenly spaced in mel."""
    ends = 2595 * np.log10(1 + np.array([LOWEST_HZ, RATE / 2]) / 700)
    hz = 700 * (10 ** (np.linspace(ends[0], ends[1], BANDS + 2) / 2595) - 1)
    bins = np.fft.rfftfreq(WINDOW, 1 / RATE)
    low, middle, high = hz[:-2, None], hz[1:-1, None], hz[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    triangles: np.ndarray = np.maximum(0, np.minimum(rising, falling))
    return triangles


def spoken_digits() -> Arrays:
    """The three parts as log-mel pictures, standardised by the training part."""
    with np.load(SOURCE, allow_pickle=False) as data:
        sound = {part: _pictures(data, part) for part in ("train", "test")}
        held_out = np.isin(data["take_train"], VALIDATION_TAKES)
        y = {part: data[f"y_{part}"] for part in ("train", "test")}
    parts = {
        "train": (sound["train"][~held_out], y["train"][~held_out]),
        "val": (sound["train"][held_out], y["train"][held_out]),
        "test": (sound["test"], y["test"]),
    }
    mean, std = parts["train"][0].mean(), parts["train"][0].std()
    found: Arrays = {}
    for part, (x, labels) in parts.items():
        found |= {f"x_{part}": (x - mean) / std, f"y_{part}": labels}
    return found


def _pictures(data: Mapping[str, np.ndarray], part: str) -> np.ndarray:
    pcm, ends = data[f"pcm_{part}"], data[f"off_{part}"]
    return np.stack([log_mel(pcm[a:b]) for a, b in itertools.pairwise(ends)])


def jitter(x: Tensor) -> Tensor:
    """Each picture moved in time by up to 6 frames, made louder or softer; some lose a band of pitches."""
    shift = torch.randint(-6, 7, (len(x), 1, 1, 1))
    places = (torch.arange(FRAMES) + shift) % FRAMES
    moved = x.gather(3, places.expand_as(x)) + 0.15 * torch.randn(len(x), 1, 1, 1)
    first = torch.randint(0, BANDS, (len(x), 1, 1, 1))
    lost = (torch.arange(BANDS).view(1, 1, -1, 1) - first).clamp(min=0) < 4
    behind = torch.arange(BANDS).view(1, 1, -1, 1) >= first
    return torch.where(lost & behind, moved.mean((2, 3), keepdim=True), moved)


TASK = Task(
    title="sound: CNN on log-mel, spoken digits",
    shape=(1, BANDS, FRAMES),
    base=MODELS / "sound.onnx",
    preprocessing={"layout": "NCHW", "divide": 1, "mean": [0.0], "std": [1.0]},
    arrays=spoken_digits,
    time_limit_s=240,  # 480 steps of 64
    faster=4.0,
    smaller=20,
    origin="python -m benchmarks.train sound",
    needs=(SOURCE,),
    training=Training(
        network=sound_network,
        schedule=Schedule(epochs=60, batch_size=64, learning_rate=2e-3, weight_decay=5e-2),
        augment=jitter,
    ),
)
