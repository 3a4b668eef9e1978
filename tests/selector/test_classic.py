from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from compression import technique
from compression.cost import load_device
from compression.types import LayerKind
from selector.choosing import is_infeasible
from selector.classic import Classic, Search, published_facts
from selector.classic_actions import THE_TEN, paper_layers
from selector.classic_settings import Answer, ClassicSettings, View
from selector.errors import BadRequestError
from selector.locks import locked_mask
from selector.referees import refereed
from selector.selection import Question
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals, Lock
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGET = load_device("redmi-3s")
SHORT = {"episodes": 300, "tuning_episodes": 200}
BALANCED = Goals()
FAST = Goals(accuracy=0.1, latency=0.6, energy=0.2, storage=0.1)
CAREFUL = Goals(accuracy=0.5, latency=0.1, energy=0.3, storage=0.1)


@pytest.fixture(scope="module")
def lenet():
    return Surrogate(lenet_tables())


@pytest.fixture(scope="module")
def residual():
    return Surrogate(residual_tables())


def search(surrogate, goals=BALANCED, budgets=None, locks=None, seed=0, **settings):
    question = Question(
        surrogate=surrogate,
        target=TARGET,
        goals=goals,
        budgets=budgets or Budgets(),
        locks=locks or {},
    ).prepared()
    return Search(question, ClassicSettings(**{**SHORT, **settings}), seed, keep_on)


def keep_on(_done, _total, _figures):
    return True


def every_recipe(found, *, levels):
    """All recipes that a search may come to, with default levels or with all of them."""
    ways = []
    for layer in found.layers:
        of_layer = [[]]
        for (choice,) in (option for option in layer.options.values() if option):
            places = choice.levels if levels else [choice.levels[choice.default]]
            of_layer += [[(choice.decision, place)] for place in places]
        ways.append(of_layer)
    start = found.judge.prepared.start()[0]
    configs = []
    for parts in itertools.product(*ways):
        config = start.copy()
        for decision, place in itertools.chain(*parts):
            config[decision] = place
        configs.append(config)
    space = found.judge.prepared.costs.space
    return np.unique(space.canonical(np.array(configs)), axis=0)


def rewards(found, configs):
    return found.judge.demand.reward(found.judge.figures.of(configs))


def missing(found, config, *, levels):
    """Share of what can be won that a recipe leaves, against trying every recipe."""
    every = every_recipe(found, levels=levels)
    kept = found.judge.prepared.utility(every) > -1000.0
    best = rewards(found, every[kept]).max()
    start = rewards(found, found.judge.prepared.start())[0]
    return float((best - rewards(found, config[None])[0]) / (best - start))


@pytest.mark.parametrize("goals", [BALANCED, FAST, CAREFUL])
def test_the_two_agents_alone_come_to_the_known_optimum(goals):
    found = search(Surrogate(toy_tables()), goals, answer=Answer.GREEDY, episodes=1000)
    assert missing(found, found.run_techniques(), levels=False) <= 0.05


def test_the_agents_learn_what_chance_does_not_find(residual):
    found = search(residual, FAST, answer=Answer.GREEDY, episodes=1000)
    rng = np.random.default_rng(0)
    by_chance = np.repeat(found.judge.prepared.start(), 500, axis=0)
    for layer in found.layers:
        for row in by_chance:
            for choice in list(layer.options.values())[rng.integers(0, len(layer.options))]:
                row[choice.decision] = choice.levels[choice.default]
    by_chance = residual.space.canonical(by_chance)
    learnt = rewards(found, found.run_techniques()[None])[0]
    assert learnt > np.quantile(rewards(found, by_chance), 0.98)


@pytest.mark.parametrize("goals", [BALANCED, FAST, CAREFUL])
def test_the_best_episode_is_the_optimum_of_a_small_network(lenet, goals):
    found = search(lenet, goals, episodes=1000)
    assert missing(found, found.run_techniques(), levels=False) == pytest.approx(0.0)


def test_undiscounted_reward_at_the_end_is_learnt_from_too():
    switches = {"gamma": 1.0, "reward_at_every_step": False, "answer": Answer.GREEDY}
    found = search(Surrogate(toy_tables()), episodes=1000, **switches)
    assert missing(found, found.run_techniques(), levels=False) <= 0.05


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("goals", [BALANCED, FAST, CAREFUL])
def test_tuning_levels_improves_on_the_first_phase_or_equals_it(lenet, goals, seed):
    found = search(lenet, goals, seed=seed)
    first = rewards(found, found.run_techniques()[None])[0]
    second = rewards(found, search(lenet, goals, seed=seed).run()[None])[0]
    assert second >= first


def test_tuning_finds_better_levels_where_defaults_are_not_the_best(lenet):
    found = search(lenet, CAREFUL)
    first = found.run_techniques()
    tuned = found.run_levels(first)
    assert rewards(found, tuned[None])[0] > rewards(found, first[None])[0]


def test_the_actor_itself_comes_near_the_best_levels(lenet):
    found = search(lenet, CAREFUL, answer=Answer.GREEDY, tuning_episodes=1000)
    first = found.run_techniques()
    every = every_recipe(found, levels=True)
    same = every[((every > 0) == (first > 0)).all(axis=1)]
    alike = [c for c in same if techniques_of(found, c) == techniques_of(found, first)]
    worth = rewards(found, np.array(alike))
    reached = rewards(found, found.run_levels(first)[None])[0]
    assert reached >= worth.max() - 0.1 * (worth.max() - worth.min())


def techniques_of(found, config):
    space = found.judge.prepared.costs.space
    return [(step.layer, step.technique) for step in space.decode(config)]


def test_another_pass_is_never_worse(lenet):
    once, twice = (search(lenet, CAREFUL, passes=passes, **SHORT_PASS) for passes in (1, 2))
    assert rewards(twice, twice.run()[None])[0] >= rewards(once, once.run()[None])[0]


SHORT_PASS = {"episodes": 100, "tuning_episodes": 50}


def random_locks(rng, surrogate):
    """Some layers kept, some with techniques excluded, some with one that fits."""
    space, locks = surrogate.space, {}
    for d, decision in enumerate(space.decisions[:-1]):
        kind = rng.integers(0, 5)
        offered = sorted(space.offered(d))
        if kind == 0:
            locks[decision.layer] = Lock(technique="keep")
        elif kind == 1:
            locks[decision.layer] = Lock(exclude=(str(rng.choice(offered)),))
        elif kind == 2 and decision.layer not in locks:
            locks[decision.layer] = Lock(technique=str(rng.choice(offered)))
    return locks


def legal_locks(rng, surrogate):
    """Locks that leave something to every layer, with their mask."""
    while True:
        locks = random_locks(rng, surrogate)
        try:
            return locks, locked_mask(surrogate.space, locks)
        except BadRequestError:
            continue


@pytest.mark.parametrize("seed", range(12))
def test_no_episode_breaks_a_mask(seed, lenet, residual, monkeypatch):
    rng = np.random.default_rng(seed)
    surrogate = (lenet, residual)[seed % 2]
    locks, mask = legal_locks(rng, surrogate)
    stacked = bool(rng.integers(0, 2))
    found = search(surrogate, locks=locks, seed=seed, stacked=stacked, passes=2, **SHORT_PASS)
    seen, figures_of = [], found.judge.figures.of

    def watched(configs):
        seen.append(configs.copy())
        return figures_of(configs)

    monkeypatch.setattr(found.judge.figures, "of", watched, raising=False)
    found.run()
    assert surrogate.space.is_legal(np.concatenate(seen), mask).all()


def test_only_the_ten_techniques_are_used_and_one_a_layer(residual):
    names = {each.technique for each in THE_TEN}
    for goals in (BALANCED, FAST, CAREFUL):
        recipe = (
            Classic(residual, 0, ClassicSettings(**SHORT))
            .select(goals, Budgets(), TARGET)
            .recipe
        )
        assert {step.technique for step in recipe} <= names
        assert len({step.layer for step in recipe}) == len(recipe)


def test_stacked_layers_may_take_two(lenet):
    space = lenet.space
    for stacked, most in ((False, 1), (True, 2)):
        layers = paper_layers(space, space.mask, LayerKind.DENSE, stacked=stacked)
        assert max(len(labels) for layer in layers for labels in layer.options) == most


@pytest.mark.parametrize("paper", THE_TEN, ids=lambda paper: paper.label)
def test_every_default_is_a_level_of_its_technique(paper):
    method = technique.get(paper.technique)
    levels = {parameter.name: parameter.levels for parameter in method.parameters}
    assert levels.keys() == {paper.parameter} - {""}
    assert paper.default in levels.get(paper.parameter, [""])


def test_default_levels_are_the_papers_or_the_nearest_offered(lenet):
    space = lenet.space
    layers = paper_layers(space, space.mask, LayerKind.CONV, stacked=False)
    choices = {
        c.label: c for layer in layers for option in layer.options.values() for c in option
    }
    level = {
        label: space.techniques(choice.decision, choice.levels[choice.default])
        for label, choice in choices.items()
    }
    assert level["C1"] == {"svd": {"rank_ratio": 0.125}}  # n/12 is not offered by these tables
    assert level["L1"] == {"fire": {"squeeze_ratio": 0.25}}


@pytest.mark.parametrize("view", list(View))
def test_more_weight_on_energy_never_costs_energy(lenet, view):
    energies = []
    for mu2 in (0.0, 0.3, 0.7, 1.0):
        found = search(
            lenet, view=view, mu1=1.0 - mu2, mu2=mu2, lambda1=0.0, lambda2=0.0, episodes=1000
        )
        energies.append(found.judge.figures.of(found.run()[None])[0, 1])
    assert energies == sorted(energies, reverse=True)
    assert energies[-1] < 0.8 * energies[0]


def test_accuracy_alone_leaves_the_network_as_it_is(lenet):
    found = search(lenet, mu1=1.0, mu2=0.0, lambda1=0.0, lambda2=0.0)
    assert not found.run().any()


def test_multipliers_rise_until_the_agents_keep_the_limit(lenet):
    base_ms = float(lenet.baseline(TARGET).latency_ms)
    asked = {"goals": Goals(accuracy=1, latency=0, energy=0, storage=0), "lambda1": 0.01}
    limit = Budgets(max_latency_ms=0.6 * base_ms)
    ms = {}
    for step in (0.0, 0.5):
        found = search(
            lenet, budgets=limit, dual_step=step, answer=Answer.GREEDY, episodes=1000, **asked
        )
        ms[step] = float(lenet.evaluate(found.run_techniques()[None], TARGET).latency_ms[0])
        assert (found.judge.demand.weights[2] > 0.01) == (step > 0)
    assert ms[0.0] > limit.max_latency_ms >= ms[0.5]


def test_a_limit_is_kept_where_the_reward_alone_would_buy_it_off(lenet):
    limit = Budgets(max_accuracy_drop=0.5)
    selector = Classic(lenet, 0, ClassicSettings(mu1=0.01, **SHORT))
    found = selector.select(FAST, limit, TARGET)
    assert found.violated == ()
    assert found.recipe
    assert found.answered_by == "classic"


def test_the_nearest_recipe_is_given_where_none_keeps_the_limits(lenet):
    impossible = Budgets(max_accuracy_drop=0.1, max_size_bytes=4000)
    found = Classic(lenet, 0, ClassicSettings(**SHORT)).select(BALANCED, impossible, TARGET)
    assert found.violated
    assert found.nearest.keys() == set(found.violated)


def test_locks_are_kept(lenet):
    locks = {
        "conv2": Lock(technique="keep"),
        "fc1": Lock(exclude=("svd", "global_average_pooling")),
        "fc2": Lock(technique="svd", params={"rank_ratio": 0.5}),
        "*": Lock(technique="int8", params={"mode": "weights"}),
    }
    steps = (
        Classic(lenet, 0, ClassicSettings(**SHORT))
        .select(FAST, Budgets(), TARGET, locks)
        .recipe
    )
    by_layer = {step.layer: (step.technique, dict(step.params)) for step in steps}
    assert "conv2" not in by_layer
    assert by_layer["fc2"] == ("svd", {"rank_ratio": 0.5})
    assert by_layer["*"] == ("int8", {"mode": "weights"})
    assert by_layer.get("fc1", ("magnitude_pruning", {}))[0] == "magnitude_pruning"


def test_a_network_without_a_choice_is_left_alone(lenet):
    locks = {layer: Lock(technique="keep") for layer in ("conv1", "conv2", "fc1", "fc2", "fc3")}
    found = Classic(lenet).select(BALANCED, Budgets(), TARGET, locks)
    assert found.recipe == ()


def test_a_seed_repeats_on_any_number_of_threads(lenet):
    answers = []
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        answers.append(
            Classic(lenet, 7, ClassicSettings(**SHORT)).select(CAREFUL, Budgets(), TARGET)
        )
        assert torch.get_num_threads() == threads
    torch.set_num_threads(before)
    assert answers[0] == answers[1]


def test_a_search_tells_how_it_goes_and_can_be_stopped(lenet):
    told = []

    def stop(done, total, figures):
        told.append((done, total, figures))
        return len(told) < 3

    found = Classic(lenet, 0, ClassicSettings(**SHORT), stop).select(FAST, Budgets(), TARGET)
    assert [(done, total) for done, total, _ in told] == [(10, 500), (20, 500), (30, 500)]
    assert {"phase", "reward", "loss", "epsilon", "best"} <= told[0][2].keys()
    assert found.recipe
    assert found.scored < 300


def test_both_phases_are_told_of_to_the_end(lenet):
    told = []
    selector = Classic(
        lenet, 0, ClassicSettings(**SHORT), lambda *point: told.append(point) or True
    )
    found = selector.select(CAREFUL, Budgets(), TARGET)
    assert told[-1][:2] == (500, 500)
    assert [figures["phase"] for *_, figures in told] == [1.0] * 30 + [2.0] * 20
    bests = [figures["best"] for *_, figures in told]
    assert bests == sorted(bests)
    assert found.scored > 500


def test_reports_keep_the_papers_counts_apart(lenet):
    question = Question(surrogate=lenet, target=TARGET, budgets=Budgets(max_size_bytes=50_000))
    settings = ClassicSettings(view=View.ANALYTIC, **SHORT)
    selection = Classic(lenet, 0, settings).select(question.goals, question.budgets, TARGET)
    facts = published_facts(question, settings, np.array(selection.config))
    assert facts["form"].startswith("AdaDeep as published")
    assert facts["demand"]["view"] == "analytic (paper)"
    assert facts["demand"]["units"] == {
        "E_max": "analytic mJ",
        "T_bgt": "MACs",
        "S_bgt": "bits",
    }
    counts = facts["analytic (paper)"]
    assert counts["latency_macs"]["baseline"] == pytest.approx(416_520)
    assert counts["energy_mj"]["result"] < counts["energy_mj"]["baseline"]


def test_limits_that_only_others_keep_are_missed_and_not_infeasible(lenet):
    for size_bytes, others_can in ((3_000, True), (500, False)):
        budgets = Budgets(max_size_bytes=size_bytes)
        question = Question(surrogate=lenet, target=TARGET, goals=BALANCED, budgets=budgets)
        selector = Classic(lenet, 0, ClassicSettings(**SHORT))
        own = selector.select(BALANCED, budgets, TARGET)
        found, _ = refereed(question, own, 0, may_replace=False)
        assert found.violated == ("max_size_bytes",)
        assert (found.config, found.answered_by) == (own.config, "classic")
        assert is_infeasible(found) == (not others_can)


def test_referees_say_how_far_the_published_form_stays_behind(lenet):
    question = Question(surrogate=lenet, target=TARGET, goals=CAREFUL)
    selector = Classic(lenet, 0, ClassicSettings(**SHORT))
    own = selector.select(CAREFUL, Budgets(), TARGET)
    found, _ = refereed(question, own, 0, may_replace=False)
    assert found.config == own.config
    assert found.scored == own.scored
    assert found.gap_to_best_found > 0.1
