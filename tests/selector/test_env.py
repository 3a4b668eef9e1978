from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compression.cost import load_device
from selector.env import CompressionEnv
from selector.features import N_CHOICE
from selector.job import TRAINING_TARGETS
from selector.observation import N_EFFECTS, N_STATE, Observer
from selector.reward import potential, quantities
from selector.surrogate import Surrogate
from selector.wishes import draw_wishes
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = [load_device(name) for name in TRAINING_TARGETS]
MADE = [lenet_tables, residual_tables, toy_tables]
ENVS = {make: CompressionEnv(Observer(Surrogate(make()), TARGETS)) for make in MADE}


@pytest.fixture(params=MADE)
def env(request):
    return ENVS[request.param]


def asked(env, count, seed=0):
    return draw_wishes(env.observer.surrogate, TARGETS, count, np.random.default_rng(seed))


def some_recipes(env, count, seed=3):
    space = env.observer.space
    return space.sample(space.mask, count, np.random.default_rng(seed))


def walk(env, wants, starts, rng, decisions=None):
    seen, rewards = env.reset(wants, starts, decisions), []
    while seen is not None:
        actions = np.where(seen.legal, rng.random(seen.legal.shape), -1.0).argmax(axis=1)
        seen, reward, _ = env.step(actions)
        rewards.append(reward)
    return np.array(rewards)


def test_rewards_add_up_to_the_gain_in_potential(env):
    observer, wants = env.observer, asked(env, 30)
    start = env.reset(wants, some_recipes(env, 30)).value
    rewards = walk(env, wants, some_recipes(env, 30), np.random.default_rng(1))
    totals = observer.costs.totals(env.configs, wants.target)
    final = potential(quantities(observer.surrogate, totals), wants)
    assert rewards.sum(axis=0) == pytest.approx(final - start)


def test_running_totals_are_those_of_the_recipe_so_far(env):
    wants, rng = asked(env, 20), np.random.default_rng(1)
    seen = env.reset(wants, some_recipes(env, 20))
    while seen is not None:
        fresh = env.observer.costs.totals(env.configs, wants.target)
        assert env.totals == pytest.approx(fresh, rel=1e-9, abs=1e-9)
        actions = np.where(seen.legal, rng.random(seen.legal.shape), -1.0).argmax(axis=1)
        seen, _, _ = env.step(actions)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(MADE), st.integers(0, 2**31), st.data())
def test_masks_are_never_broken(make, seed, data):
    """Whatever may not be chosen never is, from any start that the mask allows, over any decisions."""
    rng = np.random.default_rng(seed)
    whole = ENVS[make]
    space = whole.observer.space
    mask = space.mask & (rng.random(space.mask.shape) < data.draw(st.floats(0.2, 1.0)))
    mask[:, 0] = True
    env = CompressionEnv(whole.observer.masked(mask))
    picked = np.sort(rng.choice(space.n_decisions, rng.integers(1, space.n_decisions), False))
    wants = asked(env, 8, seed)
    starts = space.sample(mask, 8, rng)
    walk(env, wants, starts, rng, env.observer.order[picked])
    assert space.is_legal(env.configs, mask).all()
    ends = space.sample(space.mask, 8, rng)
    env.trace(starts, ends, wants)
    assert space.is_legal(env.configs, mask).all()


def test_random_walks_end_everywhere_they_can(env):
    starts = env.observer.space.untouched(200)
    walk(env, asked(env, 200), starts, np.random.default_rng(1))
    assert env.observer.space.removals.gone(env.configs).any()


def test_replay_sees_what_was_seen(env):
    wants, starts, once = asked(env, 20), some_recipes(env, 20), env.observer.order[:-1]
    rewards = walk(env, wants, starts, np.random.default_rng(1), once)
    ended = env.configs.copy()
    trace = env.trace(starts, ended, wants, once)
    assert np.diff(trace.values, axis=0) == pytest.approx(rewards)
    assert np.array_equal(env.configs, ended)
    rows = np.arange(20)
    assert all(trace.legal[t][rows, a].all() for t, a in enumerate(trace.chosen))


def test_replay_goes_straight_to_a_precision_that_was_changed_at_last(env):
    wants, starts = asked(env, 20), some_recipes(env, 20)
    walk(env, wants, starts, np.random.default_rng(1))
    ended = env.configs.copy()
    trace = env.trace(starts, ended, wants)
    assert np.array_equal(env.configs, ended)
    assert np.array_equal(trace.chosen[[0, -1]], [ended[:, -1]] * 2)


def test_walks_replayed_together_are_those_replayed_apart(env):
    wants, starts, ends = asked(env, 20), some_recipes(env, 20), some_recipes(env, 20, seed=4)
    part = slice(5, 12)
    together = env.trace(starts, ends, wants).of(part)
    apart = env.trace(starts[part], ends[part], wants.take(part))
    for one, other in zip(together, apart, strict=True):
        assert one == pytest.approx(other, rel=1e-6, abs=1e-6)


def test_only_named_decisions_are_taken_anew(env):
    wants, starts = asked(env, 20), env.observer.space.untouched(20)
    decisions = env.observer.order[[1, 2]]
    walk(env, wants, starts, np.random.default_rng(1), decisions)
    others = np.setdiff1d(np.arange(starts.shape[1]), decisions)
    assert not env.configs[:, others].any()


def test_precision_is_decided_anew_when_all_else_is(env):
    """Led by first guesses alone, a walk ends with the precision that is best for what it chose."""
    observer, wants = env.observer, asked(env, 30)
    seen = env.reset(wants, observer.space.untouched(30))
    while seen is not None:
        reached = seen.value
        seen, gained, _ = env.step(np.where(seen.legal, seen.outlook, -1e9).argmax(axis=1))
    assert (gained >= -1e-9).all()
    assert (gained > 1e-9).any()
    for precision in range(observer.space.counts[-1]):
        other = env.configs.copy()
        other[:, -1] = precision
        legal = observer.space.is_legal(other, observer.mask)
        worth = observer.potential(observer.costs.totals(other, wants.target), wants)
        assert (worth <= reached + gained + 1e-9)[legal].all()


def test_gain_is_what_the_recipe_reaches_if_the_rest_stays(env):
    observer, wants = env.observer, asked(env, 20)
    starts = some_recipes(env, 20)
    seen = env.reset(wants, starts, observer.order[-1:])
    last = seen.legal.shape[1] - 1 - seen.legal[:, ::-1].argmax(axis=1)
    changed = starts.copy()
    changed[:, observer.order[-1]] = last
    totals = observer.costs.totals(observer.space.canonical(changed), wants.target)
    final = potential(quantities(observer.surrogate, totals), wants)
    assert seen.gain[np.arange(20), last] == pytest.approx(final - seen.value)


def test_every_network_is_described_by_as_many_numbers(env):
    seen = env.reset(asked(env, 3), env.observer.space.untouched(3))
    while seen is not None:
        assert seen.state.shape == (3, sum(N_STATE))
        assert seen.actions.shape == (*seen.legal.shape, N_EFFECTS + N_CHOICE)
        seen, _, _ = env.step(seen.legal.argmax(axis=1))


def test_neighbours_choices_are_seen():
    """The layer behind a narrowed one reads fewer channels, and its state says so."""
    env = ENVS[lenet_tables]
    space = env.observer.space
    names = [(x.layer, x.narrows) for x in space.decisions]
    narrow, behind = names.index(("conv1", True)), names.index(("conv2", False))
    wants, starts = asked(env, 1), space.untouched(2)
    starts[1, narrow] = 1
    states = env.reset(wants.repeated(2), starts, np.array([behind])).state
    reads = sum(N_STATE[:-1]) + 3
    assert states[0, reads] == 0
    assert states[1, reads] == pytest.approx(space.widths[narrow, 1] / 4)
    assert states[1, reads] > 0


def test_illegal_action_is_refused(env):
    with pytest.raises(ValueError, match="reset the environment"):
        CompressionEnv(env.observer).step(np.array([0]))
    env.reset(asked(env, 1), env.observer.space.untouched())
    masked = CompressionEnv(env.observer.masked(np.eye(*env.observer.mask.shape, dtype=bool)))
    masked.reset(asked(env, 1), env.observer.space.untouched(), np.array([2]))
    with pytest.raises(ValueError, match="not legal"):
        masked.step(np.array([0]))
