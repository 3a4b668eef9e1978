"""Whole networks timed here: shapes as some recipes make them, their weights as they fall."""

from __future__ import annotations

from collections import defaultdict
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
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from selector.action_space import ActionSpace
    from selector.job import Job
    from selector.tables import IntArray

_ROUNDS = 10
_EXAMPLES = 16  # for the ranges of 8-bit arithmetic, which do not change its speed
_VISITS = 3
_SLOWED = 1.08
"""Factor on the original's fastest time from which on a visit is repeated, and how many at the most."""

_FLOAT = 0
"""The index of float arithmetic among the choices of a precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Visit:
    """Milliseconds of a recipe's files, and of the original meanwhile, by the index of the arithmetic."""

    references_ms: Mapping[int, float]
    files_ms: Mapping[int, float]

    def slowness(self, calm_ms: Mapping[int, float]) -> float:
        """How many times longer than in calm the original took, in the arithmetic that suffered most."""
        return max(ms / calm_ms[index] for index, ms in self.references_ms.items())


def time_networks(
    job: Job, configs: IntArray, files_of: Callable[[IntArray], Mapping[int, bytes]]
) -> list[Timed]:
    """Some recipes ``[N, D]``, each in float and, where allowed, in 8-bit arithmetic.

    Recipes timed while the original ran slowly are timed again later, and the calmest visit of each
    counts: when other programs fill the shared cache, an original whose weights lie there slows down
    by a fifth, a narrower network hardly does, and its time would seem that much shorter. Every
    arithmetic has an original of its own to be set against: what slows one down by a tenth may
    leave the other alone.

    Args:
        job: an inspected job.
        configs: the recipes; their precision is of no account.
        files_of: the files of a recipe, see ``network_files``; asked again at each visit, and for
            the recipe that changes nothing.
    """
    references = {**files_of(np.zeros_like(configs[0])), _FLOAT: job.model_bytes}
    visits: dict[int, list[_Visit]] = defaultdict(list)
    best: dict[int, _Visit] = {}
    waiting: Sequence[int] = range(len(configs))
    for _ in range(_VISITS):
        due = sum(map(len, visits.values())) + len(waiting)
        for i in waiting:
            visits[i].append(_visit(job, references, files_of(configs[i])))
            job.reporter.progress(sum(map(len, visits.values())), due)
            if job.reporter.ends_early():
                break
        calm_ms = _calm_ms(visits.values())
        best = {
            i: min(each, key=lambda visit: visit.slowness(calm_ms))
            for i, each in visits.items()
        }
        waiting = [i for i, visit in best.items() if visit.slowness(calm_ms) > _SLOWED]
        if job.reporter.ends_early():
            break
    clock_ms = _clock_ms(job, best.values())
    return [
        Timed(
            config=(*configs[i][:-1].tolist(), index),
            host_ms=clock_ms[index] * ms / best[i].references_ms[index],
        )
        for i in sorted(best)
        for index, ms in best[i].files_ms.items()
    ]


def network_files(job: Job, space: ActionSpace, config: IntArray) -> dict[int, bytes]:
    """The network of a recipe as ONNX, by the index of its precision among the choices."""
    network = job.workbench.build(space.decode(config), fit=False).network
    offered = [PRECISIONS[action.precision] for action in space.decisions[-1].actions]
    return {
        index: export_onnx(replace(network, precision=precision), job.calibration[:_EXAMPLES])
        for index, precision in enumerate(offered)
        if precision in LOOKUP_PRECISIONS  # the others run as float does
    }


def _visit(job: Job, references: Mapping[int, bytes], files: Mapping[int, bytes]) -> _Visit:
    """A recipe's files timed in turns with the original in their arithmetics.

    What is compared are the undisturbed calls: a fit needs no typical interruptions.
    """
    originals = {f"original {index}": references[index] for index in (_FLOAT, *files)}
    recipes = {f"recipe {index}": data for index, data in files.items()}
    timings = paired_latency(originals | recipes, job.calibration[:1], _ROUNDS)
    return _Visit(
        references_ms={i: timings[f"original {i}"].undisturbed_ms for i in (_FLOAT, *files)},
        files_ms={i: timings[f"recipe {i}"].undisturbed_ms for i in files},
    )


def _calm_ms(visits: Iterable[Sequence[_Visit]]) -> dict[int, float]:
    """The least that the original was seen to take, by the index of the arithmetic."""
    seen = [visit.references_ms for each in visits for visit in each]
    return {index: min(ms[index] for ms in seen) for index in seen[0]}


def _clock_ms(job: Job, visits: Collection[_Visit]) -> dict[int, float]:
    """What the original takes in each arithmetic, by the clock of INSPECT.

    So there is one clock for all that is shown, whether or not the machine slows down in between.
    """
    base_ms = job.folder.read_json(Stage.INSPECT, "baseline.json")["host_latency_ms"]["p50"]
    seen = [visit.references_ms for visit in visits]
    return {
        index: base_ms * float(np.median([ms[index] / ms[_FLOAT] for ms in seen]))
        for index in seen[0]
    }
