"""The policy's answers to what a person wants, in milliseconds, in the web process."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.cost import load_device
from selector import recipe_rows
from selector.request import parse_budgets, parse_goals, parse_locks
from webapp.jobs import knowledge
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from selector.policy import Policy
    from selector.types import Selection
    from webapp.projects.models import Project

NOT_READY = "Still studying this model; the sliders answer as soon as the search is through."


def policy_of(project: Project) -> Policy:
    """The policy of the project's study.

    Raises:
        RequestRefusedError: when the study is not that far.
    """
    job = project.study.job
    if job is None or not knowledge.has_policy(job):
        raise RequestRefusedError(NOT_READY, code="not_ready", status=409)
    return knowledge.policy(job)


def select(policy: Policy, wanted: dict[str, Any]) -> Selection:
    """The recommended recipe."""
    return policy.select(
        parse_goals(wanted["goals"]),
        parse_budgets(wanted["budgets"]),
        load_device(wanted["target"]),
        parse_locks(wanted["locks"]),
    )


def selection(project: Project, wanted: dict[str, Any]) -> dict[str, Any]:
    """The recommended recipe with everything that the page shows of it."""
    policy = policy_of(project)
    return selection_json(policy, select(policy, wanted), wanted["target"])


def selection_json(policy: Policy, found: Selection, target: str) -> dict[str, Any]:
    config = np.array(found.config, dtype=np.int64)
    return {
        "config": list(found.config),
        "score": found.score,
        "violated": list(found.violated),
        "nearest": dict(found.nearest),
        "answered_by": found.answered_by,
        "gap": found.gap_to_best_found,
        "prediction": asdict(found.prediction),
        "layers": recipe_rows.rows(policy.surrogate, config, load_device(target)),
    }


def picked_recipe(
    project: Project, wanted: dict[str, Any], config: object
) -> list[dict[str, Any]] | None:
    """The recipe that a person picked; ``None`` when it is what the selector recommends anyway.

    A recommended recipe is chosen again by the engine, which may try a second one when the first
    loses more than was predicted; a picked one is built as it is.

    Raises:
        RequestRefusedError: when the configuration does not belong to this study.
    """
    policy = policy_of(project)
    if config is None:
        return None
    space = policy.surrogate.space
    known = [range(len(decision.actions)) for decision in space.decisions]
    if not (
        isinstance(config, list)
        and len(config) == len(known)
        and all(index in actions for index, actions in zip(config, known, strict=True))
    ):
        raise RequestRefusedError("This candidate belongs to another study. Reload the page.")
    if tuple(config) == select(policy, wanted).config:
        return None
    steps = space.decode(config)
    return [
        {"layer": s.layer, "technique": s.technique, "params": dict(s.params)} for s in steps
    ]
