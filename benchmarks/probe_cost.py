"""Processor seconds of the accuracy probes of a network, with what they share done once and without.

``python -m benchmarks.probe_cost [BASE] [EVERY]``: one of ``benchmarks.bases`` (``resnet20`` when left
out) and which share of its probes to take, each ``EVERY``-th (3); one thread.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import torch

from benchmarks.bases import load
from compression import technique
from compression.building import Workbench
from compression.prefix_cache import PrefixCache
from compression.sensitivity import SharedLogits, kl_divergence, logits
from compression.types import NETWORK
from selector.effort import effort_for
from selector.layout import lay_out, probes

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from compression.graph import Network
    from compression.types import Recipe


def _probed(
    recipes: list[Recipe],
    bench: Workbench,
    answers: np.ndarray,
    answered: Callable[[Network], np.ndarray],
) -> tuple[list[float], float]:
    """The divergence of each change, and processor seconds for each."""
    started = time.process_time()
    found = [
        kl_divergence(answers, answered(bench.build(recipe).network)) for recipe in recipes
    ]
    return found, (time.process_time() - started) / len(recipes)


def main(name: str, every: int) -> None:
    """One JSON line: probes, seconds a probe either way, and the largest difference."""
    base = load(name)
    network = base.network
    effort = effort_for(network.profile.macs, 600.0, 1)
    layout = lay_out(network.profile, technique.names())
    recipes = [probe.recipe for probe in probes(layout) if probe.layer != NETWORK][::every]
    bench = Workbench.of(network, base.calibration[: effort.calibration_samples])
    nothing = PrefixCache(network.module, bench.reference.prefix.x, most_bytes=0)
    naive = replace(bench, reference=replace(bench.reference, prefix=nothing))
    x = base.search[0][: effort.probe_samples]
    answers, shared = logits(network, x), SharedLogits(network, x)
    naive.build(recipes[0])  # what is loaded on first use
    alone, alone_s = _probed(recipes, naive, answers, lambda changed: logits(changed, x))
    together, together_s = _probed(recipes, bench, answers, shared.of)
    row = {
        "base": name,
        "probes": len(recipes),
        "naive_cpu_s_each": round(alone_s, 4),
        "shared_cpu_s_each": round(together_s, 4),
        "share": round(together_s / alone_s, 3),
        "largest_kl_difference": max(abs(a - b) for a, b in zip(alone, together, strict=True)),
    }
    print(json.dumps(row))


if __name__ == "__main__":
    torch.set_num_threads(1)
    arguments = sys.argv[1:]
    main(arguments[0] if arguments else "resnet20", int(arguments[1]) if arguments[1:] else 3)
