from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector.anchors import choose_anchors
from selector.env import CompressionEnv
from selector.job import TRAINING_TARGETS
from selector.observation import Observer
from selector.reward import potential, quantities
from selector.surrogate import Surrogate
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = [load_device(name) for name in TRAINING_TARGETS]


@pytest.fixture(params=[lenet_tables, residual_tables, toy_tables])
def env(request):
    surrogate = Surrogate(request.param())
    anchors = choose_anchors(surrogate, TARGETS, 4)
    return CompressionEnv(Observer(surrogate, TARGETS, anchors))


def walk(env, wants, rng):
    seen, rewards, masks = env.reset(wants), [], []
    while seen is not None:
        actions = np.where(seen.legal, rng.random(seen.legal.shape), -1.0).argmax(axis=1)
        masks.append(seen.legal)
        seen, reward, _ = env.step(actions)
        rewards.append(reward)
    return np.array(rewards)


def test_rewards_add_up_to_the_gain_in_potential(env):
    observer = env.observer
    wants = draw_wishes(observer.surrogate, TARGETS, 30, np.random.default_rng(0))
    start = env.reset(wants).value
    rewards = walk(env, wants, np.random.default_rng(1))
    totals = observer.costs.totals(env.configs, wants.target)
    final = potential(quantities(observer.surrogate, totals), wants)
    assert rewards.sum(axis=0) == pytest.approx(final - start)


def test_random_walks_stay_legal_and_end_everywhere_they_can(env):
    space = env.observer.space
    wants = draw_wishes(env.observer.surrogate, TARGETS, 200, np.random.default_rng(0))
    walk(env, wants, np.random.default_rng(1))
    assert space.is_legal(env.configs, space.mask).all()
    assert space.removals.gone(env.configs).any()


def test_replay_sees_what_was_seen(env):
    wants = draw_wishes(env.observer.surrogate, TARGETS, 20, np.random.default_rng(0))
    rewards = walk(env, wants, np.random.default_rng(1))
    trace = env.trace(env.configs, wants)
    assert np.diff(trace.values, axis=0) == pytest.approx(rewards)
    rows = np.arange(20)
    assert all(trace.legal[t][rows, a].all() for t, a in enumerate(trace.actions))


def test_gain_is_what_the_recipe_reaches_if_the_rest_stays_as_expected(env):
    observer = env.observer
    wants = draw_wishes(observer.surrogate, TARGETS, 20, np.random.default_rng(0))
    last = len(observer.order) - 1
    configs = observer.space.sample(observer.mask, 20, np.random.default_rng(3))
    configs[:, observer.order[last]] = 0
    seen = observer.observe(configs, last, wants)
    configs[:, observer.order[last]] = (
        seen.legal.shape[1] - 1 - seen.legal[:, ::-1].argmax(axis=1)
    )
    totals = observer.costs.totals(configs, wants.target)
    final = potential(quantities(observer.surrogate, totals), wants)
    chosen = seen.gain[np.arange(20), configs[:, observer.order[last]]]
    assert chosen == pytest.approx(final - seen.value)


def test_illegal_action_is_refused(env):
    wants = draw_wishes(env.observer.surrogate, TARGETS, 1, np.random.default_rng(0))
    with pytest.raises(ValueError, match="reset the environment"):
        env.step(np.array([0]))
    env.reset(wants)
    seen, _, _ = env.step(np.array([0]))  # the precision, of which all may be legal
    with pytest.raises(ValueError, match="not legal"):
        env.step(np.array([int(np.flatnonzero(~seen.legal[0])[0])]))
