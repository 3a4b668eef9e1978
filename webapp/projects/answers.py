"""The policy's answers to what a person wants, in milliseconds, in the web process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from selector import recipe_rows
from selector.baselines import Exhaustive, check_enumerable
from selector.conflicts import resolved
from selector.explain import explain
from selector.jobfolder import CHOSEN_RECIPE
from selector.request import USUAL, parse_budgets, parse_goals, parse_locks
from selector.selection import Question, predict
from webapp.devices.targets import target_profile
from webapp.jobs import knowledge
from webapp.jobs.outcome import EXPECTED
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from selector.policy import Policy
    from selector.tables import IntArray
    from selector.types import Selection
    from webapp.projects.models import Project

NO_CHOICE: dict[str, Any] = {"why": "", "undo": None, "alternatives": []}

MOST_EXPLAINED_AT_ONCE = 200
"""Decisions up to which a quick answer brings its reasons along: those of a thousand layers take longer than the rest."""

SHOWN_WISHES = ("goals", "budgets", "classic")
"""What a build's page tells of what was asked for, besides the device and the selector."""

NOT_READY = "Still studying this model; the sliders answer as soon as its layers are probed."


def policy_of(project: Project) -> Policy:
    """The policy of the project's study.

    Raises:
        RequestRefusedError: when the study is not that far.
    """
    job = project.study.job
    if job is None or not knowledge.has_policy(job):
        raise RequestRefusedError(NOT_READY, code="not_ready", status=409)
    return knowledge.policy(job)


def _select(policy: Policy, asked: Question, *, thorough: bool = True) -> Selection:
    """The recommended recipe; where none keeps all limits, the nearest with the conflict between them."""
    found = policy.select(
        asked.goals, asked.budgets, asked.target, asked.locks, thorough=thorough
    )
    return resolved(asked.prepared(), found, policy.weights.pool) if found.violated else found


def selection(
    project: Project, wanted: dict[str, Any], config: object = None, *, quick: bool = False
) -> dict[str, Any]:
    """The recommended recipe, or the one that a person picked, with all that the page shows of it.

    A ``quick`` answer is for a moving hand: ``better`` may find more, and brings the reasons of a deep network.

    Raises:
        RequestRefusedError: when the picked configuration does not belong to this study.
    """
    policy = policy_of(project)
    if config is not None:
        chosen = _checked_config(policy, config)
        return _picked(project, policy, wanted, chosen, quick=quick)
    asked = _question(project, policy, wanted)
    found = _select(policy, asked, thorough=not quick)
    return {
        "config": list(found.config),
        "score": found.score,
        "violated": list(found.violated),
        "nearest": dict(found.nearest),
        "conflict": asdict(found.conflict) if found.conflict else None,
        "answered_by": found.answered_by,
        "first_look_gap": found.first_look_gap,
        "prediction": asdict(found.prediction),
        "layers": _layers(asked, found.config, quick=quick),
    }


def better(
    project: Project, wanted: dict[str, Any], config: object, quick: dict[str, Any]
) -> dict[str, Any] | None:
    """What a second look finds after a quick answer; nothing where it can only say the same again."""
    explained = len(quick["config"]) <= MOST_EXPLAINED_AT_ONCE
    if explained and config is not None:
        return None
    found = selection(project, wanted, config)
    return None if explained and found["config"] == quick["config"] else found


def _picked(
    project: Project,
    policy: Policy,
    wanted: dict[str, Any],
    config: tuple[int, ...],
    *,
    quick: bool,
) -> dict[str, Any]:
    asked = _question(project, policy, wanted)
    return {
        "config": list(config),
        "prediction": asdict(predict(policy.surrogate, _array(config), asked.target)),
        "layers": _layers(asked, config, quick=quick),
    }


def known_recipes(project: Project, policy: Policy, wanted: dict[str, Any]) -> IntArray:
    """``[N, D]`` the recipes found good so far that the locks allow."""
    return _question(project, policy, wanted).prepared().allowed(policy.weights.pool)


def config_of(
    project: Project, policy: Policy, wanted: dict[str, Any], config: object
) -> tuple[int, ...]:
    """The recipe that a person picked, or else the recommended one.

    Raises:
        RequestRefusedError: when the picked configuration does not belong to this study.
    """
    if config is None:
        return _select(policy, _question(project, policy, wanted)).config
    return _checked_config(policy, config)


def build_inputs(
    project: Project, wanted: dict[str, Any], config: object, chooser: dict[str, Any]
) -> dict[str, Any]:
    """Files that a build gets besides its request: what is expected, and a recipe picked by hand.

    A recommended recipe is chosen again by the engine, which may try a second one when the first
    loses more than was predicted; a picked one is built as it is. What another selector will find is known
    to nobody yet.

    Raises:
        BadRequestError: when the selector cannot search this study, or the locks cannot be kept.
        RequestRefusedError: when the configuration does not belong to this study, or a selector is to find
            another one.
    """
    policy = policy_of(project)
    asked = _question(project, policy, wanted)
    if chooser["selector"] != USUAL:
        _check_open(asked, config, chooser["selector"])
        return {EXPECTED: _expected(project, asked, wanted | chooser)}
    recommended = _select(policy, asked).config
    chosen = recommended if config is None else _checked_config(policy, config)
    estimate = asdict(predict(policy.surrogate, _array(chosen), asked.target))
    expected = {EXPECTED: _expected(project, asked, wanted) | {"estimate": estimate}}
    if chosen == recommended:
        return expected
    steps = policy.surrogate.space.decode(chosen)
    recipe = [
        {"layer": s.layer, "technique": s.technique, "params": dict(s.params)} for s in steps
    ]
    return {**expected, CHOSEN_RECIPE: recipe}


def _check_open(asked: Question, config: object, selector: str) -> None:
    """A recipe that is picked leaves nothing to choose; and not every selector can search every network."""
    if config is not None:
        raise RequestRefusedError(
            f"The recipe named by config is built as it is, so {selector} has nothing to choose. "
            "Leave out config, or selector."
        )
    question = asked.prepared()
    if selector == Exhaustive.name:
        check_enumerable(question)


def _checked_config(policy: Policy, config: object) -> tuple[int, ...]:
    known = [range(len(decision.actions)) for decision in policy.surrogate.space.decisions]
    if not (
        isinstance(config, list)
        and len(config) == len(known)
        and all(index in actions for index, actions in zip(config, known, strict=True))
    ):
        raise RequestRefusedError("This candidate belongs to another study. Reload the page.")
    return tuple(config)


def _expected(project: Project, asked: Question, wanted: dict[str, Any]) -> dict[str, Any]:
    """What the build page shows until there are measurements, besides what the recipe is predicted to give."""
    surrogate, target = asked.surrogate, asked.target
    job = project.study.job
    inspected = knowledge.inspection(job) if job else None
    return {
        "wanted": {key: wanted[key] for key in SHOWN_WISHES if key in wanted},
        "baseline": knowledge.baseline_json(inspected or {}, surrogate, target),
    }


def _layers(
    question: Question, config: tuple[int, ...], *, quick: bool = False
) -> list[dict[str, Any]]:
    """The layers in order, each with the reason for its treatment and the price of undoing it."""
    is_explained = not quick or len(config) <= MOST_EXPLAINED_AT_ONCE
    found = explain(question, _array(config)) if is_explained else ()
    reasons = {reason.layer: reason for reason in found}
    rows = recipe_rows.rows(question.surrogate, _array(config), question.target)
    return [
        {**row, **reasons[row["layer"]].to_json()}
        if row["layer"] in reasons
        else row | NO_CHOICE
        for row in rows
    ]


def _question(project: Project, policy: Policy, wanted: dict[str, Any]) -> Question:
    return Question(
        surrogate=policy.surrogate,
        target=target_profile(owner=project.owner, name=wanted["target"]),
        goals=parse_goals(wanted["goals"]),
        budgets=parse_budgets(wanted["budgets"]),
        locks=parse_locks(wanted["locks"]),
    )


def _array(config: tuple[int, ...]) -> IntArray:
    return np.array(config, dtype=np.int64)
