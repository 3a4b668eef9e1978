"""RECOVER: build the chosen recipe and fine-tune it; look again when the truth differs."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from safetensors.torch import save

from compression.latency import paired_latency
from compression.types import Stage
from selector import reward
from selector.choosing import (
    CHOSEN,
    choose,
    choose_bolder,
    chosen_recipe,
    is_hopeless,
    is_infeasible,
    question_of,
    recipe_json,
)
from selector.classic import Classic
from selector.conflicts import sentences
from selector.errors import BadRequestError
from selector.learning import learnt, utilities
from selector.plan import expected_recoveries
from selector.recovery_pace import RecoveryPace
from selector.selection import predict
from selector.study import built_recipes, load_surrogate, past_recoveries
from selector.surrogate import Validated
from selector.trial import Trial, TrialRun

if TYPE_CHECKING:
    from pathlib import Path

    from compression.types import Recipe
    from selector.action_space import ActionSpace
    from selector.job import Job
    from selector.tables import IntArray
    from selector.types import Selection

TIMING_ROUNDS = 20

NOT_PRICED = (
    "The recipe is none of those that the study priced, so what is predicted, and the table of layers, "
    "are those of the nearest one; what is measured is the recipe's own."
)

LEARNT = "The predictions have learnt from this; a better recipe is tried."
BOLDER = (
    "By the predictions nothing better is left; a bolder recipe is tried, which may lose too many points. "
    "The best so far is kept."
)

OVER = {
    "max_accuracy_drop": "loses {:.2f} points",
    "max_latency_ms": "takes {:.4g} ms",
    "max_energy_mj": "takes {:.4g} mJ",
    "max_size_bytes": "weighs {:,.0f} bytes",
}
"""What the nearest recipe does about each limit that it misses."""


def recover(job: Job) -> None:
    """Leave the best network found: its weights, its recipe and what was tried."""
    chosen = chosen_recipe(job)
    attempts = _Attempts(job, most=job.effort.recoveries if chosen is None else 1)
    if chosen is not None:
        attempts.run(chosen)
    else:
        _choose_and_learn(job, attempts)
    trial, facts = attempts.best()
    tensors = {name: t.contiguous() for name, t in trial.network.module.state_dict().items()}
    job.folder.write(Stage.RECOVER, "recovered.safetensors", save(tensors))
    notes = [*facts["notes"], *trial.network.notes[len(job.network.notes) :]]
    facts |= {"curve": attempts.curve, "stopped_by": job.reporter.stopped_by, "notes": notes}
    job.folder.write_json(Stage.RECOVER, "recover.json", facts)
    attempts.clear()


def _choose_and_learn(job: Job, attempts: _Attempts) -> None:
    """Build the best answer; teach the predictions what came out, ask again, keep the best.

    When the best answer has been built already, a bolder one is tried, as long as recoveries are left. When hopes have
    failed until the last time, a recipe that is proven to keep the limits is taken.
    """
    last = attempts.most - 1
    for number in range(attempts.most):
        if number and job.reporter.ends_early():
            return
        keeps_limits = bool(number) and max(attempts.utilities()) > reward.INFEASIBLE
        asked = job, attempts.surrogate, attempts.built, attempts.own
        selection = choose(*asked, cautious=number == last and not keeps_limits)
        said = LEARNT
        if selection.config in attempts.tried:
            bolder = choose_bolder(*asked) if keeps_limits else None
            if bolder is None:
                return
            selection, said = bolder, BOLDER
        if selection.violated:
            job.reporter.log(_why_missed(job, selection))
        if number:
            job.reporter.log(said)
        attempts.run(selection.recipe, selection)


def _why_missed(job: Job, selection: Selection) -> str:
    wanted = ", ".join(OVER[name].format(value) for name, value in selection.nearest.items())
    why = " ".join(sentences(selection.conflict)) if selection.conflict else ""
    nobody = _nobody(selection, job.request.selector)
    return f"{nobody} meet every limit; the nearest {wanted}. {why}".rstrip()


def _conflict_json(selection: Selection) -> dict[str, Any] | None:
    """Why no recipe was expected to keep all limits, and what the nearest one was expected to give."""
    if selection.conflict is None:
        return None
    words = {"nearest": dict(selection.nearest), "sentences": sentences(selection.conflict)}
    return asdict(selection.conflict) | words


def _nobody(selection: Selection, selector: str) -> str:
    if is_infeasible(selection):
        return "No recipe is expected to"
    who = "The published form" if selector == Classic.name else f"The selector “{selector}”"
    return f"{who} found no recipe, where other selectors did, to"


def _priced(space: ActionSpace, recipe: Recipe) -> tuple[IntArray, list[str]]:
    """The configuration that predictions are made for, with a note where it is not the recipe itself."""
    try:
        return space.encode(recipe), []
    except BadRequestError as reason:
        return space.nearest(recipe), [f"{NOT_PRICED} {reason}"]


class _Attempts:
    """Recipes built with full recovery, ``most`` of them, and what their outcome taught."""

    def __init__(self, job: Job, most: int) -> None:
        self.most = most
        self._job = job
        self._trials = TrialRun(job)
        self._found: list[tuple[Validated, Trial, dict[str, Any]]] = []
        self._study = load_surrogate(job.folder)
        past = past_recoveries(job.folder)
        self._known = built_recipes(job.folder, past)
        self.surrogate = learnt(self._study, self._known) if past else self._study
        self.curve: list[dict[str, float]] = []
        self._pace = RecoveryPace()

    @property
    def built(self) -> list[Validated]:
        """What is known of recipes that were built; a full recovery replaces a short trial."""
        short = [each for each in self._known if each.config not in self.tried]
        return short + self.own

    @property
    def own(self) -> list[Validated]:
        """What came out of the recipes that this build recovered in full."""
        return [outcome for outcome, _, _ in self._found]

    @property
    def tried(self) -> set[tuple[int, ...]]:
        """The configurations that were recovered in full."""
        return {outcome.config for outcome in self.own}

    def run(self, recipe: Recipe, selection: Selection | None = None) -> None:
        """Build and fine-tune one recipe, score it, refit the predictions."""
        config = self.surrogate.space.nearest(recipe)
        expected = predict(self.surrogate, config, self._job.target)
        steps, checkpoint = self._job.effort.recovery_steps, self._file("safetensors")
        trial = self._trials.run(recipe, steps, self._report, checkpoint)
        outcome = self._outcome(config, trial)
        priced, notes = _priced(self.surrogate.space, trial.applied)
        facts = {
            "config": priced.tolist(),
            "notes": notes,
            "recipe": recipe_json(trial.applied),
            "skipped": [
                {"layer": s.layer, "technique": s.technique, "reason": why}
                for s, why in trial.skipped
            ],
            "drop_points": trial.drop_points,
            "untuned_points": trial.untuned_points,
            "predicted": asdict(expected),
            "expected_to_miss": selection is not None and is_hopeless(selection),
            "answered_by": selection.answered_by if selection else CHOSEN,
            "gap_to_best_found": selection.gap_to_best_found if selection else None,
            "gap_bound": selection.gap_bound if selection else None,
            "conflict": _conflict_json(selection) if selection else None,
            "scored": selection.scored if selection else 0,
        }
        self._found.append((outcome, trial, facts))
        self._job.reporter.log(
            f"Recovered: {trial.drop_points:+.2f} points lost on the search examples "
            f"(expected {expected.accuracy_drop_points.value:.2f}), "
            f"{outcome.size_bytes / 1000:.1f} kB, {outcome.host_ratio:.2f}× as fast here"
        )
        self.surrogate = learnt(self._study, self.built)

    def clear(self) -> None:
        """Takes away what only a restart would have needed."""
        for path in self._file("json").parent.glob("attempt-*"):
            path.unlink(missing_ok=True)

    def utilities(self) -> list[float]:
        """How well each attempt answers the request."""
        question = question_of(self._job, self._study).prepared()
        return utilities(question, self.own).tolist() if self._found else [reward.INFEASIBLE]

    def best(self) -> tuple[Trial, dict[str, Any]]:
        """The most useful of all, with what is known of it and of the others."""
        worth = self.utilities()
        others = [
            {**asdict(outcome), "utility": utility}
            for utility, (outcome, _, _) in zip(worth, self._found, strict=True)
        ]
        best = worth.index(max(worth))
        _, trial, facts = self._found[best]
        missed = worth[best] <= reward.INFEASIBLE
        return trial, {
            **facts,
            "utility": worth[best],
            "infeasible": missed and facts["expected_to_miss"],
            "attempts": others,
        }

    def _outcome(self, config: IntArray, trial: Trial) -> Validated:
        """What came out; of the measured ratio the cautious end counts, as a limit is a limit."""
        return Validated(
            config=tuple(config.tolist()),
            drop_points=trial.drop_points,
            kl=trial.kl,
            size_bytes=len(trial.exported),
            host_ratio=self._host_ratio(trial.exported),
            recovered=True,
            trained=min(1.0, trial.steps / self._job.effort.recovery_steps),
        )

    def _host_ratio(self, exported: bytes) -> float:
        """Timed once: after a restart the same file counts as fast as before, and so leads on alike."""
        folder, name = self._job.folder, self._file("json").name
        sha256 = hashlib.sha256(exported).hexdigest()
        if self._file("json").is_file():
            known = folder.read_json(Stage.RECOVER, name)
            if known["sha256"] == sha256:
                return float(known["host_ratio"])
        files = {"base": self._job.model_bytes, "result": exported}
        timing = paired_latency(files, self._job.calibration[:1], TIMING_ROUNDS)
        ratio = timing["result"].ratio_ci[0]
        folder.write_json(Stage.RECOVER, name, {"sha256": sha256, "host_ratio": ratio})
        return ratio

    def _file(self, suffix: str) -> Path:
        """Where the present attempt keeps what a restart needs."""
        return self._job.folder.stage_path(
            Stage.RECOVER, f"attempt-{len(self._found)}.{suffix}"
        )

    def _report(self, step: int, total: int, point: dict[str, float]) -> bool:
        attempt = len(self._found)
        job = self._job
        self.curve.append({"attempt": attempt, "step": step, **point})
        job.reporter.metric(attempt=attempt, step=step, total=total, **point)
        self._pace.note(attempt, step)
        left_s = self._pace.left_s(total, max(attempt + 1, expected_recoveries(self.most)))
        job.reporter.progress(step + attempt * total, total * self.most, left_s=left_s)
        return not job.reporter.ends_early()
