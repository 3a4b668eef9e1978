"""The trained networks that figures are measured on, with their examples cut into the usual splits.

They lie outside the repository, in ``../shared`` beside it (``base`` and ``data``).
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from compression.onnx_import import import_onnx

if TYPE_CHECKING:
    from compression.graph import Network

SHARED = Path(__file__).parents[2] / "shared"
CALIBRATION = 256
SEARCH = {"lenet5": 5000, "motion": 2000, "resnet20": 1000}
"""Examples that choices are made by; of the CIFAR-10 base fewer, as it takes 100 times as long."""

Examples = tuple[np.ndarray, np.ndarray]
"""Model-ready samples, float32, and class numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """A network and its examples; ``search`` guides choices, ``test`` is for the final figure."""

    model: bytes
    network: Network
    calibration: np.ndarray
    training: Examples
    search: Examples
    test: Examples


def names() -> tuple[str, ...]:
    """What ``load`` knows."""
    return tuple(_READERS)


def load(name: str) -> Base:
    """One of the networks with its examples."""
    folder = SHARED / "base" / name
    preprocess = json.loads((folder / "preprocess.json").read_text())
    raw = _READERS[name](folder)
    training, search, test = ((_ready(x, preprocess), y.astype(np.int64)) for x, y in raw)
    model = (folder / "base.onnx").read_bytes()
    order = np.random.default_rng(0).permutation(len(training[0]))
    held_out = training[0][order[:CALIBRATION]]
    training = training[0][order[CALIBRATION:]], training[1][order[CALIBRATION:]]
    return Base(
        model=model,
        network=import_onnx(model, name=name),
        calibration=held_out,
        training=training,
        search=(search[0][: SEARCH[name]], search[1][: SEARCH[name]]),
        test=test,
    )


def _ready(x: np.ndarray, preprocess: dict[str, Any]) -> np.ndarray:
    shape = (1, -1) + (1,) * (x.ndim - 2)
    mean, std = (
        np.asarray(preprocess[key], np.float32).reshape(
            shape if np.ndim(preprocess[key]) else ()
        )
        for key in ("mean", "std")
    )
    ready: np.ndarray = (x.astype(np.float32) / preprocess["divide"] - mean) / std
    return ready


def _lenet5(_: Path) -> list[Examples]:
    data = np.load(SHARED / "data" / "mnist.npz")
    x, y = data["x_train"][:, None], data["y_train"]
    return [
        (x[:55_000], y[:55_000]),
        (x[55_000:], y[55_000:]),
        (data["x_test"][:, None], data["y_test"]),
    ]


def _motion(folder: Path) -> list[Examples]:
    training, rest = np.load(folder / "train.npz"), np.load(folder / "test.npz")
    return [
        (training["x_train"], training["y_train"]),
        (rest["x_val"], rest["y_val"]),
        (rest["x_test"], rest["y_test"]),
    ]


def _resnet20(_: Path) -> list[Examples]:
    """The search examples are from the end of the training set: the network has seen them."""
    data = np.load(SHARED / "data" / "cifar10_jpeg.npz")
    rows = {"train": [*range(20_000), *range(45_000, 50_000)], "test": list(range(10_000))}
    parts = {}
    for part, chosen in rows.items():
        stream, offsets = data[f"jpeg_{part}"], data[f"off_{part}"]
        x = np.stack(
            [
                np.asarray(
                    Image.open(io.BytesIO(stream[offsets[i] : offsets[i + 1]].tobytes()))
                )
                for i in chosen
            ]
        )
        parts[part] = x.transpose(0, 3, 1, 2), data[f"y_{part}"][chosen]
    x, y = parts["train"]
    return [(x[:20_000], y[:20_000]), (x[20_000:], y[20_000:]), parts["test"]]


_READERS = {"lenet5": _lenet5, "motion": _motion, "resnet20": _resnet20}
