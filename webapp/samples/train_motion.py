"""Trains the sample 1-D network on smartwatch motion and writes ``motion/model.onnx`` and ``data.npz``.

Run as ``python -m webapp.samples.train_motion WATCH.npz`` with the recordings of the PyPI package
``seglearn`` 1.2.5 joined to one array: x (samples x 6 channels, 50 Hz), off (start of each recording
and the end), y (exercise) and subject (1 to 10) of each recording, class_names.
Takes about five minutes on one core.
"""

from __future__ import annotations

import argparse
import itertools
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from webapp.samples.training import Schedule, accuracy, fit, write_onnx

FOLDER = Path(__file__).parent / "motion"
WINDOW, STRIDE = 128, 64
STEPS_PER_UNIT = 256  # windows are kept as int16, standardised value x 256
VALIDATION_SUBJECTS, TEST_SUBJECTS = (8,), (9, 10)
SCHEDULE = Schedule(epochs=40, batch_size=64, learning_rate=2e-3, weight_decay=5e-2)
Arrays = dict[str, np.ndarray]


def motion_network() -> nn.Sequential:
    """Three convolutions and two dense layers: 326,791 parameters."""
    layers = OrderedDict[str, nn.Module](
        conv1=nn.Conv1d(6, 64, 5, padding=2),
        relu1=nn.ReLU(),
        pool1=nn.MaxPool1d(2),
        conv2=nn.Conv1d(64, 64, 5, padding=2),
        relu2=nn.ReLU(),
        pool2=nn.MaxPool1d(2),
        conv3=nn.Conv1d(64, 128, 5, padding=2),
        relu3=nn.ReLU(),
        pool3=nn.MaxPool1d(2),
        flatten=nn.Flatten(),
        drop1=nn.Dropout(0.5),
        fc1=nn.Linear(2048, 128),
        relu4=nn.ReLU(),
        drop2=nn.Dropout(0.3),
        fc2=nn.Linear(128, 7),
    )
    return nn.Sequential(layers)


def cut_windows(path: Path) -> Arrays:
    """Overlapping windows (N x 6 x 128, raw units) with the exercise and the subject of each."""
    with np.load(path, allow_pickle=False) as recordings:
        x, ends = recordings["x"], recordings["off"]
        windows, labels, subjects = [], [], []
        for i, (start, end) in enumerate(itertools.pairwise(ends)):
            for first in range(start, end - WINDOW + 1, STRIDE):
                windows.append(x[first : first + WINDOW].T)
                labels.append(recordings["y"][i])
                subjects.append(recordings["subject"][i])
        names = recordings["class_names"]
    return {
        "x": np.stack(windows),
        "y": np.array(labels, np.uint8),
        "subject": np.array(subjects, np.uint8),
        "class_names": names,
    }


def split_by_subject(windows: Arrays) -> Arrays:
    """Standardised int16 windows in three parts; no person is in two of them."""
    subject = windows["subject"]
    rows = {
        "train": ~np.isin(subject, VALIDATION_SUBJECTS + TEST_SUBJECTS),
        "val": np.isin(subject, VALIDATION_SUBJECTS),
        "test": np.isin(subject, TEST_SUBJECTS),
    }
    raw = windows["x"][rows["train"]]
    mean, std = raw.mean((0, 2), keepdims=True), raw.std((0, 2), keepdims=True)
    scaled = np.rint((windows["x"] - mean) / std * STEPS_PER_UNIT)
    x = np.clip(scaled, -32768, 32767).astype(np.int16)
    parts = {f"x_{part}": x[chosen] for part, chosen in rows.items()}
    parts |= {f"y_{part}": windows["y"][chosen] for part, chosen in rows.items()}
    # Training windows stay one pool: calibration may then take a few of each person.
    parts |= {f"group_{part}": subject[rows[part]] for part in ("val", "test")}
    return parts | {"class_names": windows["class_names"]}


def as_tensors(parts: Arrays, part: str) -> tuple[Tensor, Tensor]:
    """One part as the network reads it."""
    x = parts[f"x_{part}"].astype(np.float32) / STEPS_PER_UNIT
    return torch.from_numpy(x), torch.from_numpy(parts[f"y_{part}"].astype(np.int64))


def jitter(x: Tensor) -> Tensor:
    """Each window shifted in time by up to 16 samples, each channel scaled by up to 15 %, some noise."""
    shift = torch.randint(-16, 17, (len(x), 1, 1))
    places = (torch.arange(x.shape[2]) + shift) % x.shape[2]
    moved = x.gather(2, places.expand_as(x))
    gain = 1 + 0.15 * torch.randn(len(x), x.shape[1], 1)
    return moved * gain + 0.05 * torch.randn_like(x)


def main() -> None:
    """Trains, reports the accuracy on the two test subjects, writes both files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("watch", type=Path)
    parts = split_by_subject(cut_windows(parser.parse_args().watch))
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(FOLDER / "data.npz", **parts)  # type: ignore[arg-type]
    torch.manual_seed(SCHEDULE.seed)
    torch.set_num_threads(1)
    model = motion_network()
    x, y = as_tensors(parts, "train")
    fit(model, x, y, SCHEDULE, jitter)
    write_onnx(model, x[:1], FOLDER / "model.onnx")
    print(f"validation {accuracy(model, *as_tensors(parts, 'val')):.4f}")
    print(f"test {accuracy(model, *as_tensors(parts, 'test')):.4f}")


if __name__ == "__main__":
    main()
