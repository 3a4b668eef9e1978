from __future__ import annotations

import numpy as np
import pytest
import torch

from compression.cost import load_device
from selector.accuracy import AccuracyModel
from selector.dqn import Training, train
from selector.observation import Observer
from selector.policy_network import PolicyWeights
from selector.q_network import QNetwork
from selector.reward import Preferences, potential, quantities
from selector.surrogate import Surrogate
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import toy_tables

TARGET = load_device("rpi4")
BRIEF = Training(
    rounds=4,
    episodes_per_round=16,
    updates_per_round=2,
    batch_size=40,
    width=16,
    pool_size=8,
    pool_rounds=1,
)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def surrogate():
    model = AccuracyModel(cap=74.0, coefficients=(0.4, 0.7, 0.35, 0.15))
    return Surrogate(toy_tables(), model)


def greedy(surrogate, weights, wants: Preferences):
    observer = Observer(surrogate, [TARGET], weights.anchors)
    configs = surrogate.space.untouched(len(wants))
    for step, decision in enumerate(observer.order):
        seen = observer.observe(configs, step, wants)
        values = np.where(seen.legal, seen.gain + weights.values(seen.vector), -1e9)
        configs[:, decision] = values.argmax(axis=1)
    return configs


def test_agent_learns_what_the_gains_alone_do_not_tell(surrogate):
    costs = surrogate.costs((TARGET,))
    every = np.concatenate(list(surrogate.space.enumerate(surrogate.space.mask)))
    wants = draw_wishes(surrogate, [TARGET], 60, np.random.default_rng(9))
    values = quantities(surrogate, costs.totals(every))
    optimum = potential(np.repeat(values[None], 60, axis=0), wants).max(axis=1)

    def missing(rounds: int) -> float:
        settings = Training(
            rounds=rounds,
            episodes_per_round=64,
            batch_size=320,
            width=96,
            n_anchors=1,
            pool_size=2,
        )
        weights = train(surrogate, [TARGET], settings)
        totals = costs.totals(greedy(surrogate, weights, wants))
        return float((optimum - potential(quantities(surrogate, totals), wants)).mean())

    untrained, trained = missing(0), missing(60)
    assert trained < 0.6 * untrained


def test_same_seed_gives_the_same_agent(surrogate):
    one, two = (train(surrogate, [TARGET], BRIEF) for _ in range(2))
    assert np.array_equal(one.pool, two.pool)
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)


def test_training_reports_and_stops_when_told(surrogate):
    seen = []

    def report(done, total, figures):
        seen.append((done, total, set(figures)))
        return False

    settings = Training(
        rounds=30, report_every=2, episodes_per_round=8, batch_size=20, width=8, pool_size=4
    )
    weights = train(surrogate, [TARGET], settings, report)
    assert seen == [(2, 30, {"episode", "reward", "average", "loss", "gap"})]
    assert weights.facts["rounds"] == 2


def test_numpy_and_torch_give_the_same_values():
    net = QNetwork(11, 5, 16)
    for parameter in net.parameters():
        torch.nn.init.normal_(
            parameter, generator=torch.Generator().manual_seed(parameter.numel())
        )
    arrays = {k.removeprefix("trunk."): v.numpy() for k, v in net.state_dict().items()}
    weights = PolicyWeights(
        arrays=arrays, targets=(), anchors=np.zeros((1, 3), int), pool=np.zeros((1, 3), int)
    )
    vectors = np.random.default_rng(0).normal(size=(40, 11)).astype(np.float32)
    expected = net(torch.from_numpy(vectors)).detach().numpy()
    assert weights.values(vectors) == pytest.approx(expected, abs=1e-4)


def test_untrained_agent_follows_the_exact_gains():
    assert not QNetwork(7, 3, 8)(torch.randn(4, 7)).any()


def test_warm_start_goes_on_from_the_given_agent(surrogate):
    first = train(surrogate, [TARGET], BRIEF)
    again = train(
        surrogate,
        [TARGET],
        Training(rounds=0, width=16, pool_size=8, pool_rounds=1),
        start=first,
    )
    assert all(np.array_equal(first.arrays[name], again.arrays[name]) for name in first.arrays)
    assert np.array_equal(first.anchors, again.anchors)


def test_pool_holds_legal_distinct_recipes(surrogate):
    pool = train(surrogate, [TARGET], BRIEF).pool
    assert surrogate.space.is_legal(pool, surrogate.space.mask).all()
    assert len(np.unique(pool, axis=0)) == len(pool) <= 8
    assert not pool[0].any()
