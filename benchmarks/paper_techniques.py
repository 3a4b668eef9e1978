"""The ten techniques of AdaDeep, each alone at the published default, on two trained networks.

``python -m benchmarks.paper_techniques``: the digits sample, and the ResNet-20 of ``../shared/base`` with images
of ``../shared/data`` where these lie beside the repository. Each technique treats all layers that it can;
nothing is fine-tuned.
"""

from __future__ import annotations

import io
import tempfile
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image

from compression import latency
from compression.building import Workbench
from compression.data import load_data
from compression.evaluation import onnx_logits
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.preprocessing_trial import try_preprocessing
from compression.sensitivity import kl_to_original, logits
from compression.technique import get
from compression.types import LayerKind, RecipeStep

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.data import Dataset
    from compression.graph import Network
    from compression.types import LayerProfile, Params, Recipe

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
DEFAULTS: dict[str, tuple[str, LayerKind | None, Params]] = {
    "W1 SVD, n/12": ("svd", LayerKind.DENSE, {"rank_ratio": "n/12"}),
    "W2 sparse coding, n/6": ("sparse_coding", None, {"dictionary_ratio": 1 / 6}),
    "W3 weight pruning, 0.9": ("magnitude_pruning", None, {"sparsity": 0.9}),
    "C1 SVD, N/12": ("svd", LayerKind.CONV, {"rank_ratio": "n/12"}),
    "C2 sparse decomposition, 1/4": ("sparse_decomposition", None, {"density": 1 / 4}),
    "C3 depthwise separable": ("depthwise_separable", None, {}),
    "C4 random sparse, 3/4": ("random_sparse", None, {"connected": 3 / 4}),
    "L1 Fire, N/4": ("fire", None, {"squeeze_ratio": 1 / 4}),
    "L2 micro network, N/6": ("micro_mlp", None, {"hidden_ratio": 1 / 6}),
    "L3 global average pooling": ("global_average_pooling", None, {}),
}
LAYERS = (torch.nn.Linear, torch.nn.Conv1d, torch.nn.Conv2d)
CALIBRATION, HELD_OUT, ROUNDS = 256, 1000, 40
TRAINING_IMAGES, TEST_IMAGES = 4000, 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one way did; ``seconds`` of one CPU to build it."""

    layers: int
    weights: float
    network: Network
    seconds: float


def recipe_of(network: Network, way: str) -> Recipe:
    """Every layer of the right kind that the technique can treat."""
    name, kind, params = DEFAULTS[way]
    return tuple(
        RecipeStep(layer=row.name, technique=name, params=params)
        for row in network.profile.layers
        if kind in (None, row.kind) and not get(name).refusal(row, network.profile, params)
    )


def stored(network: Network) -> int:
    """Weights of convolutions and dense layers that are not zero."""
    layers = [m for m in network.module.modules() if isinstance(m, LAYERS)]
    return sum(int(layer.weight.count_nonzero()) for layer in layers)


def outcome(bench: Workbench, way: str) -> Outcome:
    recipe, start = recipe_of(bench.original, way), time.process_time()
    built = bench.build(recipe)
    return Outcome(
        layers=len(built.applied),
        weights=stored(built.network) / stored(bench.original),
        network=built.network,
        seconds=time.process_time() - start,
    )


def compare(title: str, model: bytes, data: Path) -> None:
    """One line a technique."""
    network = import_onnx(model, name=title)
    dataset = _prepared(network, model, data)
    bench = Workbench.of(network, dataset.calibration.take(CALIBRATION).x)
    x = dataset.search.take(HELD_OUT).x
    answers = logits(network, x)
    found = {way: outcome(bench, way) for way in DEFAULTS if recipe_of(network, way)}
    files = {way: export_onnx(one.network, x[:16]) for way, one in found.items()}
    timed = latency.paired_latency({"original": model} | files, x[:1], rounds=ROUNDS)
    print(f"{title}: {stored(network)} weights")
    for way, one in found.items():
        same = np.mean(logits(one.network, x).argmax(1) == answers.argmax(1))
        macs = one.network.profile.macs / network.profile.macs
        print(
            f"| {way} | {one.layers} | {one.weights:.3f} | {macs:.2f} "
            f"| {kl_to_original(one.network, answers, x):.3f} | {100 * same:.1f} % "
            f"| {timed[way].ratio:.2f}x | {one.seconds:.1f} s |"
        )
    for way in DEFAULTS.keys() - found.keys():
        print(f"| {way} | no layer: {_why_not(network, way)} |")


def cifar_images(archive: Path, target: Path) -> None:
    """Decodes some of the JPEGs of the archive into an upload with a training and a test part."""
    packed = np.load(archive, allow_pickle=False)
    last = len(packed["y_train"])
    x_train, y_train = _decoded(packed, "train", range(last - TRAINING_IMAGES, last))
    x_test, y_test = _decoded(packed, "test", range(TEST_IMAGES))
    np.savez(target, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def _decoded(
    packed: Mapping[str, np.ndarray], part: str, chosen: range
) -> tuple[np.ndarray, np.ndarray]:
    """Images ``[samples, 3, 32, 32]`` and their classes."""
    offsets, data = packed[f"off_{part}"], packed[f"jpeg_{part}"]
    files = [data[offsets[i] : offsets[i + 1]].tobytes() for i in chosen]
    pictures = np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
    return pictures.transpose(0, 3, 1, 2), packed[f"y_{part}"][chosen.start : chosen.stop]


def _why_not(network: Network, way: str) -> str:
    name, kind, params = DEFAULTS[way]
    rows: list[LayerProfile] = [
        r
        for r in network.profile.layers
        if kind in (None, r.kind) and r.kind is not LayerKind.OTHER
    ]
    return get(name).refusal(rows[-1], network.profile, params)


def _prepared(network: Network, model: bytes, data: Path) -> Dataset:
    profile = network.profile
    dataset = load_data(data, profile.input_shape, profile.layers[-1].out_shape[0], seed=0)
    likeliest = try_preprocessing(dataset, partial(onnx_logits, model))[0]
    print(f"{100 * likeliest.accuracy:.1f} % right as it came")
    return dataset.with_preprocessing(likeliest.preprocessing)


def main() -> None:
    digits = ROOT / "webapp" / "samples" / "digits"
    compare("LeNet", (digits / "model.onnx").read_bytes(), digits / "data.npz")
    model, images = SHARED / "base/resnet20/base.onnx", SHARED / "data/cifar10_jpeg.npz"
    if not (model.exists() and images.exists()):
        print(f"No ResNet-20: {model.name} and {images.name} do not lie beside the repository.")
        return
    with tempfile.TemporaryDirectory() as folder:
        upload = Path(folder) / "images.npz"
        cifar_images(images, upload)
        compare("ResNet-20", model.read_bytes(), upload)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
