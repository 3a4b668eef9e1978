"""Real tables of five networks, each measured once and kept outside git: what selectors are judged on.

``python -m benchmarks.study_tables [NAME...]`` does INSPECT and PROBE of ``lenet5``, ``motion``, ``resnet20``
(the trained networks of ``benchmarks.bases``), ``alexnet`` and ``mobilenet`` (small ones, trained here for
a few epochs on 20,000 CIFAR-10 images). From seconds to minutes each, the first time.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from benchmarks import bases
from benchmarks.cifar_networks import InvertedResidual, conv_norm
from compression.types import Stage
from selector.engine import prepare, run_stage
from selector.reporter import Reporter
from selector.tables import StudyTables
from webapp.samples.training import Schedule, accuracy, fit, write_onnx

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.bases import Base

CACHE = Path(__file__).parent / ".tables"
EPOCHS = 4


def alexnet() -> nn.Module:
    """Five convolutions and three dense layers: 22 M multiply-adds."""
    widths, kernels = (24, 64, 96, 64, 64), (5, 5, 3, 3, 3)
    layers: list[nn.Module] = []
    before = 3
    for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True)):
        layers += [nn.Conv2d(before, width, kernel, padding=kernel // 2), nn.ReLU()]
        if i in (0, 1, 4):
            layers.append(nn.MaxPool2d(2))
        before = width
    dense = (nn.Linear(1024, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU())
    return nn.Sequential(*layers, nn.Flatten(), *dense, nn.Linear(256, 10))


def mobilenet() -> nn.Module:
    """Nine inverted residuals between a stem and a wide 1x1 convolution."""
    blocks: list[nn.Module] = []
    before = 16
    for expansion, width, repeats, stride in (
        *((1, 8, 1, 1), (4, 16, 2, 2), (4, 24, 2, 2)),
        *((4, 32, 2, 1), (4, 48, 2, 2)),
    ):
        for repeat in range(repeats):
            blocks.append(InvertedResidual(before, width, expansion, 1 if repeat else stride))
            before = width
    stem, wide = conv_norm(3, 16, 3), conv_norm(before, 192, 1)
    head = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(192, 10))
    return nn.Sequential(stem, nn.ReLU6(), *blocks, wide, nn.ReLU6(), *head)


TRAINED_HERE: dict[str, Callable[[], nn.Module]] = {"alexnet": alexnet, "mobilenet": mobilenet}
NAMES = (*bases.names(), *TRAINED_HERE)


def tables_of(name: str) -> StudyTables:
    """The tables of one of ``NAMES``, measured now if they never were."""
    folder = CACHE / name
    path = folder / "job" / Stage.PROBE.value / "tables.npz"
    if not path.is_file():
        _measure(name, folder)
    return StudyTables.load(path)


def _measure(name: str, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    examples = bases.load("resnet20" if name in TRAINED_HERE else name)
    model = folder / f"{name}.onnx"
    if name in TRAINED_HERE:
        _train(TRAINED_HERE[name], examples, model)
    else:
        model.write_bytes(examples.model)
    data = folder / "data.npz"
    (x, y), (x_test, y_test) = _joined(examples), examples.test
    np.savez(data, x_train=x, y_train=y, x_test=x_test[:2000], y_test=y_test[:2000])
    request = folder / "request.json"
    asked = {"model": str(model), "data": str(data), "threads": 1}
    request.write_text(json.dumps(asked), encoding="utf-8")
    job = prepare(request, folder / "job")
    with (folder / "events.jsonl").open("w", encoding="utf-8") as events:
        for stage in (Stage.INSPECT, Stage.PROBE):
            run_stage(stage, job, Reporter(events), None)


def _joined(base: Base) -> tuple[np.ndarray, np.ndarray]:
    """As many training examples as the search needs, and no more to carry about."""
    x, y = base.training
    return x[:12_000], y[:12_000]


def _train(make: Callable[[], nn.Module], examples: Base, path: Path) -> None:
    torch.manual_seed(0)
    network = make()
    x, y = (torch.from_numpy(part) for part in examples.training)
    schedule = Schedule(epochs=EPOCHS, batch_size=64, learning_rate=3e-3)
    fit(network, x, y, schedule, lambda batch: batch)
    right = accuracy(network, *(torch.from_numpy(part[:2000]) for part in examples.test))
    print(f"{path.stem}: {right:.1%} right after {EPOCHS} epochs")
    write_onnx(network, x[:1], path)


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*NAMES, []])
    for each in parser.parse_args().names or NAMES:
        begun = time.process_time()
        found = tables_of(each)
        print(f"{each}: {len(found.layers)} rows, {time.process_time() - begun:.0f} CPU-s")
