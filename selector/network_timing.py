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
    from compression.graph import Network
    from selector.action_space import ActionSpace
    from selector.job import Job
    from selector.tables import IntArray

_ROUNDS = 10
_EXAMPLES = 16  # for the ranges of 8-bit arithmetic, which do not change its speed
_LEAST_CHANGED, _MOST_CHANGED = 0.25, 1.0


def time_networks(job: Job, space: ActionSpace, configs: IntArray) -> list[Timed]:
    """Some recipes ``[N, D]``, each in float and, where allowed, in 8-bit arithmetic.

    Times are taken in turns with the uploaded file and set against its median of INSPECT: one clock
    for all that is shown, whether or not the machine slows down in between.
    """
    inspected = job.folder.read_json(Stage.INSPECT, "baseline.json")["host_latency_ms"]["p50"]
    found: list[Timed] = []
    for config in configs:
        network = job.workbench.build(space.decode(config), fit=False).network
        found += _timed(job, space, config, network, inspected)
        if job.reporter.out_of_time():
            break
    return found


def drawn(space: ActionSpace, count: int, seed: int) -> IntArray:
    """``[count, D]`` float recipes, from few changes to all decisions changed; same for a seed."""
    rng = np.random.default_rng(seed)
    configs = space.sample(space.mask, count, rng)
    shares = np.linspace(_LEAST_CHANGED, _MOST_CHANGED, count)[:, None]
    configs = np.where(rng.random(configs.shape) < shares, configs, 0)
    configs[:, -1] = 0
    return space.canonical(configs)


def _timed(
    job: Job, space: ActionSpace, config: IntArray, network: Network, base_ms: float
) -> list[Timed]:
    """The times of one network, in a clock in which the uploaded file takes ``base_ms``."""
    offered = [PRECISIONS[action.precision] for action in space.decisions[-1].actions]
    timed = [p for p in offered if p in LOOKUP_PRECISIONS]  # the others run as float does
    files = {"base": job.model_bytes}
    for precision in timed:
        network = replace(network, precision=precision)
        files[precision.value] = export_onnx(network, job.calibration[:_EXAMPLES])
    timings = paired_latency(files, job.calibration[:1], _ROUNDS)
    return [
        Timed(
            config=(*config[:-1].tolist(), offered.index(precision)),
            host_ms=base_ms / timings[precision.value].ratio,
        )
        for precision in timed
    ]
