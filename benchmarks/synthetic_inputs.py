"""What made-up inputs are worth: the same recipe on noise, on matched inputs and on real ones.

``python -m benchmarks.synthetic_inputs MODEL.onnx DATA.npz [INPUTS STEPS]``. Every convolution and hidden dense
layer that can be is cut to half its width, fitted, then fine-tuned; accuracy is that on real test examples.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from compression.answer_forms import form_of
from compression.augmentation import augmentation_for
from compression.building import build
from compression.data import load_data, smooth_noise
from compression.evaluation import onnx_logits
from compression.finetuning import FineTuning, distill
from compression.matched_inputs import Matching, matched, spectral_noise
from compression.onnx_import import import_onnx
from compression.preprocessing_trial import try_preprocessing
from compression.sensitivity import logits
from compression.types import RecipeStep

if TYPE_CHECKING:
    import numpy as np

    from compression.data import Dataset
    from compression.graph import Network

HALF = {"pruning_ratio": 0.5}
TEST_EXAMPLES = 2000


def main(model: Path, data: Path, count: int, steps: int) -> None:
    torch.set_num_threads(1)
    network = import_onnx(model.read_bytes(), name=model.stem)
    dataset = _dataset(network, model, data)
    test = dataset.test.take(TEST_EXAMPLES)
    recipe = tuple(
        RecipeStep(layer=group.leader, technique="filter_pruning", params=HALF)
        for group in network.profile.groups
        if group.prunable
    )
    for name in ("noise", "spectral noise", "matched", "real"):
        started = time.monotonic()
        x = _inputs(name, network, dataset, count)
        made = time.monotonic() - started
        held = len(x) // 5  # nothing is fitted to what the best weights are chosen by
        built = build(network, recipe, x[held:][:512]).network
        tuned = _tuned(built, network, (x[:held], x[held:]), steps)
        row = {
            "inputs": name,
            "count": len(x),
            "made_s": round(made, 1),
            "original": _accuracy(network, test.x, test.y),
            "fitted": _accuracy(built, test.x, test.y),
            "fine_tuned": _accuracy(tuned, test.x, test.y),
        }
        print(json.dumps(row), flush=True)


def _dataset(network: Network, model: Path, data: Path) -> Dataset:
    profile = network.profile
    found = load_data(data, profile.input_shape, form_of(profile).n_classes, seed=0)
    best = try_preprocessing(found, partial(onnx_logits, model.read_bytes()))[0]
    return found.with_preprocessing(best.preprocessing)


def _inputs(name: str, network: Network, dataset: Dataset, count: int) -> np.ndarray:
    shape = network.profile.input_shape
    if name == "noise":
        return smooth_noise(shape, count, seed=0)
    if name == "real":
        return dataset.training.take(count).x
    start = spectral_noise(count, shape, 0)
    return start if name == "spectral noise" else matched(network, start, Matching(), _go_on)


def _tuned(
    built: Network, network: Network, split: tuple[np.ndarray, np.ndarray], steps: int
) -> Network:
    validation, training = split
    settings = FineTuning(
        steps=steps,
        batch_size=64,
        augmentation=augmentation_for(network.profile.input_shape),
        checks=5,
    )
    return distill(built, network, training, None, settings, (validation, None), _go_on)


def _accuracy(network: Network, x: np.ndarray, y: np.ndarray | None) -> float:
    return round(float((logits(network, x).argmax(1) == y).mean()), 4)


def _go_on(*_values: object) -> bool:
    return True


if __name__ == "__main__":
    numbers = [int(text) for text in sys.argv[3:]] or [2000, 300]
    main(Path(sys.argv[1]), Path(sys.argv[2]), *numbers)
