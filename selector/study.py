"""What a finished study can answer: the policy with all it has learnt. NumPy only."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.cost import device_names, load_device
from compression.types import Stage
from selector.accuracy import LEAST_VALIDATED, AccuracyModel, Lessons
from selector.errors import BadRequestError
from selector.jobfolder import RESULT_OF, SO_FAR
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.pool import grow_pool
from selector.prediction_check import Check
from selector.pretrained import pretrained
from selector.surrogate import Surrogate, Validated
from selector.tables import StudyTables

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from selector.jobfolder import JobFolder


_FIRST_ROUNDS, _FIRST_POOL = 2, 300

PAST_RECOVERIES = "past.json"
"""In a job folder, before RECOVER: what earlier builds of the same study tried and got."""


def load_policy(
    folder: JobFolder, surrogate: Surrogate | None = None, past: Sequence[Validated] = ()
) -> Policy:
    """The policy of a study folder, refitted as soon as candidates were built.

    ``surrogate`` is what ``load_surrogate`` gave, for whoever has it already: it is large. What ``past`` builds
    recovered is among the recipes that it considers.
    Of a study whose search is not through it is the agent as far as it has come, at first the shipped one.

    Raises:
        BadRequestError: when PROBE is not done.
    """
    surrogate = surrogate or load_surrogate(folder)
    policy = Policy.of(surrogate, _learnt(folder) or shipped(surrogate))
    built = built_recipes(folder, past)
    if not built:
        return policy
    return policy.with_known(np.array([each.config for each in built], dtype=np.int64))


def shipped(surrogate: Surrogate) -> PolicyWeights:
    """The agent that comes with the package, and what little climbing finds: a third of a second for LeNet."""
    host = load_device("this-host")
    start = surrogate.space.untouched()
    pool = grow_pool(surrogate, (host,), start, _FIRST_ROUNDS, _FIRST_POOL)
    return PolicyWeights(arrays=dict(pretrained()), targets=(host.name,), pool=pool, facts={})


def _learnt(folder: JobFolder) -> PolicyWeights | None:
    refreshed = folder.path / Stage.VALIDATE.value / "policy.npz"
    if folder.is_done(Stage.VALIDATE) and refreshed.is_file():
        return PolicyWeights.load(refreshed)
    trained = RESULT_OF[Stage.SEARCH]
    for name in (trained, SO_FAR, trained):  # twice, as the search may end in between
        with suppress(FileNotFoundError):
            return PolicyWeights.load(folder.path / Stage.SEARCH.value / name)
    return None


def load_surrogate(folder: JobFolder, past: Sequence[Validated] = ()) -> Surrogate:
    """The predictions of a study folder.

    With ``past`` recoveries those of accuracy are refitted; times, which take SciPy, are left to ``learning.learnt``.

    Raises:
        BadRequestError: when PROBE is not done.
    """
    folder.require(Stage.PROBE)
    found = _validation(folder)
    model = AccuracyModel.from_json(found["accuracy_model"]) if found else None
    refitted = folder.path / Stage.VALIDATE.value / "tables.npz"
    probed = folder.stage_path(Stage.PROBE, "tables.npz")
    surrogate = Surrogate(StudyTables.load(refitted if found else probed), model)
    if past:
        surrogate = surrogate.refit(built_recipes(folder, past))
    surrogate.untuned = untuned_model(surrogate, found.get("candidates", ()))
    return surrogate


def untuned_model(
    surrogate: Surrogate, candidates: Sequence[Mapping[str, Any]]
) -> AccuracyModel | None:
    """What recipes lose without fine-tuning, from rows of ``candidates.json``; None when too few say so."""
    known = [row for row in candidates if "untuned_points" in row]
    if len(known) < LEAST_VALIDATED:
        return None
    configs = np.array([row["config"] for row in known], dtype=np.int64)
    anywhere = load_device(
        device_names()[0]
    )  # damage and capacity are the same on every target
    features = surrogate.features(surrogate.costs((anywhere,)).totals(configs))
    points = np.array([row["untuned_points"] for row in known], dtype=np.float64)
    return AccuracyModel(cap=surrogate.model.cap).fitted(
        Lessons(features, points), far=math.inf
    )


def validated_candidates(folder: JobFolder) -> list[dict[str, Any]]:
    """The candidates that VALIDATE built, in order; empty before that."""
    found = _validation(folder)
    return list(found["candidates"]) if found else []


def built_recipes(folder: JobFolder, past: Sequence[Validated]) -> list[Validated]:
    """What is known of recipes that were built, each once; a full recovery replaces a short trial."""
    short = map(Validated.from_json, validated_candidates(folder))
    return list({each.config: each for each in (*short, *past)}.values())


def past_recoveries(folder: JobFolder) -> list[Validated]:
    """What earlier builds of the same study turned out to be, as far as they were put into the folder.

    Raises:
        BadRequestError: when they belong to another study.
    """
    path = folder.path / PAST_RECOVERIES
    if not path.is_file():
        return []
    rows = json.loads(path.read_text(encoding="utf-8"))
    found = [Validated.from_json(row) for row in rows]
    length = load_surrogate(folder).space.n_decisions
    if any(len(each.config) != length for each in found):
        raise BadRequestError(f"{PAST_RECOVERIES} is of builds of another study. Take it away.")
    return found


def prediction_check(folder: JobFolder) -> Check | None:
    """How far predictions of the built candidates were off; ``None`` before there are any."""
    found = _validation(folder).get("check")
    return Check.from_json(found) if found and found["n_left_out"] else None


def _validation(folder: JobFolder) -> dict[str, Any]:
    if not folder.is_done(Stage.VALIDATE):
        return {}
    found: dict[str, Any] = json.loads(
        folder.stage_path(Stage.VALIDATE, "candidates.json").read_text(encoding="utf-8")
    )
    return found
