"""What operations and whole networks take on this computer: in parts, for several processes to share."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.latency import LatencyLookup
from compression.types import OpSpec, Precision, Stage
from selector import tabulation
from selector.action_space import ActionSpace
from selector.host_latency import Timed, recalibrated
from selector.jobfolder import Part
from selector.network_choice import telling
from selector.network_timing import network_files, time_networks
from selector.tabulation import LOOKUP_PRECISIONS, Measurements

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from selector.job import Job
    from selector.tables import StudyTables

WHOLE = Part()
"""Everything at once, by one process."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OperationTimes:
    """Milliseconds by operation, and what a call costs before any operation runs."""

    op_ms: Mapping[tuple[OpSpec, Precision], float]
    floor_ms: float


def time_operations(job: Job, share: Part = WHOLE) -> dict[str, Any]:
    """Some of the operations timed, as plain values for ``operation_times``.

    A share is of the arithmetics: those that one process times lie on one scale, and so the fit to whole networks
    finds them.
    """

    def keep_on(done: int, count: int) -> bool:
        job.reporter.progress(done, count)
        return True

    operations = _operations(job)
    specs = {
        precision.value: [(op, precision) for op in operations]
        for precision in share.take(list(LOOKUP_PRECISIONS))
    }
    lookup = LatencyLookup(job.model_bytes, job.calibration[:1])
    found = lookup.measure([key for keys in specs.values() for key in keys], keep_on)
    op_ms = {name: [found[key] for key in keys] for name, keys in specs.items()}
    return {"op_ms": op_ms, "floor_ms": lookup.floor_ms}


def operation_times(job: Job, measured: Sequence[Mapping[str, Any]]) -> OperationTimes:
    """What the parts of ``time_operations`` found together."""
    by_name = {name: times for part in measured for name, times in part["op_ms"].items()}
    operations = _operations(job)
    op_ms = {
        (op, precision): ms
        for precision in LOOKUP_PRECISIONS
        for op, ms in zip(operations, by_name[precision.value], strict=True)
    }
    floors = [part["floor_ms"] for part in measured]
    return OperationTimes(op_ms=op_ms, floor_ms=sum(floors) / len(floors))


def time_telling_networks(
    job: Job, times: OperationTimes, share: Part = WHOLE
) -> list[dict[str, Any]]:
    """Of the original and a few networks whose times tell most about all others a share, timed, as plain values."""
    tables = costs(job, times)
    space = ActionSpace(tables)
    recipes = telling(tables, space, job.effort.timed_networks, job.request.seed)
    configs = np.array(share.take([*space.untouched(), *recipes]))
    timed = time_networks(job, configs, partial(network_files, job, space))
    return [asdict(row) for row in timed]


def fitted_costs(
    job: Job, times: OperationTimes, networks: Sequence[Mapping[str, Any]]
) -> StudyTables:
    """Tables that know times and sizes alone, sums of operations fitted to whole networks."""
    return recalibrated(costs(job, times), [Timed(**row) for row in networks])


def costs(job: Job, times: OperationTimes | None = None) -> StudyTables:
    """Tables that know sizes, and times as each operation took alone, or none of this computer."""
    known = times or OperationTimes(op_ms=defaultdict(float), floor_ms=0.0)
    measured = Measurements(
        kl={},
        op_ms=known.op_ms,
        floor_ms=known.floor_ms,
        file_bytes=job.file_bytes,
        meta=job.folder.read_json(Stage.INSPECT, "baseline.json"),
    )
    return tabulation.tabulate(job.layout, measured)


def timed_costs(job: Job) -> StudyTables:
    """The same in one go, each arithmetic alone as parts do them: what the predictions for this computer rest on."""
    shares = [Part(n, len(LOOKUP_PRECISIONS)) for n in range(1, 1 + len(LOOKUP_PRECISIONS))]
    times = operation_times(job, [time_operations(job, share) for share in shares])
    return fitted_costs(job, times, time_telling_networks(job, times))


def _operations(job: Job) -> list[OpSpec]:
    """Every operation of every cell, once, in a fixed order."""
    cells = tabulation.operations(job.layout).values()
    return list(dict.fromkeys(tabulation.timed(op) for ops in cells for op in ops))
