"""Whole networks timed here: shapes as some recipes make them, their weights as they fall."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from compression.latency import paired_latency
from compression.onnx_export import export_onnx
from compression.types import Stage
from selector.host_latency import Timed
from selector.tables import PRECISIONS
from selector.tabulation import LOOKUP_PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from selector.action_space import ActionSpace
    from selector.job import Job
    from selector.tables import IntArray

_ROUNDS = 10
_EXAMPLES = 16  # for the ranges of 8-bit arithmetic, which do not change its speed
_VISITS = 3
_SLOWED = 1.08
"""Factor on the original's fastest time from which on a visit is repeated, and how many at the most."""

_LEAST_CHANGED, _MOST_CHANGED = 0.25, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """The times of a recipe's files, and what the original took meanwhile."""

    base_ms: float
    rows: tuple[Timed, ...]


def time_networks(
    job: Job, configs: IntArray, files_of: Callable[[IntArray], Mapping[int, bytes]]
) -> list[Timed]:
    """Some recipes ``[N, D]``, each in float and, where allowed, in 8-bit arithmetic.

    Recipes timed while the original ran slowly are timed again later, and the calmest visit of each
    counts: when other programs fill the shared cache, an original whose weights lie there slows down
    by a fifth, a narrower network hardly does, and its time would seem that much shorter.

    Args:
        job: an inspected job.
        configs: the recipes; their precision is of no account.
        files_of: the files of a recipe, see ``network_files``; asked again at each visit.
    """
    visits: dict[int, _Visit] = {}
    waiting = list(range(len(configs)))
    for _ in range(_VISITS):
        for i in waiting:
            visit = _visit(job, configs[i], files_of(configs[i]))
            if i not in visits or visit.base_ms < visits[i].base_ms:
                visits[i] = visit
            if job.reporter.out_of_time():
                break
        calm_ms = min((visit.base_ms for visit in visits.values()), default=0.0)
        waiting = [i for i in visits if visits[i].base_ms > _SLOWED * calm_ms]
        if job.reporter.out_of_time():
            break
    return [row for i in sorted(visits) for row in visits[i].rows]


def network_files(job: Job, space: ActionSpace, config: IntArray) -> dict[int, bytes]:
    """The network of a recipe as ONNX, by the index of its precision among the choices."""
    network = job.workbench.build(space.decode(config), fit=False).network
    offered = [PRECISIONS[action.precision] for action in space.decisions[-1].actions]
    return {
        index: export_onnx(replace(network, precision=precision), job.calibration[:_EXAMPLES])
        for index, precision in enumerate(offered)
        if precision in LOOKUP_PRECISIONS  # the others run as float does
    }


def _visit(job: Job, config: IntArray, files: Mapping[int, bytes]) -> _Visit:
    """A recipe's files timed in turns with the upload, and set against its time of INSPECT.

    So there is one clock for all that is shown, whether or not the machine slows down in between.
    What is compared are the undisturbed calls: a fit needs no typical interruptions.
    """
    base_ms = job.folder.read_json(Stage.INSPECT, "baseline.json")["host_latency_ms"]["p50"]
    named = {"base": job.model_bytes} | {str(index): data for index, data in files.items()}
    timings = paired_latency(named, job.calibration[:1], _ROUNDS)
    clock = base_ms / timings["base"].undisturbed_ms
    rows = tuple(
        Timed(
            config=(*config[:-1].tolist(), index),
            host_ms=clock * timings[str(index)].undisturbed_ms,
        )
        for index in files
    )
    return _Visit(base_ms=timings["base"].undisturbed_ms, rows=rows)


def drawn(space: ActionSpace, count: int, seed: int) -> IntArray:
    """``[count, D]`` float recipes, from few changes to all decisions changed; same for a seed."""
    rng = np.random.default_rng(seed)
    configs = space.sample(space.mask, count, rng)
    shares = np.linspace(_LEAST_CHANGED, _MOST_CHANGED, count)[:, None]
    configs = np.where(rng.random(configs.shape) < shares, configs, 0)
    configs[:, -1] = 0
    return space.canonical(configs)
