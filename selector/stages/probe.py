"""PROBE: what each single change costs in accuracy, and what each operation costs in time here."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from compression.evaluation import onnx_log_probabilities
from compression.latency import LatencyLookup, median_latency_ms
from compression.onnx_export import export_onnx
from compression.sensitivity import kl_divergence, logits
from compression.types import NETWORK, OpSpec, Precision, Stage
from selector import tabulation
from selector.tables import PRECISIONS
from selector.tabulation import LOOKUP_PRECISIONS, Measurements

if TYPE_CHECKING:
    import numpy as np

    from selector.job import Job
    from selector.jobfolder import Part
    from selector.tabulation import Probe

TIMING_ROUNDS = 30


def probe_part(job: Job, part: Part) -> None:
    """Measure this part's share of the probes; the first part also times the operations."""
    items = part.take(tabulation.probes(job.layout))
    total = len(items) + 10
    result: dict[str, Any] = {"kl": {}}
    if part.index == 1:
        result |= _host_timings(job, total)
    x = job.dataset.search.take(job.effort.probe_samples).x
    original = onnx_log_probabilities(job.model_bytes, x)
    for done, probe in enumerate(items, start=11):
        if job.reporter.out_of_time():
            job.reporter.log(
                "Time is up: changes that were not probed are left out.", "warning"
            )
            break
        damage = _damage(job, probe, x, original)
        result["kl"][probe.key] = damage
        job.reporter.log(f"{_title(probe)} alone moves the answers by {damage:.4f} nats")
        job.reporter.progress(done, total)
    job.folder.write_json(Stage.PROBE, job.folder.part_name(part, ".json"), result)


def merge_probes(job: Job, count: int) -> None:
    """Join the parts into ``tables.npz``."""
    paths = job.folder.parts(Stage.PROBE, ".json", count)
    parts = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
    timings = next(part for part in parts if "op_ms" in part)
    measured = Measurements(
        kl={key: value for part in parts for key, value in part["kl"].items()},
        op_ms=dict(zip(_specs(job), timings["op_ms"], strict=True)),
        base_ms=tuple(timings["base_ms"]),
        floor_ms=timings["floor_ms"],
        file_bytes=tuple(timings["file_bytes"]),
        meta=job.folder.read_json(Stage.INSPECT, "baseline.json"),
    )
    tables = tabulation.tabulate(job.layout, measured)
    job.folder.write_with(Stage.PROBE, "tables.npz", tables.save)


def _damage(job: Job, probe: Probe, x: np.ndarray, original: np.ndarray) -> float:
    """KL between the original's and the changed network's answers, in nats."""
    changed = job.workbench.build((probe.step,)).network
    if probe.step.layer == NETWORK:
        return kl_divergence(
            original, onnx_log_probabilities(export_onnx(changed, job.calibration), x)
        )
    return kl_divergence(original, logits(changed, x))


def _host_timings(job: Job, total: int) -> dict[str, Any]:
    """Times of all operations, and of the whole original in float and in 8 bits."""
    exports = {
        p: export_onnx(replace(job.network, precision=p), job.calibration) for p in PRECISIONS
    }
    x1 = job.calibration[:1]

    def keep_on(done: int, count: int) -> bool:
        job.reporter.progress(round(10 * done / count), total)
        return True

    specs = _specs(job)
    lookup = LatencyLookup()
    measured = lookup.measure(specs, keep_on)
    return {
        "op_ms": [measured[spec] for spec in specs],
        "floor_ms": lookup.floor_ms,
        "base_ms": [
            median_latency_ms(exports[p], x1, TIMING_ROUNDS) for p in LOOKUP_PRECISIONS
        ],
        "file_bytes": [len(exports[p]) for p in PRECISIONS],
    }


def _specs(job: Job) -> list[tuple[OpSpec, Precision]]:
    """Every operation of every cell, once, in a fixed order."""
    cells = tabulation.operations(job.layout).values()
    distinct = dict.fromkeys(op for ops in cells for op in ops)
    return [(op, precision) for precision in LOOKUP_PRECISIONS for op in distinct]


def _title(probe: Probe) -> str:
    level = ", ".join(str(value) for value in probe.step.params.values())
    where = "the whole network" if probe.step.layer == NETWORK else probe.step.layer
    return f"{probe.step.technique} {level} on {where}".replace("  ", " ")
