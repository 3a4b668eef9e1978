"""Which recipe to build: the asked-for selector's answer, or the recipe that was chosen by hand."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from compression.types import Recipe, RecipeStep
from selector.baselines import BASELINES, Baseline
from selector.errors import BadRequestError
from selector.explain import with_reasons
from selector.selection import Question
from selector.study import load_policy

if TYPE_CHECKING:
    from pathlib import Path

    from selector.job import Job
    from selector.policy import Policy
    from selector.surrogate import Surrogate
    from selector.types import Selection

CHOSEN_RECIPE = "recipe.json"
"""In a job folder, before RECOVER: the recipe that somebody chose."""


def choose(job: Job, surrogate: Surrogate) -> Selection:
    """The answer of the selector that the request names, under that surrogate, with its reasons."""
    request = job.request
    question = Question(
        surrogate=surrogate,
        target=job.target,
        goals=request.goals,
        budgets=request.budgets,
        locks=request.locks,
    )
    selector: Baseline | Policy
    if request.selector in BASELINES:
        selector = BASELINES[request.selector](surrogate, request.seed)
    else:
        selector = trained_policy(job, surrogate)
    found = selector.select(question.goals, question.budgets, question.target, question.locks)
    return with_reasons(question, found)


def trained_policy(job: Job, surrogate: Surrogate) -> Policy:
    """The study's policy, judging by that surrogate."""
    policy = load_policy(job.folder)
    if surrogate.model == policy.surrogate.model:
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


def recipe_json(recipe: Recipe) -> list[dict[str, object]]:
    """A recipe as plain values."""
    return [
        {"layer": s.layer, "technique": s.technique, "params": dict(s.params), "why": s.why}
        for s in recipe
    ]
