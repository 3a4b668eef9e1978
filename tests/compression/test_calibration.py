import numpy as np
import pytest

from compression.calibration import RESIDUAL_SD, Belief, fitted
from compression.cost import FEATURES

RNG = np.random.default_rng(0)
PRIOR = Belief(np.full(len(FEATURES), -2.0), 0.05 * np.eye(len(FEATURES)) + 0.3)
"""Devices differ mostly as a whole, less in what they are good at."""


def networks(count):
    return RNG.uniform(0.1, 10.0, (count, len(FEATURES)))


def times_of(features, coefficients):
    return np.log(features @ np.exp(coefficients))


def test_nothing_measured_changes_nothing():
    features = networks(3)
    after = fitted(PRIOR, features, np.zeros(3), np.zeros(3))
    assert after.mean == pytest.approx(PRIOR.mean)
    assert after.covariance == pytest.approx(PRIOR.covariance)


def test_one_network_moves_the_whole_profile_most_of_the_way():
    truth = PRIOR.mean + np.log(3.0)
    features, other = networks(1), networks(20)
    after = fitted(PRIOR, features, times_of(features, truth), np.ones(1))
    before_error = np.abs(PRIOR.log_ms(other) - times_of(other, truth)).mean()
    after_error = np.abs(after.log_ms(other) - times_of(other, truth)).mean()
    assert after_error < before_error / 3


def test_many_networks_overrule_the_prior():
    truth = PRIOR.mean + RNG.normal(0, 0.4, len(FEATURES))
    features = networks(200)
    after = fitted(PRIOR, features, times_of(features, truth), np.ones(200))
    assert after.mean == pytest.approx(truth, abs=0.3)


def test_one_absurd_time_among_many_counts_little():
    features = networks(20)
    log_ms = times_of(features, PRIOR.mean)
    log_ms[0] += np.log(100.0)
    after = fitted(PRIOR, features, log_ms, np.ones(20))
    assert np.abs(after.log_ms(features) - log_ms)[1:].max() < 0.15


def test_bands_shrink_with_what_is_measured_but_not_below_one_network():
    features = networks(10)
    after = fitted(PRIOR, features, times_of(features, PRIOR.mean), np.ones(10))
    assert (after.log_sd(features) < PRIOR.log_sd(features)).all()
    assert (after.log_sd(features) > RESIDUAL_SD).all()


def test_many_devices_are_fitted_at_once():
    features = networks(5)
    log_ms = np.stack([times_of(features, PRIOR.mean), times_of(features, PRIOR.mean + 1)])
    together = fitted(
        Belief(np.stack([PRIOR.mean] * 2), PRIOR.covariance), features, log_ms, np.ones((2, 5))
    )
    alone = fitted(PRIOR, features, log_ms[1], np.ones(5))
    assert together.mean[1] == pytest.approx(alone.mean)
