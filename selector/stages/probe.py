"""PROBE: what each single change costs in accuracy, and what each operation costs in time here."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from compression.technique_names import title_of
from compression.types import NETWORK, Stage
from selector import host_times
from selector.divergence import Divergence
from selector.jobfolder import Part
from selector.layout import PAIR, pair_probes, probes
from selector.pairs import telling_pairs
from selector.plan import PAIR_ROUNDS, part_done, read_rounds
from selector.recipe_rows import level_text
from selector.surrogate import Surrogate
from selector.tabulation import LOOKUP_PRECISIONS, with_damage

if TYPE_CHECKING:
    from collections.abc import Iterable

    from selector.job import Job
    from selector.layout import Probe
    from selector.tables import StudyTables


class Probing:
    """PROBE in parts: single changes, then pairs of changes that good recipes would hold; beside these the times.

    Times take a third to two thirds of the stage, so nothing waits for them: which pairs to measure is asked of
    devices whose times are predicted.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rounds = read_rounds(job.folder, Stage.PROBE)
        self._divergence = Divergence(job)
        self._chosen: dict[tuple[int, ...], list[Probe]] = {}

    def do(self, part: Part) -> None:
        """Measure a part's share."""
        job = self._job
        result: dict[str, Any] = {"kl": {}}
        if part.index in self._timing:
            # On a slow machine times took all of a short limit.
            with job.reporter.without_limit():
                result |= self._times(part)
        items = self._probes(part)
        for done, probe in enumerate(items, start=1):
            if job.reporter.ends_early():
                job.reporter.log_early("changes that were not probed are left out.")
                break
            result["kl"][probe.key] = self._damage(probe)
            job.reporter.progress(done, len(items))
        job.folder.write_json(Stage.PROBE, job.folder.part_name(part, ".json"), result)

    def join(self) -> None:
        """Put what all parts measured into ``tables.npz``."""
        job = self._job
        networks = [row for part in self._found("networks") for row in part["networks"]]
        times = host_times.operation_times(job, self._found("op_ms"))
        costs = host_times.fitted_costs(job, times, networks)
        damage = self._damage_by(range(1, self._rounds.count + 1))
        job.reporter.log(
            f"Times of {len(networks)} whole networks fitted: 9 in 10 predictions for this computer "
            f"lie within {100 * costs.host_band:.0f} %"
        )
        tables = with_damage(costs, job.layout, damage)
        job.folder.write_with(Stage.PROBE, "tables.npz", tables.save)

    @cached_property
    def _timing(self) -> list[int]:
        """The parts that measure times; in plans of older versions the first, beside changes."""
        every = range(1, self._rounds.count + 1)
        return [index for index in every if self._rounds.is_apart(index)] or [1]

    def _times(self, part: Part) -> dict[str, Any]:
        """Of operations, and of whole networks once all of those are there."""
        job, share = self._job, self._rounds.within(part.index)
        if self._rounds.needed(part.index):
            times = host_times.operation_times(job, self._found("op_ms"))
            return {"networks": host_times.time_telling_networks(job, times, share)}
        if self._rounds.is_apart(part.index):
            return host_times.time_operations(job, share)
        operations = host_times.time_operations(job)
        times = host_times.operation_times(job, [operations])
        return operations | {"networks": host_times.time_telling_networks(job, times)}

    def _found(self, what: str) -> list[dict[str, Any]]:
        """The parts that measured such times."""
        done = filter(self._is_done, self._timing)
        parts = [_by_arithmetic(self._read(index)) for index in done]
        return [part for part in parts if what in part]

    def _is_done(self, index: int) -> bool:
        return part_done(self._job.folder, Stage.PROBE, Part(index, self._rounds.count))

    def _probes(self, part: Part) -> list[Probe]:
        """What a part measures of its round."""
        if self._rounds.is_apart(part.index):
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
        return host_times.costs(self._job)

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


def _by_arithmetic(part: dict[str, Any]) -> dict[str, Any]:
    """A part that an older version left has the times of one arithmetic after those of the other."""
    times = part.get("op_ms")
    if not isinstance(times, list):
        return part
    each = len(times) // len(LOOKUP_PRECISIONS)
    found = {p.value: times[n * each :][:each] for n, p in enumerate(LOOKUP_PRECISIONS)}
    return part | {"op_ms": found}


def _title(probe: Probe) -> str:
    names = " + ".join(title_of(name) for name, _ in probe.treatments)
    where = "the whole network" if probe.layer == NETWORK else probe.layer
    return f"{names} {level_text(probe.treatments)} on {where}".replace("  ", " ")


def _last(probe: Probe) -> dict[str, Any]:
    """A stack goes by its last technique."""
    name, params = probe.treatments[-1]
    return {"technique": name, "params": dict(params)}
