import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from compression.cost import load_device
from compression.types import Stage
from selector.choosing import (
    BUILT,
    choose,
    choose_bolder,
    is_infeasible,
    named_model,
    replay_settings,
)
from selector.jobfolder import JobFolder
from selector.proposals import even_recipes
from selector.request import Request
from selector.surrogate import Surrogate, Validated
from selector.types import Budgets, Goals
from tests.selector.synthetic_tables import lenet_tables

SURROGATE = Surrogate(lenet_tables())
HERE = load_device("this-host")
LIMITS = Budgets(max_accuracy_drop=1.5)
EVEN = even_recipes(SURROGATE.space)[1]
PREDICTED = float(SURROGATE.evaluate(EVEN[None], HERE).drop_points[0])


@pytest.fixture(scope="module")
def studied(tmp_path_factory):
    folder = JobFolder(tmp_path_factory.mktemp("studied"))
    folder.write_with(Stage.PROBE, "tables.npz", SURROGATE.tables.save)
    return folder


@pytest.fixture
def asked(studied):
    def job(selector="dqn", budgets=LIMITS):
        goals = Goals(accuracy=0.2, latency=0.0, energy=0.0, storage=0.8)
        request = Request(model=Path("m.onnx"), goals=goals, budgets=budgets, selector=selector)
        return SimpleNamespace(request=request, target=HERE, folder=studied, targets=(HERE,))

    return job


@pytest.fixture
def answer(asked):
    def answered(*built, selector="dqn", budgets=LIMITS, own=(), cautious=False):
        return choose(asked(selector, budgets), SURROGATE, built, own, cautious=cautious)

    return answered


@pytest.fixture
def recovered(answer):
    """The best answer, recovered in full just as predicted."""
    found = answer()
    predicted = SURROGATE.evaluate(np.array([found.config]), HERE)
    return Validated(
        config=found.config,
        drop_points=float(predicted.drop_points[0]),
        size_bytes=int(predicted.size_bytes[0]),
        recovered=True,
        trained=1.0,
    )


def candidate(**facts):
    small = {"size_bytes": 2000, "host_ratio": 1.5, "trained": 0.2}
    return Validated(config=tuple(EVEN.tolist()), **(small | facts))


def test_a_built_recipe_that_promises_more_than_any_prediction_is_recovered(answer):
    assert 2 * LIMITS.max_accuracy_drop < PREDICTED  # nobody would pick it by predictions
    found = answer(candidate(drop_points=0.3))
    assert found.answered_by == BUILT
    assert np.array_equal(found.config, EVEN)
    assert not found.violated


def test_a_built_recipe_that_promises_to_miss_is_not(answer):
    assert answer(candidate(drop_points=30.0)).answered_by != BUILT


def test_a_trial_that_misses_as_it_is_proves_nothing(answer):
    brief = candidate(drop_points=1.6, trained=0.3)
    assert answer(brief).answered_by == BUILT
    assert answer(brief, cautious=True).answered_by != BUILT
    assert answer(replace(brief, recovered=True)).answered_by != BUILT


@pytest.fixture
def missed(recovered):
    """The best answer, recovered in full, and just beyond the limit; and a recipe that keeps it and is of little use."""
    kept = candidate(drop_points=0.2, recovered=True, size_bytes=200_000)
    return replace(recovered, drop_points=1.6), kept


def test_an_answer_that_has_missed_its_points_is_not_given_again(answer, missed):
    """Also where another recipe is known to keep them, so that no caution is called for."""
    found = answer(*missed)
    assert found.config != missed[0].config
    assert found.answered_by != BUILT


def test_an_answer_that_nothing_replaces_but_has_failed_gives_way_to_what_keeps_the_limits(
    answer, missed, monkeypatch
):
    monkeypatch.setattr("selector.choosing.MORE_ROOM", (1.0,))
    found = answer(*missed)
    assert (found.answered_by, found.config) == (BUILT, missed[1].config)


def test_a_method_asked_for_by_name_gives_way_only_to_what_it_found_itself(answer):
    found = candidate(drop_points=0.3, recovered=True)
    alone = answer(found, selector="greedy")
    assert alone.answered_by == "greedy"
    assert not np.array_equal(alone.config, EVEN)
    assert alone.gap_to_best_found > 0.05
    assert answer(found, selector="greedy", own=[found]).answered_by == BUILT


def test_a_method_that_misses_what_others_keep_says_so_under_its_own_name(answer):
    tight = Budgets(max_accuracy_drop=0.3, max_size_bytes=30_000.0)
    found = answer(selector="random", budgets=tight)
    assert found.answered_by == "random"
    assert found.violated
    assert not is_infeasible(found)
    assert found.gap_to_best_found == 1.0  # others keep them


def test_when_the_best_answer_is_built_a_bolder_one_is_better_if_predictions_err_to_its_side(
    asked, recovered
):
    bolder = choose_bolder(asked(), SURROGATE, [recovered], [recovered])
    predicted = SURROGATE.evaluate(np.array([bolder.config]), HERE)
    assert bolder.config != recovered.config
    assert predicted.size_bytes[0] < recovered.size_bytes
    assert LIMITS.max_accuracy_drop < predicted.drop_points[0] < 5 * LIMITS.max_accuracy_drop
    assert not bolder.violated


def test_another_recipe_is_tried_where_points_are_a_goal_and_no_limit_too(asked):
    free = asked(budgets=Budgets())
    found = choose(free, SURROGATE, [])
    built = Validated(config=found.config, drop_points=0.5, size_bytes=9000, recovered=True)
    bolder = choose_bolder(free, SURROGATE, [built], [built])
    assert bolder.config != found.config


def test_nothing_is_bolder_than_an_answer_that_nothing_beats(asked, recovered):
    unbeaten = replace(recovered, drop_points=0.0, size_bytes=10)
    assert choose_bolder(asked(), SURROGATE, [unbeaten], [unbeaten]) is None


def test_recipe_file_names_the_model_it_was_made_for_where_it_does(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"model_sha256": "ab12", "seed": 3, "recipe": []}))
    assert (named_model(path), replay_settings(path)) == ("ab12", {"seed": 3})
    path.write_text("[]")
    assert (named_model(path), replay_settings(path)) == ("", {})
