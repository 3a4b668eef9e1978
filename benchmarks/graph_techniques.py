"""Techniques that take layers out of the graph, measured on trained networks and on bare shapes.

``python -m benchmarks.graph_techniques [lenet|resnet|groups]``: pools turned into strides in a LeNet-5,
residual blocks removed from a ResNet-20 (both trained, read from ``../shared``), and the speed of grouped
convolutions against full ones in ONNX Runtime. Nothing is fine-tuned.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image

from compression.building import Workbench
from compression.latency import paired_latency
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.op_costs import ConvGeometry
from compression.op_models import single_op_onnx
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import Precision, RecipeStep

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import Recipe

SHARED = Path(__file__).resolve().parents[2] / "shared"
CALIBRATION, HELD_OUT, ROUNDS = 256, 1000, 40

GROUPED = (
    *(
        (16, 32, 3),
        (32, 16, 3),
        (48, 16, 3),
        (64, 8, 3),
        (64, 32, 3),
        (96, 16, 3),
        (128, 16, 3),
    ),
    *(
        (256, 8, 3),
        (512, 4, 3),
        (64, 16, 1),
        (96, 16, 1),
        (128, 8, 1),
        (256, 8, 1),
        (512, 4, 1),
    ),
    *((128, 1, 1), (512, 1, 1), (1024, 1, 1)),
)
"""Channels (in and out), positions along a side, and kernel: ResNet, VGG and MobileNet widths, dense ones."""


def compare_lenet() -> None:
    """Pools of a LeNet-5 as strides, one by one and both."""
    network, model, preprocess = _trained("lenet5")
    images = np.load(SHARED / "data/mnist.npz", allow_pickle=False)
    x = preprocess(images["x_train"][: CALIBRATION + HELD_OUT, None])
    test = preprocess(images["x_test"][:, None])
    layers = _applicable(network, "pool_to_stride")
    recipes = [
        *(_recipe("pool_to_stride", (n,)) for n in layers),
        _recipe("pool_to_stride", layers),
    ]
    _compare(network, model, x, recipes, test)


def compare_resnet() -> None:
    """Each removable block of a ResNet-20 alone, and the three of least divergence together."""
    network, model, preprocess = _trained("resnet20")
    x = preprocess(_cifar("train", CALIBRATION + HELD_OUT))
    test = preprocess(_cifar("test", 2000))
    layers = _applicable(network, "block_removal")
    single = [_recipe("block_removal", (name,)) for name in layers]
    loss = _compare(network, model, x, single, test)
    gentle = sorted(layers, key=lambda name: loss[layers.index(name)])[:3]
    _compare(network, model, x, [_recipe("block_removal", tuple(gentle))], test)


def compare_groups() -> None:
    """One line a shape: time of the full convolution over that of 2, 4 and 8 groups."""
    for channels, size, kernel in GROUPED:
        specs = {str(g): _grouped(channels, size, kernel, g).op() for g in (1, 2, 4, 8)}
        files = {g: single_op_onnx(spec, Precision.FP32) for g, spec in specs.items()}
        x1 = np.random.default_rng(0).standard_normal((1, channels, size, size))
        found = paired_latency(files, x1.astype(np.float32), ROUNDS)
        ratios = " | ".join(f"{found[g].ratio:.2f}" for g in ("2", "4", "8"))
        where = f"{channels} of {size} x {size}, {kernel} x {kernel}"
        print(f"| {where} | {1e3 * found['1'].p10:.0f} us | {ratios} |")


def _compare(
    network: Network, model: bytes, x: np.ndarray, recipes: list[Recipe], test: np.ndarray
) -> list[float]:
    """One line a recipe: divergence before and after the fit, agreement on test samples, time."""
    bench = Workbench.of(network, x[:CALIBRATION])
    held = x[CALIBRATION:]
    answers, right = logits(network, held), logits(network, test).argmax(1)
    losses, files = [], {"original": model}
    rows = []
    for number, recipe in enumerate(recipes):
        raw, fitted = bench.build(recipe, fit=False).network, bench.build(recipe).network
        losses.append(kl_to_original(fitted, answers, held))
        same = 100 * np.mean(logits(fitted, test).argmax(1) == right)
        name = ", ".join(step.layer for step in recipe)
        before = kl_to_original(raw, answers, held)
        rows.append(f"| {name} | {before:.3f} | {losses[-1]:.3f} | {same:.1f} %")
        files[str(number)] = export_onnx(fitted, held[:16])
    timings = paired_latency(files, held[:1], ROUNDS)
    for number, row in enumerate(rows):
        low, high = timings[str(number)].ratio_ci
        print(f"{row} | {timings[str(number)].ratio:.2f} ({low:.2f} to {high:.2f}) |")
    return losses


def _recipe(technique: str, layers: tuple[str, ...]) -> Recipe:
    return tuple(RecipeStep(layer=name, technique=technique, params={}) for name in layers)


def _applicable(network: Network, technique: str) -> tuple[str, ...]:
    method, profile = get(technique), network.profile
    return tuple(row.name for row in profile.layers if method.applies_to(row, profile).yes)


def _trained(folder: str) -> tuple[Network, bytes, Any]:
    """The network, its file, and what turns uint8 images ``[n, channels, height, width]`` into inputs."""
    base = SHARED / "base" / folder
    model = (base / "base.onnx").read_bytes()
    values = json.loads((base / "preprocess.json").read_text(encoding="utf-8"))
    mean, std = (np.float32(values[key]).reshape(-1, 1, 1) for key in ("mean", "std"))

    def preprocess(images: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = (
            images.astype(np.float32) / np.float32(values["divide"]) - mean
        ) / std
        return scaled

    return import_onnx(model, name=folder), model, preprocess


def _cifar(split: str, count: int) -> np.ndarray:
    """Some images of a split, the same at every call, uint8 ``[count, 3, 32, 32]``."""
    data = np.load(SHARED / "data/cifar10_jpeg.npz", allow_pickle=False)
    offsets, joined = data[f"off_{split}"], data[f"jpeg_{split}"]
    chosen = np.random.default_rng(0).permutation(min(45_000, len(offsets) - 1))[:count]
    parts = [joined[offsets[i] : offsets[i + 1]].tobytes() for i in chosen]
    images = [np.asarray(Image.open(io.BytesIO(part)).convert("RGB")) for part in parts]
    return np.stack(images).transpose(0, 3, 1, 2)


def _grouped(channels: int, size: int, kernel: int, groups: int) -> ConvGeometry:
    return ConvGeometry(
        in_channels=channels,
        out_channels=channels,
        in_size=(size, size),
        kernel=(kernel, kernel),
        stride=(1, 1),
        padding=(kernel // 2, kernel // 2),
        dilation=(1, 1),
        groups=groups,
        bias=True,
    )


if __name__ == "__main__":
    torch.set_num_threads(1)
    parts = {"lenet": compare_lenet, "resnet": compare_resnet, "groups": compare_groups}
    for part in sys.argv[1:] or parts:
        parts[part]()
