"""Which recipe to build: the asked-for selector's answer, or the recipe that was chosen by hand."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.types import Recipe, RecipeStep
from selector.baselines import BASELINES, Baseline
from selector.classic import Classic
from selector.errors import BadRequestError
from selector.explain import with_reasons
from selector.jobfolder import CHOSEN_RECIPE
from selector.learning import best_built, failed_recoveries, utilities, with_room
from selector.policy import Policy
from selector.referees import Yardstick, refereed
from selector.request import USUAL
from selector.reward import INFEASIBLE
from selector.selection import Prepared, Question
from selector.study import load_policy

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from selector.classic import Report
    from selector.job import Job
    from selector.surrogate import Surrogate, Validated
    from selector.types import Selection

REPLAYED = ("seed", "threads", "time_limit_s", "preprocessing")
"""Settings of a request that a recipe file repeats."""

BUILT = "built candidate"
"""Who answered, when a candidate that VALIDATE built is better than any prediction."""

CHOSEN = "chosen"
"""Who answered, when somebody chose the recipe by hand."""

HOPES = (0.5, 1.0)
"""Standard errors of a prediction by which a bolder answer counts on losing less, when the best one is built already."""

MORE_ROOM = (1.0, 1.04, 1.08, 1.15)
"""Factors by which limits are drawn in further, when an answer has failed before."""


def question_of(job: Job, surrogate: Surrogate) -> Question:
    """What the request asks, under those predictions."""
    request = job.request
    return Question(
        surrogate=surrogate,
        target=job.target,
        goals=request.goals,
        budgets=request.budgets,
        locks=request.locks,
    )


def choose(
    job: Job,
    surrogate: Surrogate,
    built: Sequence[Validated] = (),
    own: Sequence[Validated] = (),
    *,
    cautious: bool = False,
) -> Selection:
    """The answer of the selector that the request names, under that surrogate, with its reasons.

    A recipe that was ``built`` and turned out, or when it is recovered in full will turn out, better than what is
    predicted of the answer takes its place; when ``cautious``, or when the answer is one that has failed already, any
    built recipe that keeps all limits as it is does. A method that was asked for by name gives way only to its
    ``own`` earlier answers, those that this build recovered. Of predictions, one that keeps the limits with room to
    spare is taken if there is any.
    """
    question, selector = question_of(job, surrogate), _selector(job, surrogate)
    answer, known = _answer_with_room(question, selector, built, job.request.seed)
    asked, utility = question.prepared(), None
    rivals = built if isinstance(selector, Policy) else own
    fails = answer.config in failed_recoveries(asked, built)
    better = _better_built(asked, answer, rivals, cautious=cautious or fails)
    if better is None and not cautious:
        better = _promising_built(question, answer, rivals, fails=fails)
    if better is not None:
        recipe, utility = better
        answer = _as_built(asked, recipe, utility, answer)
    best = best_built(asked, built)
    known = known.with_known([best[1]] if best else [])
    return with_reasons(question, known.measured(answer, utility))


def choose_bolder(
    job: Job,
    surrogate: Surrogate,
    built: Sequence[Validated],
    own: Sequence[Validated],
) -> Selection | None:
    """The best answer if all recipes lose less than predicted; ``None`` where even then nobody finds a better one.

    For when the best answer by the predictions is among this build's ``own`` recoveries: predictions err to both sides,
    and a recovery that fails takes nothing away. Methods asked for by name answer as they are, without hopes. The gap
    is to the best that was found with the same hopes; a bound under them would bound nothing.
    """
    if job.request.selector != USUAL:
        return None
    question = question_of(job, surrogate)
    tried, best = {each.config for each in own}, max(utilities(question.prepared(), own))
    for hope in HOPES:
        hopeful = surrogate.hopeful(hope)
        asked = replace(question, surrogate=hopeful)
        asked = replace(asked, budgets=with_room(asked, built))
        answer = _selected(trained_policy(job, hopeful), asked)
        found, _ = refereed(asked, answer, job.request.seed, may_replace=True)
        worth = float(asked.prepared().utility(np.array([found.config]))[0])
        if found.config not in tried and not found.violated and worth > best:
            return with_reasons(question, replace(found, gap_bound=None))
    return None


def _answer_with_room(
    question: Question, selector: Baseline | Policy, built: Sequence[Validated], seed: int
) -> tuple[Selection, Yardstick]:
    """The answer within drawn-in limits, drawn in further while it is one that has failed.

    Without any such answer, the one within the limits as they are. A referee that finds a better one takes
    the trained agent's place; a method that was asked for by name is only judged.
    """
    failed = failed_recoveries(question.prepared(), built)
    wider = [with_room(question, built, more) for more in MORE_ROOM]
    for budgets in (*wider, question.budgets):
        drawn_in = replace(question, budgets=budgets)
        own = _selected(selector, drawn_in)
        found, known = refereed(drawn_in, own, seed, may_replace=isinstance(selector, Policy))
        if not found.violated and found.config not in failed:
            break
    return found, known


def _selected(selector: Baseline | Policy, asked: Question) -> Selection:
    """A selector's own answer; nobody waits for it here, so that the trained agent may take its time."""
    wanted = asked.goals, asked.budgets, asked.target, asked.locks
    if isinstance(selector, Policy):
        return selector.select(*wanted, thorough=True)
    return selector.select(*wanted)


def is_infeasible(selection: Selection) -> bool:
    """Whether nobody found a recipe within all limits; a method asked for by name may miss what others keep."""
    return bool(selection.violated) and selection.conflict is not None


def is_hopeless(selection: Selection) -> bool:
    """Whether nobody found one even at the good end of what is predicted of accuracy."""
    unsure = selection.conflict is not None and selection.conflict.unsure
    return is_infeasible(selection) and not unsure


def _selector(job: Job, surrogate: Surrogate) -> Baseline | Policy:
    request = job.request
    if request.selector == Classic.name:
        return Classic(surrogate, request.seed, request.classic, _hears(job))
    if request.selector in BASELINES:
        return BASELINES[request.selector](surrogate, request.seed)
    return trained_policy(job, surrogate)


def _hears(job: Job) -> Report:
    """Passes on how a search goes, and ends it when time is up."""

    def report(done: int, total: int, figures: dict[str, float]) -> bool:
        job.reporter.metric(episode=done, episodes=total, **figures)
        job.reporter.check()
        return not job.reporter.ends_early()

    return report


def _better_built(
    question: Prepared, found: Selection, built: Sequence[Validated], *, cautious: bool
) -> tuple[Validated, float] | None:
    """The best built recipe and its utility, where it beats what is predicted of the selector's."""
    enough = INFEASIBLE if cautious else float(question.utility(np.array([found.config]))[0])
    best = best_built(question, built)
    return best if best and best[1] > enough else None


def _promising_built(
    question: Question, found: Selection, built: Sequence[Validated], *, fails: bool
) -> tuple[Validated, float] | None:
    """A built recipe that will probably be better than the selector's when it is recovered in full, and its utility.

    Its limits are drawn in as those of predictions are. Anything that keeps them is better than what ``fails``.
    """
    drawn_in = replace(question, budgets=with_room(question, built)).prepared()
    brief = [recipe for recipe in built if not recipe.recovered]
    expected = INFEASIBLE if fails else float(drawn_in.utility(np.array([found.config]))[0])
    best = best_built(drawn_in, question.surrogate.hoped(brief))
    return best if best and best[1] > max(INFEASIBLE, expected) else None


def _as_built(
    question: Prepared, recipe: Validated, utility: float, found: Selection
) -> Selection:
    """The answer that a built recipe is; what keeps all limits breaks none, whatever is predicted of it."""
    answer = question.answer(np.array(recipe.config), BUILT)
    if utility > INFEASIBLE:
        return replace(answer, violated=(), nearest={})
    return replace(answer, conflict=found.conflict) if answer.violated else answer


def trained_policy(job: Job, surrogate: Surrogate) -> Policy:
    """The study's policy, judging by that surrogate."""
    policy = load_policy(job.folder)
    if surrogate.predicts_as(policy.surrogate):
        return policy
    return policy.judging_by(surrogate, job.targets)


def chosen_recipe(job: Job) -> Recipe | None:
    """The recipe that was put into the folder, if any."""
    path = job.folder.path / CHOSEN_RECIPE
    return read_recipe(path) if path.is_file() else None


def read_recipe(path: Path) -> Recipe:
    """Read a recipe file: a list of steps, or an object that holds one as ``recipe``.

    Raises:
        BadRequestError: when it cannot be read or is none.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        steps = found["recipe"] if isinstance(found, dict) else found
        return tuple(
            RecipeStep(
                layer=str(step["layer"]),
                technique=str(step["technique"]),
                params=dict(step["params"]),
                why=str(step.get("why", "")),
            )
            for step in steps
        )
    except OSError as error:
        raise BadRequestError(
            f"The recipe {path.name} cannot be read: {error.strerror}."
        ) from error
    except (ValueError, KeyError, TypeError) as error:
        raise BadRequestError(
            f"{path.name} is not a recipe: a list of steps with layer, technique and params."
        ) from error


def replay_settings(path: Path) -> dict[str, object]:
    """What else a finished run's recipe file says of how it was built, as keys of a request.

    Seed, threads and preprocessing decide which examples the weights are fitted to and in which order sums are
    taken; the time limit decides how many inputs are made up where there was no data.
    """
    known = _facts(path)
    return {key: known[key] for key in REPLAYED if key in known}


def named_model(path: Path) -> str:
    """SHA-256 of the model file that a finished run's recipe was made for; empty in one made by hand."""
    return str(_facts(path).get("model_sha256", ""))


def _facts(path: Path) -> dict[str, Any]:
    """What a recipe file says besides its steps; a bare list of steps says nothing."""
    found = json.loads(path.read_text(encoding="utf-8"))
    return found if isinstance(found, dict) else {}


def recipe_json(recipe: Recipe) -> list[dict[str, object]]:
    """A recipe as plain values."""
    return [
        {"layer": s.layer, "technique": s.technique, "params": dict(s.params), "why": s.why}
        for s in recipe
    ]
