"""RECOVER: build the chosen recipe and fine-tune it; look again when the truth differs."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

from compression.latency import paired_latency
from compression.types import Stage
from selector import reward
from selector.choosing import choose, chosen_recipe, recipe_json
from selector.selection import Question, predict
from selector.study import load_surrogate, validated_candidates
from selector.surrogate import Validated
from selector.trial import Trial, TrialRun

if TYPE_CHECKING:
    import numpy as np

    from compression.types import Recipe
    from selector.job import Job
    from selector.surrogate import Surrogate
    from selector.tables import Array
    from selector.types import Selection

TIMING_ROUNDS = 20

WEIGHT_OF_RECOVERED = 3
"""A fully recovered recipe tells as much about the final accuracy as that many short trials."""


def recover(job: Job) -> None:
    """Leave the best network found: its weights, its recipe and what was tried."""
    attempts = _Attempts(job)
    chosen = chosen_recipe(job)
    if chosen is not None:
        attempts.run(chosen)
    else:
        _choose_and_learn(job, attempts)
    trial, facts = attempts.best()
    stopped = "time" if job.reporter.stopped_by_time else None
    tensors = {name: t.contiguous() for name, t in trial.network.module.state_dict().items()}
    job.folder.write(Stage.RECOVER, "recovered.safetensors", save(tensors))
    job.folder.write_json(
        Stage.RECOVER, "recover.json", {**facts, "curve": attempts.curve, "stopped_by": stopped}
    )


def _choose_and_learn(job: Job, attempts: _Attempts) -> None:
    """Build the selector's answer; teach the predictions what came out, ask again, keep the best."""
    for number in range(job.effort.recoveries):
        selection = choose(job, attempts.surrogate)
        if selection.config in attempts.tried or (number and job.reporter.out_of_time()):
            return
        if selection.violated:
            wanted = ", ".join(
                f"{name} {value:.4g}" for name, value in selection.nearest.items()
            )
            job.reporter.log(
                f"No recipe is expected to meet every limit; the nearest needs {wanted}."
            )
        if number:
            job.reporter.log("The predictions have learnt from this; a better recipe is tried.")
        attempts.run(selection.recipe, selection)


class _Attempts:
    """Recipes built with full recovery, and what their outcome taught."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._trials = TrialRun(job)
        self._known = [Validated.from_json(row) for row in validated_candidates(job.folder)]
        self._found: list[tuple[float, Trial, dict[str, Any]]] = []
        self.surrogate: Surrogate = load_surrogate(job.folder)
        self.tried: set[tuple[int, ...]] = set()
        self.curve: list[dict[str, float]] = []

    def run(self, recipe: Recipe, selection: Selection | None = None) -> None:
        """Build and fine-tune one recipe, score it, refit the predictions."""
        config = self.surrogate.space.encode(recipe)
        expected = predict(self.surrogate, config, self._job.target)
        trial = self._trials.run(recipe, self._job.effort.recovery_steps, self._report)
        utility, values = self._utility(config, trial)
        self.tried.add(tuple(int(index) for index in config))
        facts = {
            "config": [int(index) for index in config],
            "recipe": recipe_json(trial.applied),
            "skipped": [
                {"layer": s.layer, "technique": s.technique, "reason": why}
                for s, why in trial.skipped
            ],
            "drop_points": trial.drop_points,
            "utility": utility,
            "predicted": asdict(expected),
            "infeasible": bool(
                selection and selection.violated and utility <= reward.INFEASIBLE
            ),
            "answered_by": selection.answered_by if selection else "chosen",
            "gap_to_best_found": selection.gap_to_best_found if selection else 0.0,
        }
        self._found.append((utility, trial, facts))
        self._job.reporter.log(
            f"Recovered: {trial.drop_points:+.2f} points lost on the search examples "
            f"(expected {expected.accuracy_drop_points.value:.2f}), {values[3] / 1000:.1f} kB"
        )
        outcome = Validated(
            config=tuple(config.tolist()), drop_points=trial.drop_points, kl=trial.kl
        )
        self._known += [outcome] * WEIGHT_OF_RECOVERED
        self.surrogate = self.surrogate.refit(self._known)

    def best(self) -> tuple[Trial, dict[str, Any]]:
        """The most useful of all, with what is known of it and of the others."""
        _, trial, facts = max(self._found, key=lambda found: found[0])
        others = [
            {k: f[k] for k in ("config", "drop_points", "utility")} for _, _, f in self._found
        ]
        return trial, {**facts, "attempts": others}

    def _utility(self, config: np.ndarray, trial: Trial) -> tuple[float, Array]:
        """How well the outcome answers the request: measured where measured, else predicted."""
        request, target = self._job.request, self._job.target
        prepared = Question(
            surrogate=self.surrogate,
            target=target,
            goals=request.goals,
            budgets=request.budgets,
        ).prepared()
        values = reward.quantities(self.surrogate, prepared.costs.totals(config[None]))
        values[0, 0] = trial.drop_points
        values[0, 3] = len(trial.exported)
        if target.measured_here:
            files = {"base": self._job.model_bytes, "result": trial.exported}
            timing = paired_latency(files, self._job.calibration[:1], TIMING_ROUNDS)
            values[0, 1] = timing["result"].p50
        return float(reward.utility(values[None], prepared.wants)[0, 0]), values[0]

    def _report(self, step: int, total: int, point: dict[str, float]) -> bool:
        attempt = len(self._found)
        job = self._job
        self.curve.append({"attempt": attempt, "step": step, **point})
        job.reporter.metric(attempt=attempt, step=step, total=total, **point)
        job.reporter.progress(step + attempt * total, total * job.effort.recoveries)
        return not job.reporter.out_of_time()
