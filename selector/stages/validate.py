"""VALIDATE: build the most telling recipes for real and teach the predictions from them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.latency import paired_latency
from compression.types import Stage
from selector.learning import learnt
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.proposals import propose
from selector.surrogate import Surrogate, Validated
from selector.trial import TrialRun

if TYPE_CHECKING:
    from selector.job import Job
    from selector.jobfolder import Part
    from selector.tables import IntArray

TIMING_ROUNDS = 12


def validate_part(job: Job, part: Part) -> None:
    """Build and score this part's share of the proposed recipes."""
    surrogate = Surrogate(job.tables)
    configs = propose(surrogate, job.effort.candidates, job.targets, job.request.seed)
    items = part.take(list(enumerate(configs)))
    trials = TrialRun(job)
    rows: list[dict[str, Any]] = []
    for done, (number, config) in enumerate(items, start=1):
        if rows and job.reporter.out_of_time():
            job.reporter.log("Time is up: the remaining candidates are not built.", "warning")
            break
        rows.append(_validated(job, surrogate, trials, number, config))
        job.reporter.progress(done, len(items))
    job.folder.write_json(Stage.VALIDATE, job.folder.part_name(part, ".json"), rows)


def merge_validated(job: Job, count: int) -> None:
    """Refit the accuracy model; leave it with all built candidates in ``candidates.json``."""
    paths = job.folder.parts(Stage.VALIDATE, ".json", count)
    rows = [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
    rows.sort(key=lambda row: row["id"])
    surrogate = learnt(Surrogate(job.tables), [Validated.from_json(row) for row in rows])
    job.reporter.log(
        f"Predictions refitted on {len(rows)} built candidates; "
        f"9 in 10 losses lie within a factor of {np.exp(surrogate.model.band):.1f}, "
        f"times on this computer within {100 * surrogate.tables.host_band:.0f} %"
    )
    job.folder.write_with(Stage.VALIDATE, "tables.npz", surrogate.tables.save)
    _refresh_policy(job, surrogate)
    value = {"candidates": rows, "accuracy_model": surrogate.model.to_json()}
    job.folder.write_json(Stage.VALIDATE, "candidates.json", value)


def _refresh_policy(job: Job, surrogate: Surrogate) -> None:
    """Leave the trained policy with recipes that are good under the refitted predictions."""
    trained = job.folder.path / Stage.SEARCH.value / "policy.npz"
    if not trained.is_file():
        return
    policy = Policy.of(surrogate, PolicyWeights.load(trained))
    weights = policy.judging_by(surrogate, job.targets).weights
    job.folder.write_with(Stage.VALIDATE, "policy.npz", weights.save)


def _validated(
    job: Job, surrogate: Surrogate, trials: TrialRun, number: int, config: IntArray
) -> dict[str, Any]:
    """Build one configuration, fine-tune it briefly, and measure what it gives here."""

    def report(_done: int, _total: int, _point: dict[str, float]) -> bool:
        job.reporter.check()
        return not job.reporter.out_of_time()

    recipe = surrogate.space.decode(config)
    trial = trials.run(recipe, job.effort.candidate_steps, report)
    files = {"base": job.model_bytes, "candidate": trial.exported}
    timing = paired_latency(files, job.calibration[:1], TIMING_ROUNDS)
    predicted = surrogate.evaluate(config[None], job.target)
    row = {
        "id": number,
        "config": [int(index) for index in config],
        "drop_points": trial.drop_points,
        "kl": trial.kl,
        "untuned_points": trial.untuned_points,
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
        f"Candidate {number}: {trial.drop_points:+.2f} points lost, "
        f"{len(trial.exported) / 1000:.1f} kB, {timing['candidate'].ratio:.2f}× as fast here"
    )
    return row
