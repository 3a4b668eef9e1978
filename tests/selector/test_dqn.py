from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from compression.cost import load_device
from selector.accuracy import AccuracyModel
from selector.dqn import Trainer, Training, train
from selector.env import CompressionEnv
from selector.learner import Learner
from selector.observation import Observer
from selector.policy import Policy
from selector.policy_network import PolicyWeights
from selector.pretrained import pretrained
from selector.q_network import QNetwork
from selector.reward import Preferences, potential, quantities
from selector.surrogate import Surrogate
from selector.types import Budgets, Goals
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import (
    lenet_tables,
    residual_tables,
    toy_residual_tables,
    toy_tables,
)

TARGET = load_device("rpi4")
MODEL = AccuracyModel(cap=74.0, coefficients=(0.4, 0.7, 0.35, 0.15))
BRIEF = Training(
    rounds=4,
    episodes_per_round=16,
    updates_per_round=2,
    batch_size=40,
    pool_size=8,
    pool_rounds=2,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def surrogate():
    return Surrogate(toy_tables(), MODEL)


def walked(surrogate, weights, wants: Preferences, starts):
    """Where the agent alone leads from there, without any known recipe and without a polish."""
    env = CompressionEnv(Observer(surrogate, [TARGET]))
    seen = env.reset(wants, starts)
    while seen is not None:
        values = np.where(seen.legal, weights.values(seen), -1e9)
        seen, _, _ = env.step(values.argmax(axis=1))
    return env.configs


def missing(surrogate, weights, wants):
    """How far the agent stays behind the best of all recipes, in the potential, in one walk from the untouched network,
    and with the better of that and of another walk from where it led.
    """
    costs = surrogate.costs((TARGET,))
    every = np.concatenate(list(surrogate.space.enumerate(surrogate.space.mask)))
    values = quantities(surrogate, costs.totals(every))
    optimum = potential(np.repeat(values[None], len(wants), axis=0), wants).max(axis=1)
    once = walked(surrogate, weights, wants, surrogate.space.untouched(len(wants)))
    again = walked(surrogate, weights, wants, once)
    first, second = (
        optimum - potential(quantities(surrogate, costs.totals(found)), wants)
        for found in (once, again)
    )
    return float(first.mean()), float(np.minimum(first, second).mean())


LEARNING = {"batch_size": 320, "updates_per_round": 8, "pool_size": 20, "pool_rounds": 2}


@pytest.mark.timeout(900)  # half a minute of work, many times that where the machine is shared
@pytest.mark.parametrize("tables", [toy_tables, toy_residual_tables])
@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))]
)
def test_agent_alone_solves_a_toy_whose_best_recipes_are_known(tables, seed):
    surrogate = Surrogate(tables(), MODEL)
    wants = draw_wishes(surrogate, [TARGET], 60, np.random.default_rng(9))
    settings = Training(seed=seed, rounds=60, pool_size=20, pool_rounds=2)
    untrained, trained = (
        missing(surrogate, train(surrogate, [TARGET], each), wants)
        for each in (replace(settings, rounds=0), settings)
    )
    assert trained[0] <= 0.06
    assert trained[1] <= 0.035
    assert all(after < before for after, before in zip(trained, untrained, strict=True))


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(s, marks=pytest.mark.slow) for s in (1, 2))]
)
def test_training_brings_the_agent_of_a_deep_network_closer_to_the_best_known(seed):
    surrogate = Surrogate(residual_tables(5, blocks=7))
    assert surrogate.space.n_decisions > 40
    settings = Training(seed=seed, rounds=6, pool_rounds=2)
    trainer = Trainer(surrogate, [TARGET], settings, Learner(seed, pretrained()))
    trainer.run()
    assert trainer.progress.best_round
    assert trainer.gap() < 0.9 * trainer.progress.first_gap


def test_agent_of_other_networks_helps_on_one_it_never_saw():
    settings = Training(rounds=20, **LEARNING)
    learner = Learner(0)
    others = [lenet_tables(1), lenet_tables(2, (8, 24, 80, 40)), residual_tables(3, blocks=1)]
    trainers = [Trainer(Surrogate(x), [TARGET], settings, learner) for x in others]
    for done in range(1, 21):
        for trainer in trainers:
            trainer.round(done)
    for tables in (toy_tables(), lenet_tables(7)):
        fresh, carried = (
            Trainer(Surrogate(tables), [TARGET], settings, each).gap()
            for each in (Learner(0), learner)
        )
        assert carried < 0.75 * fresh


def test_same_seed_gives_the_same_agent(surrogate):
    one, two = (train(surrogate, [TARGET], BRIEF) for _ in range(2))
    assert np.array_equal(one.pool, two.pool)
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)


def test_every_round_is_reported_and_the_gap_of_some():
    settings = replace(BRIEF, rounds=4, judged_every=3, pool_rounds=4)
    seen = []

    def report(done, total, figures):
        seen.append((done, total, set(figures)))
        return True

    train(Surrogate(toy_tables()), [TARGET], settings, report)
    training = {"episode", "reward", "average", "loss", "epsilon"}
    judged, pool = training | {"gap"}, set()
    figures = [pool, pool, {"episode", "gap"}, training, training, judged, judged, pool, pool]
    done = [1, 2, 2, 3, 4, 5, 6, 7, 8]
    assert seen == [(at, 8, each) for at, each in zip(done, figures, strict=True)]


@pytest.mark.parametrize(("calls", "rounds"), [(1, 0), (2, 0), (4, 2)])
def test_work_stops_when_told(surrogate, calls, rounds):
    told = []

    def report(*point):
        told.append(point)
        return len(told) < calls

    weights = train(surrogate, [TARGET], replace(BRIEF, rounds=30), report)
    assert len(told) == max(2, calls)  # the gap before training is always told
    assert weights.facts["rounds"] == rounds


def test_training_never_leaves_an_agent_worse_than_it_came(surrogate):
    start = train(surrogate, [TARGET], Training(rounds=30, **LEARNING)).arrays
    reckless = Training(rounds=4, judged_every=2, learning_rate=1.0, **LEARNING)
    trainer = Trainer(surrogate, [TARGET], reckless, Learner(0, start))
    before = trainer.gap()
    trainer.run()
    assert trainer.gap() <= before


def test_the_agent_of_the_best_round_is_left(surrogate):
    settings = Training(rounds=6, judged_every=1, learning_rate=0.03, **LEARNING)
    gaps = []

    def report(_done, _total, figures):
        gaps.extend([figures["gap"]] if "gap" in figures else [])
        return True

    trainer = Trainer(surrogate, [TARGET], settings, Learner(0), report=report)
    trainer.run()
    assert trainer.gap() == trainer.progress.gap == min(gaps)
    assert trainer.progress.best_round == gaps.index(min(gaps))


def interrupted_after(count):
    """A report that stops the process, as a lost worker would, when it was told of that many rounds of training."""
    seen = []

    def report(done, _total, figures):
        if not figures:
            return True
        seen.append((done, figures))
        if len(seen) == 1 + count:
            raise KeyboardInterrupt
        return True

    return report, seen


@pytest.mark.parametrize("count", [1, 2])
def test_interrupted_training_ends_as_if_it_never_had_been(surrogate, tmp_path, count):
    settings = replace(BRIEF, judged_every=1)
    start = train(surrogate, [TARGET], BRIEF).arrays

    def trainer(report, path=None):
        return Trainer(surrogate, [TARGET], settings, Learner(0, start), path, report)

    never, told = interrupted_after(99)
    whole = trainer(never)
    whole.run()
    path = tmp_path / "training.safetensors"
    stops, before = interrupted_after(count)
    with pytest.raises(KeyboardInterrupt):
        trainer(stops, path).run()
    never, again = interrupted_after(99)
    resumed = trainer(never, path)
    assert resumed.progress.rounds == count
    resumed.run()
    assert again == told
    assert again[: 1 + count] == before
    one, other = whole.weights(), resumed.weights()
    assert np.array_equal(one.pool, other.pool)
    assert all(np.array_equal(one.arrays[name], other.arrays[name]) for name in one.arrays)


def test_training_leaves_the_state_of_another_alone(surrogate, tmp_path):
    path = tmp_path / "training.safetensors"
    Trainer(surrogate, [TARGET], BRIEF, Learner(0), path).run()
    other = Trainer(surrogate, [TARGET], replace(BRIEF, seed=1), Learner(1), path)
    assert other.progress.rounds == 0


def test_what_is_known_so_far_answers_already(surrogate):
    trainer = Trainer(surrogate, [TARGET], BRIEF, Learner(0))
    policy = Policy.of(surrogate, trainer.so_far())
    assert not policy.select(Goals(), Budgets(), TARGET).violated


def test_numpy_and_torch_give_the_same_values(surrogate):
    net = QNetwork()
    for parameter in net.parameters():
        torch.nn.init.normal_(
            parameter, std=0.3, generator=torch.Generator().manual_seed(parameter.numel())
        )
    arrays = {name: value.numpy() for name, value in net.state_dict().items()}
    weights = PolicyWeights(arrays=arrays, targets=(), pool=np.zeros((1, 3), int))
    wants = draw_wishes(surrogate, [TARGET], 40, np.random.default_rng(0))
    env = CompressionEnv(Observer(surrogate, [TARGET]))
    seen = env.reset(wants, surrogate.space.untouched(40))
    inputs = (torch.from_numpy(each) for each in (seen.state, seen.actions, seen.legal))
    correction = net(*inputs).detach().numpy()
    assert weights.values(seen) == pytest.approx(seen.outlook + correction, abs=1e-4)


def test_untrained_agent_corrects_nothing(surrogate):
    weights = train(surrogate, [TARGET], Training(rounds=0, pool_size=4, pool_rounds=2))
    env = CompressionEnv(Observer(surrogate, [TARGET]))
    wants = draw_wishes(surrogate, [TARGET], 4, np.random.default_rng(0))
    seen = env.reset(wants, surrogate.space.untouched(4))
    assert np.array_equal(weights.values(seen), seen.outlook)


def test_warm_start_goes_on_from_the_given_agent(surrogate):
    first = train(surrogate, [TARGET], BRIEF)
    none = Training(rounds=0, pool_size=8, pool_rounds=2)
    again = train(surrogate, [TARGET], none, start=first.arrays)
    assert all(np.array_equal(first.arrays[name], again.arrays[name]) for name in first.arrays)


def test_pool_holds_legal_distinct_recipes(surrogate):
    pool = train(surrogate, [TARGET], BRIEF).pool
    assert surrogate.space.is_legal(pool, surrogate.space.mask).all()
    assert len(np.unique(pool, axis=0)) == len(pool) <= 8
    assert not pool[0].any()
