import re
from dataclasses import replace

import numpy as np
import pytest

from compression.calibration import (
    RESIDUAL_SD,
    Belief,
    Measurement,
    absurd,
    calibrated,
    fitted,
    reconciled,
)
from compression.cost import FEATURES, band, latency_ms, load_device
from compression.errors import CompressionError
from compression.types import Precision

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


@pytest.mark.parametrize(("count", "wider"), [(1, False), (4, False), (5, True)])
def test_prior_gives_way_to_a_handful_of_networks_that_contradict_it(count, wider):
    features = networks(count)
    after = reconciled(PRIOR, features, times_of(features, PRIOR.mean) + 5.0)
    assert (after.covariance > PRIOR.covariance).all() == wider


def test_prior_that_nothing_contradicts_stays():
    features = networks(5)
    after = reconciled(PRIOR, features, times_of(features, PRIOR.mean))
    assert after.covariance == pytest.approx(PRIOR.covariance)


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


BOARD = load_device("rpi4")


def measured(name, factor=1.0, *, seed=0):
    """A network of plausible proportions, timed at a multiple of what the board's profile says."""
    rng = np.random.default_rng(seed)
    features = np.array([3e8, 1e8, 3e8, 2e7, 1e6, 1e6, 1e7, 4e6, 60]) * rng.uniform(0.3, 3, 9)
    time = float(latency_ms(features, BOARD, Precision.FP32)) * factor
    return Measurement(name, features, (time,))


def test_one_measured_network_calibrates_the_whole_board():
    slow = calibrated(BOARD, [measured("mine", 2.0)])
    other = measured("other", 2.0, seed=1)
    predicted = float(latency_ms(other.features, slow.profile, Precision.FP32))
    assert slow.profile.label == "calibrated"
    assert predicted == pytest.approx(other.milliseconds, rel=0.15)
    assert abs(slow.after[0]) < abs(slow.before[0]) / 5


def test_error_after_is_of_networks_that_were_left_out():
    runs = [measured(str(seed), 1.5, seed=seed) for seed in range(6)]
    found = calibrated(BOARD, runs)
    assert np.abs(found.before) == pytest.approx(np.log(1.5), abs=1e-9)
    assert np.abs(found.after).max() < 0.1


def test_whole_networks_count_more_than_pieces_that_contradict_them():
    networks = [measured(str(seed), 2.0, seed=seed) for seed in range(6)]
    pieces = [
        measured(f"piece {seed}", 1.0, seed=seed)._replace(is_piece=True)
        for seed in range(6, 18)
    ]
    hidden = measured("hidden", 2.0, seed=99)

    def off(rows):
        profile = calibrated(BOARD, rows).profile
        return abs(
            float(latency_ms(hidden.features, profile, Precision.FP32)) / hidden.milliseconds
            - 1
        )

    alike = [piece._replace(is_piece=False) for piece in pieces]
    assert off([*networks, *pieces]) < 0.1 < off([*networks, *alike])


def test_pieces_alone_count_as_networks_alone_do():
    runs = [measured(str(seed), 1.5, seed=seed) for seed in range(6)]
    pieces = [run._replace(is_piece=True) for run in runs]
    assert calibrated(BOARD, pieces).after == pytest.approx(calibrated(BOARD, runs).after)


def test_band_rests_on_hidden_networks_where_there_are_some():
    networks = [measured(str(seed), 1.5, seed=seed) for seed in range(6)]
    odd = [
        measured(f"piece {seed}", 0.5 + seed / 6, seed=seed)._replace(is_piece=True)
        for seed in range(6, 18)
    ]
    alone, both = calibrated(BOARD, odd).profile, calibrated(BOARD, [*networks, *odd]).profile
    assert both.latency_log_sd < alone.latency_log_sd


def test_calibrated_device_says_how_sure_it_is():
    few = calibrated(BOARD, [measured("mine")])
    many = calibrated(BOARD, [measured(str(seed), seed=seed) for seed in range(20)])
    assert 1.3 < band(many.profile).high < 1.4 < band(few.profile).high
    assert band(many.profile).label == "calibrated"


@pytest.mark.parametrize(
    ("milliseconds", "reason"),
    [
        (0.0, "0 ms is no time"),
        (-3.0, "-3 ms is no time"),
        (float("nan"), "nan ms is no time"),
        (1e9, r"times more than the .* Check the unit"),
        (1e-9, "times less than"),
    ],
)
def test_absurd_measurement_is_set_aside_with_the_reason(milliseconds, reason):
    good, bad = measured("good"), measured("bad", seed=1)._replace(runs_ms=(milliseconds,))
    found = calibrated(BOARD, [good, bad])
    assert [m.name for m in found.used] == ["good"]
    assert re.search(f"bad: .*{reason}", found.refused["bad"])


def test_nothing_usable_is_refused_with_all_reasons():
    with pytest.raises(CompressionError, match=r"No measurement of Raspberry Pi 4B.*a: -1 ms"):
        calibrated(BOARD, [measured("a")._replace(runs_ms=(5.0, -1.0))])


def test_runs_are_kept_and_their_median_counts():
    one = measured("mine")
    noisy = one._replace(runs_ms=tuple(one.runs_ms[0] * f for f in (0.9, 1.0, 1.1, 5.0, 1.0)))
    found = calibrated(BOARD, [noisy])
    assert found.used[0].runs_ms == noisy.runs_ms
    (row,) = found.rows()
    assert row.measured_ms == pytest.approx(one.runs_ms[0])
    assert row.p10_ms < row.measured_ms < row.p90_ms


def test_chart_shows_the_prediction_before_and_after():
    runs = [measured(str(seed), 1.5, seed=seed) for seed in range(4)]
    for row in calibrated(BOARD, runs).rows():
        assert row.before_ms == pytest.approx(row.measured_ms / 1.5)
        assert abs(row.after_ms / row.measured_ms - 1) < 0.1


def test_measurement_without_runs_is_set_aside():
    empty = measured("empty", seed=1)._replace(runs_ms=())
    assert "there are no runs" in calibrated(BOARD, [measured("mine"), empty]).refused["empty"]


def test_prior_that_is_far_off_does_not_hold_back_what_was_measured():
    """Another runtime: overheads ten times, all else a fifth of what the profile says."""
    factors = np.array([0.2] * 8 + [10.0])
    rng = np.random.default_rng(1)
    runs = [one_kind(kind, rng, factors) for kind in range(9) for _ in range(2)]
    found = calibrated(BOARD, runs)
    assert np.abs(found.before).max() > 1.5
    assert np.median(np.abs(found.after)) < 0.1


def one_kind(kind, rng, factors):
    """A piece that does mostly one kind of work, timed where each kind is so many times slower."""
    usual = np.array([5e7, 5e7, 5e7, 5e6, 5e7, 4e6, 1e6, 1e6, 200])
    features = usual * rng.uniform(0.001, 0.01, 9)
    features[kind] = usual[kind] * rng.uniform(0.5, 2)
    time = float(latency_ms(features * factors, BOARD, Precision.FP32))
    return Measurement(f"{kind} {time}", features, (time,))


def test_fit_covers_the_sizes_that_were_measured():
    small = one_kind(0, np.random.default_rng(0), np.ones(9))
    low, high = calibrated(BOARD, [small]).profile.calibrated_macs
    assert low < BOARD.calibrated_macs[0]
    assert high == BOARD.calibrated_macs[1]


EIGHT_BIT = [load_device("stm32-h7a3"), replace(BOARD, arithmetic="int8")]
"""One of the catalogue, and a user's that started from a device in float."""


def timed_in_8_bits(device, factor=1.0):
    features = [measured(str(seed), seed=seed).features for seed in range(8)]
    times = [float(latency_ms(row, device, Precision.INT8)) * factor for row in features]
    return [Measurement(f"{ms}", row, (ms,)) for row, ms in zip(features, times, strict=True)]


@pytest.mark.parametrize("device", EIGHT_BIT, ids=lambda device: device.name)
@pytest.mark.parametrize("factor", [1.0, 3.0])
def test_device_timed_in_8_bits_predicts_its_8_bit_times(device, factor):
    found = calibrated(device, timed_in_8_bits(device, factor))
    assert found.before == pytest.approx(-np.log(factor), abs=1e-9)
    for row in timed_in_8_bits(device, factor):
        predicted = float(latency_ms(row.features, found.profile, Precision.INT8))
        assert predicted == pytest.approx(row.milliseconds, rel=0.02 if factor == 1 else 0.1)


@pytest.mark.parametrize("device", EIGHT_BIT, ids=lambda device: device.name)
def test_float_times_of_an_8_bit_device_follow_by_the_ratio_that_was_known(device):
    profile = calibrated(device, timed_in_8_bits(device, 3.0)).profile
    other = measured("other", seed=99).features

    def ratio(of):
        return latency_ms(other, of, Precision.FP32) / latency_ms(other, of, Precision.INT8)

    assert ratio(profile) == pytest.approx(float(ratio(device)), rel=0.1)


@pytest.mark.parametrize("device", EIGHT_BIT, ids=lambda device: device.name)
def test_what_is_absurd_in_8_bits_is_told_by_8_bit_times(device):
    (slow, *_) = timed_in_8_bits(device, 999.0)
    assert absurd(device, slow) == ""
    (fast, *_) = timed_in_8_bits(device, 1 / 999)
    assert absurd(device, fast) == ""
    (too_fast, *_) = timed_in_8_bits(device, 1 / 1001)
    assert "times less than" in absurd(device, too_fast)
