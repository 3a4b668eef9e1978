from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector.baselines import CoordinateAscent
from selector.explain import explain, with_reasons
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables

TARGET = load_device("redmi-3s")


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(lenet_tables())


def question(surrogate, **changes):
    budgets = Budgets(max_accuracy_drop=1.0, max_size_bytes=80_000)
    return Question(surrogate=surrogate, target=TARGET, budgets=budgets, **changes)


@pytest.fixture(scope="module")
def answer(surrogate):
    budgets = Budgets(max_accuracy_drop=1.0, max_size_bytes=80_000)
    return CoordinateAscent(surrogate).select(Goals(), budgets, TARGET)


def test_undoing_gives_back_what_is_said(surrogate, answer):
    config = np.array(answer.config)
    decisions = surrogate.space.decisions
    for reason in explain(question(surrogate), config):
        undone = config.copy()
        undone[
            [d for d, decision in enumerate(decisions) if decision.layer == reason.layer]
        ] = 0
        now, then = (surrogate.evaluate(c[None], TARGET) for c in (config, undone))
        assert reason.undo_latency_ms == pytest.approx(
            float((then.latency_ms - now.latency_ms)[0])
        )
        assert reason.undo_size_bytes == pytest.approx(
            float((then.size_bytes - now.size_bytes)[0])
        )


def test_what_a_limit_hangs_on_is_said(surrogate, answer):
    whole = explain(question(surrogate), np.array(answer.config))[-1]
    assert whole.layer == "*"
    assert whole.undo_breaks == ("max_size_bytes",)
    assert whole.why.endswith("without it the limit on file size is missed")


def test_every_step_of_the_recipe_carries_its_reason(surrogate, answer):
    recipe = with_reasons(question(surrogate), answer).recipe
    assert len(recipe) == len(answer.recipe)
    assert all(step.why.startswith("saves ") for step in recipe)


def test_untouched_layers_say_what_would_have_come_closest(surrogate):
    config = surrogate.space.untouched()[0]
    reasons = explain(question(surrogate, locks={"fc1": Lock(technique="keep")}), config)
    assert reasons[0].why.startswith("left as it is: the best change of this layer, ")
    assert "would save" in reasons[0].why
    assert next(r for r in reasons if r.layer == "fc1").why == "left as it is: locked"


def test_layers_behind_a_replaced_head_are_called_gone(surrogate):
    space = surrogate.space
    config = space.untouched()[0]
    head = next(d for d, decision in enumerate(space.decisions) if decision.layer == "fc1")
    config[head] = np.flatnonzero(space.removals.by_decision[head].any(axis=1))[0]
    reasons = {r.layer: r.why for r in explain(question(surrogate), config)}
    assert reasons["fc3"] == "gone: what was chosen for a layer before it took it out"
