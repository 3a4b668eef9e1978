"""What fine-tuning gives back after a fixed recipe, one way against another at equal steps.

``python -m benchmarks.recovery BASE PRECISION STEPS SEEDS [--test] WAY...``: a base of ``benchmarks.bases``, a
``Precision``, and ways of ``WAYS`` (all when left out). The recipe prunes half of every channel group that
can be narrowed; files are scored in ONNX Runtime, on the search examples unless ``--test`` is said.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.bases import CALIBRATION, load
from compression.augmentation import augmentation_for
from compression.building import Workbench
from compression.evaluation import onnx_log_probabilities
from compression.finetuning import FineTuning, Supplies, distill
from compression.onnx_export import export_onnx
from compression.sensitivity import kl_divergence
from compression.types import Precision, RecipeStep

if TYPE_CHECKING:
    from benchmarks.bases import Base, Examples
    from compression.graph import Network

WAYS: dict[str, dict[str, float]] = {
    "float, plain": {"norms": 0, "feature_weight": 0.0},
    "float": {"norms": 1, "feature_weight": 1.0},
    "plain": {"norms": 0, "feature_weight": 0.0},
    "norms": {"norms": 1, "feature_weight": 0.0},
    "norms, features": {"norms": 1, "feature_weight": 1.0},
}
"""``float`` trains unrounded weights and lets the exporter round them; ``plain`` distils answers alone."""

PRUNING_RATIO = 0.5
VALIDATION = 1000


def pruned(base: Base, precision: Precision) -> Network:
    """The network of the recipe, fitted, not fine-tuned."""
    groups = [group.leader for group in base.network.profile.groups if group.prunable]
    params = {"pruning_ratio": PRUNING_RATIO}
    steps = tuple(
        RecipeStep(layer=leader, technique="filter_pruning", params=params) for leader in groups
    )
    built = Workbench.of(base.network, base.calibration).build(steps).network
    return replace(built, precision=precision)


def tuned(base: Base, network: Network, way: str, steps: int, seed: int) -> Network:
    """Fine-tuned in one of ``WAYS``."""
    extra = dict(WAYS[way])
    settings = FineTuning(
        steps=steps,
        batch_size=128 if base.network.profile.macs < 5_000_000 else 64,
        seed=seed,
        augmentation=augmentation_for(base.network.profile.input_shape),
        norms=bool(extra.pop("norms")),
        **extra,  # type: ignore[arg-type]
    )
    start = replace(network, precision=Precision.FP32) if way.startswith("float") else network
    x, y = base.search
    found = distill(
        start,
        base.network,
        *base.training,
        settings,
        (x[:VALIDATION], y[:VALIDATION]),
        lambda *_: True,
        Supplies(calibration=base.calibration[:CALIBRATION]),
    )
    return replace(found, precision=network.precision)


def score(base: Base, network: Network, examples: Examples) -> dict[str, float]:
    """Points lost and divergence of the exported file, and how many bytes it has."""
    data = export_onnx(network, base.calibration)
    x, y = examples
    before, after = onnx_log_probabilities(base.model, x), onnx_log_probabilities(data, x)
    drop = np.mean(before.argmax(1) == y) - np.mean(after.argmax(1) == y)
    return {
        "drop_points": round(100 * float(drop), 2),
        "kl": round(kl_divergence(before, after), 4),
        "bytes": len(data),
    }


def main(arguments: list[str]) -> None:
    """One JSON line a way and seed."""
    name, precision, steps, seeds, *rest = arguments
    ways = [way for way in rest if way != "--test"] or list(WAYS)
    base = load(name)
    examples = base.test if "--test" in rest else base.search
    network = pruned(base, Precision(precision))
    facts = {"base": name, "precision": precision, "steps": int(steps)}
    print(
        json.dumps({**facts, "way": "not tuned", **score(base, network, examples)}), flush=True
    )
    for way in ways:
        for seed in range(int(seeds)):
            started = time.process_time()
            found = tuned(base, network, way, int(steps), seed)
            cpu_s = round(time.process_time() - started, 1)
            row = {
                **facts,
                "way": way,
                "seed": seed,
                **score(base, found, examples),
                "cpu_s": cpu_s,
            }
            print(json.dumps(row), flush=True)


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(sys.argv[1:])
