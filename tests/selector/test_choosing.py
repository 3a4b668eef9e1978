import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from compression.cost import load_device
from selector.choosing import BUILT, choose, named_model, replay_settings
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


def answer(*built, cautious=False):
    goals = Goals(accuracy=0.2, latency=0.0, energy=0.0, storage=0.8)
    request = Request(model=Path("m.onnx"), goals=goals, budgets=LIMITS, selector="greedy")
    job = SimpleNamespace(request=request, target=HERE)
    return choose(job, SURROGATE, built, cautious=cautious)


def candidate(**facts):
    small = {"size_bytes": 2000, "host_ratio": 1.5, "trained": 0.2}
    return Validated(config=tuple(EVEN.tolist()), **(small | facts))


def test_a_built_recipe_that_promises_more_than_any_prediction_is_recovered():
    assert 2 * LIMITS.max_accuracy_drop < PREDICTED  # nobody would pick it by predictions
    found = answer(candidate(drop_points=0.3))
    assert found.answered_by == BUILT
    assert np.array_equal(found.config, EVEN)
    assert not found.violated


def test_a_built_recipe_that_promises_to_miss_is_not():
    assert answer(candidate(drop_points=30.0)).answered_by != BUILT


def test_a_trial_that_misses_as_it_is_proves_nothing():
    brief = candidate(drop_points=1.6, trained=0.3)
    assert answer(brief).answered_by == BUILT
    assert answer(brief, cautious=True).answered_by != BUILT
    assert answer(replace(brief, recovered=True)).answered_by != BUILT


def test_recipe_file_names_the_model_it_was_made_for_where_it_does(tmp_path):
    path = tmp_path / "recipe.json"
    path.write_text(json.dumps({"model_sha256": "ab12", "seed": 3, "recipe": []}))
    assert (named_model(path), replay_settings(path)) == ("ab12", {"seed": 3})
    path.write_text("[]")
    assert (named_model(path), replay_settings(path)) == ("", {})
