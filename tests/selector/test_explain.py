from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from compression.technique import names
from compression.technique_names import title_of
from selector import reward
from selector.baselines import CoordinateAscent
from selector.explain import explain, with_reasons
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables

TARGET = load_device("redmi-3s")
TITLES = {title_of(name) for name in names()}


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
        if reason.undo is None:
            assert (undone == config).all()
            continue
        now, then = (surrogate.evaluate(c[None], TARGET) for c in (config, undone))
        for quantity in ("drop_points", "latency_ms", "energy_mj", "size_bytes"):
            change = float((getattr(then, quantity) - getattr(now, quantity))[0])
            assert getattr(reason.undo, quantity) == pytest.approx(change)


def test_what_a_limit_hangs_on_is_said(surrogate, answer):
    whole = explain(question(surrogate), np.array(answer.config))[-1]
    assert whole.layer == "*"
    assert whole.undo.breaks == ("max_size_bytes",)
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
    named = {reason.why.split(", ")[1] for reason in reasons if "would save" in reason.why}
    assert {part for names in named for part in names.split(" + ")} <= TITLES
    assert next(r for r in reasons if r.layer == "fc1").why == "left as it is: locked"


def test_layers_behind_a_replaced_head_are_called_gone(surrogate):
    space = surrogate.space
    config = space.untouched()[0]
    head = next(d for d, decision in enumerate(space.decisions) if decision.layer == "fc1")
    config[head] = np.flatnonzero(space.removals.by_decision[head].any(axis=1))[0]
    reasons = {r.layer: r.why for r in explain(question(surrogate), config)}
    assert reasons["fc3"] == "gone: what was chosen for a layer before it took it out"


def test_alternatives_are_the_best_other_techniques_that_gain_something(surrogate, answer):
    asked, config = question(surrogate), np.array(answer.config)
    prepared, space = asked.prepared(), surrogate.space
    now = prepared.utility(config[None])[0]
    for reason in explain(asked, config):
        decisions = [d for d, x in enumerate(space.decisions) if x.layer == reason.layer]
        used = {n for d in decisions for n in space.techniques(d, int(config[d]))}
        others = [set(each.technique.split("+")) for each in reason.alternatives]
        assert used not in others
        assert len(others) <= 2
        best = -np.inf
        for d in decisions:
            for index in np.flatnonzero(space.legal(config[None], d, prepared.mask)[0]):
                changed = config.copy()
                changed[d] = index
                names = {n for e in decisions for n in space.techniques(e, int(changed[e]))}
                gains = surrogate.evaluate(space.canonical(changed[None]), TARGET)[:4]
                stays = surrogate.evaluate(config[None], TARGET)[:4]
                if (
                    names
                    and names != used
                    and any(g < s for g, s in zip(gains, stays, strict=True))
                ):
                    best = max(best, prepared.utility(space.canonical(changed[None]))[0])
        if best > reward.INFEASIBLE:
            assert now + reason.alternatives[0].change.score >= best - 1e-9
            assert not reason.alternatives[0].change.breaks


def test_alternative_taken_by_a_lock_is_what_the_layer_gets(surrogate, answer):
    for reason in explain(question(surrogate), np.array(answer.config)):
        for other in reason.alternatives:
            locks = {reason.layer: Lock(treatments=other.params)}
            asked = question(surrogate, locks=locks)
            taken = CoordinateAscent(surrogate).select(
                asked.goals, asked.budgets, TARGET, locks
            )
            found = {s.technique: s.params for s in taken.recipe if s.layer == reason.layer}
            assert found == other.params
            assert "+".join(found) == other.technique


def test_locked_layer_has_no_alternatives(surrogate):
    config = surrogate.space.untouched()[0]
    locked = question(surrogate, locks={"fc1": Lock(technique="keep")})
    reasons = {reason.layer: reason for reason in explain(locked, config)}
    assert reasons["fc1"].alternatives == ()
    assert len(reasons["fc2"].alternatives) == 2
