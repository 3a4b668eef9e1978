from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from compression.cost import device_names, load_device
from selector import reward
from selector.baselines import CoordinateAscent, Greedy
from selector.choosing import is_hopeless, is_infeasible
from selector.conflicts import resolved, sentences
from selector.referees import refereed
from selector.reward import BUDGET_NAMES
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Conflict, Goals
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import toy_tables

SURROGATE = Surrogate(toy_tables())
TARGETS = [load_device(name) for name in device_names()]
EVERY = np.concatenate(list(SURROGATE.space.enumerate(SURROGATE.space.mask)))


def asked(seed, tighter=1.0):
    wants = draw_wishes(SURROGATE, TARGETS, 1, np.random.default_rng(seed))
    limits = zip(BUDGET_NAMES, (wants.limits[0] * tighter).tolist(), strict=True)
    budgets = Budgets(**{name: None if np.isinf(v) else v for name, v in limits})
    return Question(surrogate=SURROGATE, target=TARGETS[int(wants.target[0])], budgets=budgets)


def quantities(question):
    totals = SURROGATE.costs((question.target,)).totals(EVERY)
    return reward.quantities(SURROGATE, totals), question.prepared().wants.limits[0]


def nearest(question, known):
    ascent = CoordinateAscent(SURROGATE)
    found = ascent.select(question.goals, question.budgets, question.target)
    return resolved(question.prepared(), found, known)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.7]))
def test_sets_are_impossible_and_smallest_and_loosening_one_limit_suffices(seed, tighter):
    question = asked(seed, tighter)
    values, limits = quantities(question)
    kept = values <= limits
    found = nearest(question, EVERY)
    assert bool(found.violated) == (not kept.all(axis=1).any())
    assume(found.violated)
    for names in found.conflict.sets:
        places = [BUDGET_NAMES.index(name) for name in names]
        assert not kept[:, places].all(axis=1).any()
        for fewer in itertools.combinations(places, len(places) - 1):
            assert kept[:, list(fewer)].all(axis=1).any()
    for name, value in found.conflict.alone.items():
        loosened = replace(question.budgets, **{name: value * (1 + 1e-9)})
        assert not nearest(replace(question, budgets=loosened), EVERY).violated
        others = [k for k in range(4) if BUDGET_NAMES[k] != name]
        least = values[kept[:, others].all(axis=1), BUDGET_NAMES.index(name)].min()
        assert value == pytest.approx(least)


def test_few_known_recipes_lead_to_the_same_conflict():
    space, same, count = SURROGATE.space, 0, 0
    pool = space.sample(space.mask, 100, np.random.default_rng(0))
    for seed in range(60):
        question = asked(seed, 0.7)
        exact = nearest(question, EVERY)
        if not exact.violated:
            continue
        found = nearest(question, pool)
        count += 1
        same += found.conflict is not None and found.conflict.sets == exact.conflict.sets
    assert count > 15
    assert same / count >= 0.95


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1.0, 0.7]))
def test_referees_keep_all_limits_wherever_a_recipe_does(seed, tighter):
    question = asked(seed, tighter)
    values, limits = quantities(question)
    prepared = question.prepared()
    start = prepared.answer(prepared.start()[0], "dqn")
    found, _ = refereed(question, start, 0, may_replace=True)
    assert bool(found.violated) == (not (values <= limits).all(axis=1).any())
    if found.violated and found.conflict.proven:
        assert found.gap_bound is None


def test_answer_within_the_limits_is_left_as_it_is():
    found = Greedy(SURROGATE).select(Goals(), Budgets(max_accuracy_drop=2.0), TARGETS[0])
    question = Question(
        surrogate=SURROGATE, target=TARGETS[0], budgets=Budgets(max_accuracy_drop=2.0)
    )
    assert resolved(question.prepared(), found, EVERY[:1]) is found


def test_answer_that_overlooked_the_limits_is_mended():
    question = Question(
        surrogate=SURROGATE, target=TARGETS[0], budgets=Budgets(max_size_bytes=20_000.0)
    )
    prepared = question.prepared()
    overlooked = prepared.answer(prepared.start()[0], "dqn")
    found = resolved(prepared, overlooked, EVERY[:1])
    assert overlooked.violated
    assert not found.violated


def test_referees_prove_a_conflict():
    budgets = Budgets(max_accuracy_drop=0.05, max_latency_ms=1000.0, max_size_bytes=3000.0)
    question = Question(surrogate=SURROGATE, target=TARGETS[0], budgets=budgets)
    prepared = question.prepared()
    found, _ = refereed(
        question, prepared.answer(prepared.start()[0], "dqn"), 0, may_replace=True
    )
    assert found.conflict.proven
    assert all("max_latency_ms" not in names for names in found.conflict.sets)


def nearly_kept(band):
    """Limits that the best recipe misses by a little in accuracy, under predictions with that band."""
    surrogate = Surrogate(toy_tables(), replace(SURROGATE.model, band=band))
    totals = surrogate.costs((TARGETS[0],)).totals(EVERY)
    values = reward.quantities(surrogate, totals)
    size = float(np.quantile(values[:, 3], 0.2))
    least = float(values[values[:, 3] <= size, 0].min())
    budgets = Budgets(max_accuracy_drop=0.8 * least, max_size_bytes=size)
    question = Question(surrogate=surrogate, target=TARGETS[0], budgets=budgets)
    prepared = question.prepared()
    start = prepared.answer(prepared.start()[0], "dqn")
    return refereed(question, start, 0, may_replace=True)[0]


def test_rough_predictions_of_accuracy_prove_nothing():
    sure, unsure = nearly_kept(0.01), nearly_kept(1.2)
    assert sure.conflict.sets == unsure.conflict.sets
    assert not sure.conflict.unsure
    assert (unsure.conflict.unsure, unsure.conflict.proven) == (True, False)
    assert is_hopeless(sure)
    assert not is_hopeless(unsure)
    assert is_infeasible(unsure)
    assert sentences(unsure.conflict)[:2] == [
        "By the predictions no recipe meets the limits on accuracy and file size together.",
        "Predictions of accuracy are so rough here that a build may keep them all the same.",
    ]


def test_conflict_reads_as_sentences():
    pair = Conflict(
        sets=(("max_accuracy_drop", "max_size_bytes"),),
        alone={"max_accuracy_drop": 1.2341, "max_size_bytes": 12_345.0},
    )
    assert sentences(pair) == [
        "By the predictions no recipe meets the limits on accuracy and file size together, as far as the search found.",
        "With all other limits kept it would take 1.24 points lost, or a file of 12,400 bytes.",
    ]
    single = Conflict(sets=(("max_latency_ms",), ("max_energy_mj",)), proven=True)
    assert sentences(single) == [
        "By the predictions no recipe meets the limit on latency.",
        "By the predictions no recipe meets the limit on energy.",
        "To loosen a single limit is not enough.",
    ]
