"""Whole networks timed here: shapes as some recipes make them, their weights as they fall."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from compression.latency import paired_latency
from compression.onnx_export import export_onnx
from compression.types import Stage
from selector.host_latency import Timed
from selector.tables import PRECISIONS
from selector.tabulation import LOOKUP_PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.action_space import ActionSpace
    from selector.job import Job
    from selector.tables import IntArray

_ROUNDS = 10
_EXAMPLES = 16  # for the ranges of 8-bit arithmetic, which do not change its speed
_LEAST_CHANGED, _MOST_CHANGED = 0.25, 1.0


def time_networks(job: Job, space: ActionSpace, configs: IntArray) -> list[Timed]:
    """Some recipes ``[N, D]``, each in float and, where allowed, in 8-bit arithmetic."""
    found: list[Timed] = []
    for config in configs:
        found += timed(job, config, network_files(job, space, config))
        if job.reporter.out_of_time():
            break
    return found


def network_files(job: Job, space: ActionSpace, config: IntArray) -> dict[int, bytes]:
    """The network of a recipe as ONNX, by the index of its precision among the choices."""
    network = job.workbench.build(space.decode(config), fit=False).network
    offered = [PRECISIONS[action.precision] for action in space.decisions[-1].actions]
    return {
        index: export_onnx(replace(network, precision=precision), job.calibration[:_EXAMPLES])
        for index, precision in enumerate(offered)
        if precision in LOOKUP_PRECISIONS  # the others run as float does
    }


def timed(job: Job, config: IntArray, files: Mapping[int, bytes]) -> list[Timed]:
    """The times of a recipe's files, in turns with the upload's and set against its of INSPECT.

    So there is one clock for all that is shown, whether or not the machine slows down in between.
    What is compared are the undisturbed calls: a fit needs no typical interruptions.
    """
    base_ms = job.folder.read_json(Stage.INSPECT, "baseline.json")["host_latency_ms"]["p50"]
    named = {"base": job.model_bytes} | {str(index): data for index, data in files.items()}
    timings = paired_latency(named, job.calibration[:1], _ROUNDS)
    clock = base_ms / timings["base"].undisturbed_ms
    return [
        Timed(
            config=(*config[:-1].tolist(), index),
            host_ms=clock * timings[str(index)].undisturbed_ms,
        )
        for index in files
    ]


def drawn(space: ActionSpace, count: int, seed: int) -> IntArray:
    """``[count, D]`` float recipes, from few changes to all decisions changed; same for a seed."""
    rng = np.random.default_rng(seed)
    configs = space.sample(space.mask, count, rng)
    shares = np.linspace(_LEAST_CHANGED, _MOST_CHANGED, count)[:, None]
    configs = np.where(rng.random(configs.shape) < shares, configs, 0)
    configs[:, -1] = 0
    return space.canonical(configs)
