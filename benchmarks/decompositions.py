"""Ways to decompose the convolutions of a trained network, compared at about equal weights.

``python -m benchmarks.decompositions MODEL DATA``: an ONNX file and data as a person uploads them. The
layers are those that every way can treat; nothing is fine-tuned. Without arguments: VGG-16 with random
weights, size and time only.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.ratios_cifar_nets import INPUT, as_network, vgg_16
from compression import latency
from compression.building import Workbench
from compression.data import load_data
from compression.evaluation import onnx_logits
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.preprocessing_trial import try_preprocessing
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import RecipeStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.data import Dataset
    from compression.graph import Network
    from compression.types import Params

WAYS: dict[str, tuple[str, Params]] = {
    "SVD 3/16": ("svd", {"rank_ratio": 3 / 16}),
    "Tucker-2 1/2": ("tucker", {"rank_ratio": 1 / 2}),
    "SVD 1/8": ("svd", {"rank_ratio": 1 / 8}),
    "CP 1": ("cp", {"rank_ratio": 1.0}),
    "SVD 1/16": ("svd", {"rank_ratio": 1 / 16}),
    "Tucker-2 1/4": ("tucker", {"rank_ratio": 1 / 4}),
    "CP 1/2": ("cp", {"rank_ratio": 1 / 2}),
    "depthwise separable": ("depthwise_separable", {}),
}
CALIBRATION, HELD_OUT, ROUNDS = 256, 1000, 60


def treated(network: Network) -> list[str]:
    """The layers that every way can treat."""
    profile = network.profile
    return [
        row.name
        for row in profile.layers
        if not any(get(name).refusal(row, profile, params) for name, params in WAYS.values())
    ]


def steps(layers: list[str], way: str) -> list[RecipeStep]:
    name, params = WAYS[way]
    return [RecipeStep(layer=layer, technique=name, params=params) for layer in layers]


def share_left(before: Network, after: Network, layers: list[str]) -> float:
    """Weights of the treated layers, after by before."""
    held = sum(before.profile.layer(layer).params for layer in layers)
    return 1.0 - (before.profile.params - after.profile.params) / held


def compare_trained(model: bytes, data: Path) -> None:
    """One line a way: divergence with one layer treated (geometric mean) and with all, and time."""
    network = import_onnx(model, name="trained")
    dataset = _prepared(network, model, data)
    bench = Workbench.of(network, dataset.calibration.take(CALIBRATION).x)
    x = dataset.search.take(HELD_OUT).x
    answers, layers = logits(network, x), treated(network)
    built: dict[str, Network] = {}
    single: dict[str, float] = {}
    for way in WAYS:
        recipe = steps(layers, way)
        alone = [kl_to_original(bench.build((s,)).network, answers, x) for s in recipe]
        single[way] = float(np.exp(np.mean(np.log(alone))))
        built[way] = bench.build(tuple(recipe)).network
    faster = _faster(model, built, x)
    print(f"{len(layers)} layers")
    for way, changed in built.items():
        left, both = share_left(network, changed, layers), logits(changed, x)
        same = 100 * np.mean(both.argmax(1) == answers.argmax(1))
        print(f"| {way} | {left:.2f} | {single[way]:.3f} | {same:.0f} % | {faster[way]:.2f} |")


def compare_mechanics() -> None:
    """One line a way: share of all weights, and time."""
    network, model = as_network("VGG-16-CIFAR", vgg_16())
    layers = treated(network)
    bench = Workbench.of(network, np.zeros((2, *INPUT), np.float32))
    built = {
        way: bench.build(tuple(steps(layers, way)), fit=False).network
        for way in (
            "SVD 1/8",
            "CP 1",
            "SVD 1/16",
            "Tucker-2 1/4",
            "CP 1/2",
            "depthwise separable",
        )
    }
    x = np.random.default_rng(0).standard_normal((16, *INPUT)).astype(np.float32)
    faster = _faster(model, built, x)
    print(f"VGG-16-CIFAR, {len(layers)} layers")
    for way, changed in built.items():
        print(f"| {way} | {share_left(network, changed, layers):.2f} | {faster[way]:.1f} |")


def _prepared(network: Network, model: bytes, data: Path) -> Dataset:
    profile = network.profile
    classes = profile.layers[-1].out_shape[0]
    dataset = load_data(data, profile.input_shape, classes, seed=0)
    likeliest = try_preprocessing(dataset, partial(onnx_logits, model))[0]
    print(f"{100 * likeliest.accuracy:.1f} % right as it came")
    return dataset.with_preprocessing(likeliest.preprocessing)


def _faster(model: bytes, built: Mapping[str, Network], x: np.ndarray) -> dict[str, float]:
    files = {"original": model} | {way: export_onnx(n, x[:16]) for way, n in built.items()}
    timed = latency.paired_latency(files, x[:1], rounds=ROUNDS)
    return {way: timing.ratio for way, timing in timed.items()}


if __name__ == "__main__":
    torch.set_num_threads(1)
    if sys.argv[1:]:
        compare_trained(Path(sys.argv[1]).read_bytes(), Path(sys.argv[2]))
    else:
        compare_mechanics()
