"""VALIDATE: build the most telling recipes for real and teach the predictions from them."""

from __future__ import annotations

import json
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.latency import paired_latency
from compression.types import Stage
from selector.divergence import Divergence
from selector.jobfolder import CANDIDATE_FILE
from selector.layout import pair_probes
from selector.learning import learnt
from selector.pairs import unknown_pairs
from selector.plan import read_rounds
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.proposals import propose
from selector.surrogate import Surrogate, Validated
from selector.trial import TrialRun

if TYPE_CHECKING:
    from compression.types import Recipe
    from selector.job import Job
    from selector.jobfolder import Part
    from selector.tables import IntArray
    from selector.trial import Trial

TIMING_ROUNDS = 12
MOST_KEPT_BYTES = 128 * 1024**2
"""Of all candidates of a study together, kept so that other devices can time them."""


class Validation:
    """VALIDATE in parts: each round asks what the rounds before it have taught."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._rounds = read_rounds(job.folder, Stage.VALIDATE)
        self._divergence = Divergence(job)
        self._proposed: dict[int, tuple[Surrogate, IntArray]] = {}

    def do(self, part: Part) -> None:
        """Build and score this part's share of what its round proposes."""
        job = self._job
        rows = [] if self._is_left_out(part) else self._built(part)
        job.folder.write_json(Stage.VALIDATE, job.folder.part_name(part, ".json"), rows)

    def _is_left_out(self, part: Part) -> bool:
        """Whether it is too late for this part; the first is built in any case, as predictions need a check."""
        late = part.index > 1 and self._job.reporter.ends_early()
        if late:
            self._job.reporter.log_early("the remaining candidates are not built.")
        return late

    def _built(self, part: Part) -> list[dict[str, Any]]:
        """What came of the candidates of a part; of one cut short nothing, as it would teach a loss too high."""
        known, rows = len(self._rounds.needed(part.index)), []
        surrogate, configs = self._proposals(known)
        items = self._rounds.within(part.index).take(list(enumerate(configs, start=known)))
        for done, (number, config) in enumerate(items, start=1):
            trial = self._tried(surrogate.space.decode(config))
            if self._is_left_out(part):
                break
            rows.append(self._validated(surrogate, number, config, trial))
            self._job.reporter.progress(done, len(items))
        return rows

    def join(self) -> None:
        """Refit the predictions; leave them with all built candidates in ``candidates.json``."""
        job, rows = self._job, self._rows(self._rounds.count)
        built = [Validated.from_json(row) for row in rows]
        surrogate = learnt(Surrogate(job.tables), built)
        check = surrogate.checked(built)
        job.reporter.log(
            f"Predictions refitted on {len(rows)} built candidates. {check.sentence} "
            f"Times on this computer: within {100 * surrogate.tables.host_band:.0f} %."
        )
        job.folder.write_with(Stage.VALIDATE, "tables.npz", surrogate.tables.save)
        self._refresh_policy(surrogate)
        value = {
            "candidates": rows,
            "accuracy_model": surrogate.model.to_json(),
            "check": check.to_json(),
        }
        job.folder.write_json(Stage.VALIDATE, "candidates.json", value)

    def _proposals(self, known: int) -> tuple[Surrogate, IntArray]:
        """What to build next when the first ``known`` parts are done, and the predictions behind it."""
        if known not in self._proposed:
            built = [Validated.from_json(row) for row in self._rows(known)]
            surrogate = Surrogate(self._job.tables)
            surrogate = learnt(surrogate, built) if built else surrogate
            size = self._rounds.within(known + 1).count
            seed = self._job.request.seed + known
            configs = propose(surrogate, size, self._job.targets, seed, built)
            macs = surrogate.evaluate(configs, self._job.target).macs
            # Those that train longest first, so that workers end the round together.
            longest = np.argsort(-macs, kind="stable")
            self._proposed[known] = surrogate, configs[longest]
        return self._proposed[known]

    def _rows(self, count: int) -> list[dict[str, Any]]:
        """The candidates that the first ``count`` parts built, in order."""
        paths = self._job.folder.parts(Stage.VALIDATE, ".json", self._rounds.count)[:count]
        rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
        return sorted(rows, key=lambda row: int(row["id"]))

    def _refresh_policy(self, surrogate: Surrogate) -> None:
        """Leave the trained policy with recipes that are good under the refitted predictions."""
        job = self._job
        trained = job.folder.path / Stage.SEARCH.value / "policy.npz"
        if not trained.is_file():
            return
        policy = Policy.of(surrogate, PolicyWeights.load(trained))
        weights = policy.judging_by(surrogate, job.targets).weights
        job.folder.write_with(Stage.VALIDATE, "policy.npz", weights.save)

    @cached_property
    def _trials(self) -> TrialRun:
        return TrialRun(self._job)

    def _tried(self, recipe: Recipe) -> Trial:
        """A recipe built and fine-tuned briefly."""
        job = self._job

        def report(_done: int, _total: int, _point: dict[str, float]) -> bool:
            job.reporter.check()
            return not job.reporter.ends_early()

        return self._trials.run(recipe, job.effort.candidate_steps, report)

    def _validated(
        self, surrogate: Surrogate, number: int, config: IntArray, trial: Trial
    ) -> dict[str, Any]:
        """Measure what a configuration gives here, now that it is built."""
        job = self._job
        files = {"base": job.model_bytes, "candidate": trial.exported}
        timing = paired_latency(files, job.calibration[:1], TIMING_ROUNDS)
        predicted = surrogate.evaluate(config[None], job.target)
        row: dict[str, Any] = {
            "id": number,
            "config": [int(index) for index in config],
            "drop_points": trial.drop_points,
            "predicted_drop_points": float(predicted.drop_points[0]),
            "kl": trial.kl,
            "untuned_points": trial.untuned_points,
            "trained": min(1.0, trial.steps / job.effort.recovery_steps),
            "size_bytes": len(trial.exported),
            "host_ms": timing["candidate"].p50,
            "host_ratio": timing["candidate"].ratio,
        }
        job.reporter.candidate(
            **row,
            latency_ms=float(predicted.latency_ms[0]),
            energy_mj=float(predicted.energy_mj[0]),
            validated=True,
        )
        job.reporter.log(
            f"Candidate {number}: {trial.drop_points:+.2f} points lost "
            f"(predicted {row['predicted_drop_points']:.2f}), "
            f"{len(trial.exported) / 1000:.1f} kB, {timing['candidate'].ratio:.2f}× as fast here"
        )
        cells = unknown_pairs(surrogate, config)
        probes = pair_probes(job.layout, np.array(cells, dtype=np.int64).reshape(-1, 4))
        found = [self._divergence.of(probe) for probe in probes]
        return {
            **row,
            **self._kept(number, trial),
            "pairs": list(zip(cells, found, strict=True)),
        }

    def _kept(self, number: int, trial: Trial) -> dict[str, Any]:
        """Leave the file of a candidate, unless it is too large; whether that was done, and its arithmetic."""
        job = self._job
        fits = len(trial.exported) <= MOST_KEPT_BYTES // job.effort.candidates
        if fits:
            job.folder.write(Stage.VALIDATE, CANDIDATE_FILE.format(number), trial.exported)
        return {"kept": fits, "precision": trial.network.precision.value}
