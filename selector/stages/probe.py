"""PROBE: what each single change costs in accuracy, and what each operation costs in time here."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.latency import LatencyLookup
from compression.onnx_export import export_onnx
from compression.technique_names import title_of
from compression.types import NETWORK, OpSpec, Precision, Stage
from selector import tabulation
from selector.action_space import ActionSpace
from selector.divergence import Divergence
from selector.host_latency import Timed, recalibrated
from selector.jobfolder import Part
from selector.layout import PAIR, pair_probes, probes
from selector.network_choice import telling
from selector.network_timing import network_files, time_networks
from selector.pairs import telling_pairs
from selector.plan import PAIR_ROUNDS, read_rounds
from selector.recipe_rows import level_text
from selector.surrogate import Surrogate
from selector.tables import PRECISIONS
from selector.tabulation import LOOKUP_PRECISIONS, Measurements, with_damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from selector.job import Job
    from selector.layout import Probe
    from selector.tables import StudyTables

TIMING_ITEMS = 10
"""Probes that the timing of operations and networks counts as, when the stage says how far it is."""


class Probing:
    """PROBE in parts: single changes, then pairs of changes that good recipes would hold; times are a part apart.

    Times take about as long as everything else, so nothing waits for them: which pairs to measure is asked of
    devices whose times are predicted.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rounds = read_rounds(job.folder, Stage.PROBE)
        self._divergence = Divergence(job)
        self._timing_part = self._rounds.apart or 1  # of older versions' plans
        self._chosen: dict[tuple[int, ...], list[Probe]] = {}

    def do(self, part: Part) -> None:
        """Measure a part's share, or time the operations."""
        job = self._job
        items = self._probes(part)
        timing = TIMING_ITEMS if part.index == self._timing_part else 0
        result: dict[str, Any] = {"kl": {}}
        if timing:
            result |= _host_timings(job, len(items) + timing)
            job.reporter.excuse()  # on a slow machine times took all of a short limit
        for done, probe in enumerate(items, start=timing + 1):
            if job.reporter.ends_early():
                job.reporter.log_early("changes that were not probed are left out.")
                break
            result["kl"][probe.key] = self._damage(probe)
            job.reporter.progress(done, len(items) + timing)
        job.folder.write_json(Stage.PROBE, job.folder.part_name(part, ".json"), result)

    def join(self) -> None:
        """Put what all parts measured into ``tables.npz``."""
        timings, damage = (
            self._read(self._timing_part),
            self._damage_by(range(1, self._rounds.count + 1)),
        )
        tables = with_damage(_calibrated(self._job, timings), self._job.layout, damage)
        self._job.reporter.log(
            f"Times of {len(timings['networks'])} whole networks fitted: 9 in 10 predictions for this computer "
            f"lie within {100 * tables.host_band:.0f} %"
        )
        self._job.folder.write_with(Stage.PROBE, "tables.npz", tables.save)

    def _probes(self, part: Part) -> list[Probe]:
        """What a part measures of its round."""
        if part.index == self._rounds.apart:
            return []
        known = self._rounds.needed(part.index)
        every = self._pairs(known) if known else probes(self._job.layout)
        return self._rounds.within(part.index).take(every)

    def _pairs(self, known: tuple[int, ...]) -> list[Probe]:
        """The pairs to measure, as what the ``known`` parts measured makes them look promising."""
        if known not in self._chosen:
            job = self._job
            surrogate = Surrogate(
                with_damage(self._untimed, job.layout, self._damage_by(known))
            )
            targets = [target for target in job.targets if not target.measured_here]
            most = -(-job.effort.pair_probes // PAIR_ROUNDS)
            cells = telling_pairs(surrogate, targets, most, job.request.seed + len(known))
            self._chosen[known] = pair_probes(job.layout, cells)
        return self._chosen[known]

    @cached_property
    def _untimed(self) -> StudyTables:
        """Tables without times of this computer."""
        job = self._job
        unknown = [0.0] * len(_specs(job))
        timings = {"op_ms": unknown, "floor_ms": 0.0, "file_bytes": _file_bytes(job)}
        return _tabulated(job, timings)

    def _damage_by(self, parts: Iterable[int]) -> dict[str, float]:
        """The divergence by probe key that these parts measured."""
        return {key: kl for index in parts for key, kl in self._read(index)["kl"].items()}

    def _read(self, index: int) -> dict[str, Any]:
        folder, part = self._job.folder, Part(index, self._rounds.count)
        found: dict[str, Any] = folder.read_json(Stage.PROBE, folder.part_name(part, ".json"))
        return found

    def _damage(self, probe: Probe) -> float:
        damage, reporter = self._divergence.of(probe), self._job.reporter
        if probe.array != PAIR:
            reporter.metric(
                layer=probe.layer, level=level_text(probe.treatments), kl=damage, **_last(probe)
            )
        reporter.log(f"{_title(probe)} alone moves the answers by {damage:.4f} nats")
        return damage


def timed_tables(job: Job) -> StudyTables:
    """Tables that know times alone: what the predictions for this computer rest on."""
    return _calibrated(job, _host_timings(job, total=TIMING_ITEMS))


def _calibrated(job: Job, timings: dict[str, Any]) -> StudyTables:
    timed = [Timed(**row) for row in timings["networks"]]
    return recalibrated(_tabulated(job, timings), timed)


def _tabulated(job: Job, timings: dict[str, Any]) -> StudyTables:
    """Tables that know times and sizes alone."""
    measured = Measurements(
        kl={},
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
    found: dict[str, Any] = {
        "op_ms": [measured[spec] for spec in specs],
        "floor_ms": lookup.floor_ms,
        "file_bytes": _file_bytes(job),
    }
    tables = _tabulated(job, found)
    space = ActionSpace(tables)
    recipes = telling(tables, space, job.effort.timed_networks, job.request.seed)
    configs = np.concatenate([space.untouched(), recipes])
    timed = time_networks(job, configs, partial(network_files, job, space))
    return {**found, "networks": [asdict(row) for row in timed]}


def _file_bytes(job: Job) -> list[int]:
    """Of the original in each of ``PRECISIONS``."""
    networks = (replace(job.network, precision=p) for p in PRECISIONS)
    return [len(export_onnx(network, job.calibration)) for network in networks]


def _specs(job: Job) -> list[tuple[OpSpec, Precision]]:
    """Every operation of every cell, once, in a fixed order."""
    cells = tabulation.operations(job.layout).values()
    distinct = dict.fromkeys(tabulation.timed(op) for ops in cells for op in ops)
    return [(op, precision) for precision in LOOKUP_PRECISIONS for op in distinct]


def _title(probe: Probe) -> str:
    names = " + ".join(title_of(name) for name, _ in probe.treatments)
    where = "the whole network" if probe.layer == NETWORK else probe.layer
    return f"{names} {level_text(probe.treatments)} on {where}".replace("  ", " ")


def _last(probe: Probe) -> dict[str, Any]:
    """A stack goes by its last technique."""
    name, params = probe.treatments[-1]
    return {"technique": name, "params": dict(params)}
