"""PROBE: what each single change costs in accuracy, and what each operation costs in time here."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.evaluation import onnx_log_probabilities
from compression.int8_fallback import offered_file
from compression.latency import LatencyLookup
from compression.onnx_export import export_onnx
from compression.sensitivity import SharedLogits
from compression.types import NETWORK, OpSpec, Precision, Stage
from selector import tabulation
from selector.action_space import ActionSpace
from selector.host_latency import Timed, recalibrated
from selector.layout import probes
from selector.network_timing import drawn, network_files, time_networks
from selector.recipe_rows import level_text
from selector.tables import PRECISIONS
from selector.tabulation import LOOKUP_PRECISIONS, Measurements

if TYPE_CHECKING:
    from selector.job import Job
    from selector.jobfolder import Part
    from selector.layout import Probe
    from selector.tables import StudyTables


def probe_part(job: Job, part: Part) -> None:
    """Measure this part's share of the probes; the first part also times the operations."""
    items = part.take(probes(job.layout))
    total = len(items) + 10
    result: dict[str, Any] = {"kl": {}}
    if part.index == 1:
        result |= _host_timings(job, total)
    x = job.dataset.search.take(job.effort.probe_samples).x
    original = onnx_log_probabilities(job.model_bytes, x)
    shared = SharedLogits(job.network, x)
    for done, probe in enumerate(items, start=11):
        if job.reporter.out_of_time():
            job.reporter.log(
                "Time is up: changes that were not probed are left out.", "warning"
            )
            break
        changed = job.workbench.build(probe.recipe).network
        if probe.layer == NETWORK:
            file = offered_file(changed, job.calibration, x)
            damage = job.form.divergence(original, onnx_log_probabilities(file, x))
        else:
            damage = job.form.divergence(original, shared.of(changed))
        result["kl"][probe.key] = damage
        job.reporter.metric(
            layer=probe.layer, level=level_text(probe.treatments), kl=damage, **_last(probe)
        )
        job.reporter.log(f"{_title(probe)} alone moves the answers by {damage:.4f} nats")
        job.reporter.progress(done, total)
    job.folder.write_json(Stage.PROBE, job.folder.part_name(part, ".json"), result)


def merge_probes(job: Job, count: int) -> None:
    """Join the parts into ``tables.npz``."""
    paths = job.folder.parts(Stage.PROBE, ".json", count)
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    timings = next(part for part in parts if "op_ms" in part)
    damage = {key: value for part in parts for key, value in part["kl"].items()}
    tables = _calibrated(job, timings, damage)
    job.reporter.log(
        f"Times of {len(timings['networks'])} whole networks fitted: 9 in 10 predictions for this computer "
        f"lie within {100 * tables.host_band:.0f} %"
    )
    job.folder.write_with(Stage.PROBE, "tables.npz", tables.save)


def timed_tables(job: Job) -> StudyTables:
    """Tables that know times alone: what the predictions for this computer rest on."""
    return _calibrated(job, _host_timings(job, total=10), {})


def _calibrated(job: Job, timings: dict[str, Any], damage: dict[str, float]) -> StudyTables:
    timed = [Timed(**row) for row in timings["networks"]]
    return recalibrated(_tabulated(job, timings, damage), timed)


def _tabulated(job: Job, timings: dict[str, Any], damage: dict[str, float]) -> StudyTables:
    measured = Measurements(
        kl=damage,
        op_ms=dict(zip(_specs(job), timings["op_ms"], strict=True)),
        floor_ms=timings["floor_ms"],
        file_bytes=tuple(timings["file_bytes"]),
        meta=job.folder.read_json(Stage.INSPECT, "baseline.json"),
    )
    return tabulation.tabulate(job.layout, measured)


def _host_timings(job: Job, total: int) -> dict[str, Any]:
    """Times of all operations alone, and of a few whole networks made of them."""

    def keep_on(done: int, count: int) -> bool:
        job.reporter.progress(round(8 * done / count), total)
        return True

    specs = _specs(job)
    lookup = LatencyLookup(job.model_bytes, job.calibration[:1])
    measured = lookup.measure(specs, keep_on)
    exports = [
        export_onnx(replace(job.network, precision=p), job.calibration) for p in PRECISIONS
    ]
    found: dict[str, Any] = {
        "op_ms": [measured[spec] for spec in specs],
        "floor_ms": lookup.floor_ms,
        "file_bytes": [len(data) for data in exports],
    }
    space = ActionSpace(_tabulated(job, found, {}))
    recipes = drawn(space, job.effort.timed_networks, job.request.seed)
    configs = np.concatenate([space.untouched(), recipes])
    timed = time_networks(job, configs, partial(network_files, job, space))
    return {**found, "networks": [asdict(row) for row in timed]}


def _specs(job: Job) -> list[tuple[OpSpec, Precision]]:
    """Every operation of every cell, once, in a fixed order."""
    cells = tabulation.operations(job.layout).values()
    distinct = dict.fromkeys(tabulation.timed(op) for ops in cells for op in ops)
    return [(op, precision) for precision in LOOKUP_PRECISIONS for op in distinct]


def _title(probe: Probe) -> str:
    names = " + ".join(name for name, _ in probe.treatments)
    where = "the whole network" if probe.layer == NETWORK else probe.layer
    return f"{names} {level_text(probe.treatments)} on {where}".replace("  ", " ")


def _last(probe: Probe) -> dict[str, Any]:
    """A stack goes by its last technique."""
    name, params = probe.treatments[-1]
    return {"technique": name, "params": dict(params)}
