from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selector.accuracy import FLOOR, AccuracyModel, Lessons, features

CAP = 89.0


def drawn(count, seed=0, noise=0.15):
    rng = np.random.default_rng(seed)
    x = features(
        rng.uniform(0.05, 3, count), rng.uniform(1, 12, count), rng.uniform(1, 20, count)
    )
    truth = AccuracyModel(cap=CAP, coefficients=(-0.8, 0.9, 0.2, 0.3))
    y = truth.predict(x)
    return x, (y + FLOOR) * np.exp(noise * rng.normal(size=count)) - FLOOR


def test_untouched_network_loses_exactly_nothing():
    model = AccuracyModel(cap=CAP)
    untouched = features(np.zeros(1), np.ones(1), np.ones(1))
    assert model.predict(untouched)[0] == 0
    assert [float(end[0]) for end in model.ends(np.zeros(1))] == [0, 0]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0, 30), st.floats(0.5, 500), st.floats(0.5, 500), st.floats(-5, 120)
        ),
        min_size=1,
        max_size=16,
    )
)
def test_any_fit_is_monotone_and_never_predicts_gains(rows):
    damage, macs, params, drops = (np.array(column) for column in zip(*rows, strict=True))
    model = AccuracyModel(cap=CAP).fitted(Lessons(features(damage, macs, params), drops))
    ladder = np.linspace(0, 20, 60)
    one = np.ones(60)
    for x in (
        features(ladder, one * 2, one * 2),
        features(one, 1 + ladder, one),
        features(one, one, 1 + ladder),
    ):
        points = model.predict(x)
        assert np.all(np.diff(points) >= -1e-9)
        assert points.min() >= 0
        assert points.max() <= CAP


def test_refit_finds_what_a_dozen_candidates_tell():
    x, y = drawn(12)
    fresh, truth = drawn(400, seed=1, noise=0.0)
    prior, fitted = AccuracyModel(cap=CAP), AccuracyModel(cap=CAP).fitted(Lessons(x, y))
    error = [
        np.abs(np.log(m.predict(fresh) + FLOOR) - np.log(truth + FLOOR)).mean()
        for m in (prior, fitted)
    ]
    assert error[1] < 0.35 * error[0]
    assert fitted.band < prior.band
    assert fitted.n_validated == 12


def test_band_holds_nine_in_ten():
    held = []
    for seed in range(20):
        x, y = drawn(10, seed=seed)
        model = AccuracyModel(cap=CAP).fitted(Lessons(x, y))
        fresh, truth = drawn(50, seed=100 + seed)
        low, high = model.ends(model.predict(fresh))
        held.append(np.mean((low <= truth + 0.05) & (truth <= high + 0.05)))
    assert np.mean(held) > 0.9


def test_candidate_that_gained_counts_as_no_loss():
    x, _ = drawn(6)
    gained = AccuracyModel(cap=CAP).fitted(Lessons(x, np.full(6, -0.4)))
    even = AccuracyModel(cap=CAP).fitted(Lessons(x, np.zeros(6)))
    assert gained == even


def test_model_survives_json():
    model = AccuracyModel(cap=CAP).fitted(Lessons(*drawn(8)))
    assert AccuracyModel.from_json(model.to_json()) == model


def test_nothing_validated_leaves_the_guess():
    assert AccuracyModel(cap=CAP).fitted(
        Lessons(np.zeros((0, 3)), np.zeros(0))
    ) == AccuracyModel(cap=CAP)


def test_wide_network_is_not_taken_as_capacity_won():
    grown = features(np.ones(1), np.array([0.5]), np.array([0.5]))
    assert grown == pytest.approx(features(np.ones(1), np.ones(1), np.ones(1)))


def trained_for(share, count=8, power=0.5, seed=0):
    """What candidates lose that were fine-tuned for a share of the steps, and what they would lose in full."""
    x, _ = drawn(count, seed=seed)
    slopes = np.array([0.9, 0.2, 0.3])
    full = np.exp(x @ slopes - 0.8)
    short = CAP * -np.expm1(full * share**-power / -CAP)
    return Lessons(x, short, np.full(count, share)), CAP * -np.expm1(full / -CAP)


def test_short_trials_do_not_teach_that_everything_loses():
    lessons, full = trained_for(1 / 12)
    taught = AccuracyModel(cap=CAP).fitted(lessons)
    naive = AccuracyModel(cap=CAP).fitted(lessons._replace(trained=1.0))

    def error(model):
        found = np.log(model.predict(lessons.features) + FLOOR)
        return np.abs(found - np.log(full + FLOOR)).mean()

    assert error(taught) < 0.4 * error(naive)
    assert taught.stretch == pytest.approx(12)


def test_the_shorter_the_trials_the_wider_the_band():
    bands = [
        AccuracyModel(cap=CAP).fitted(trained_for(share)[0]).band
        for share in (1.0, 0.5, 0.25, 0.1, 0.02)
    ]
    assert bands == sorted(bands)
    assert bands[-1] > 2 * bands[0]


def test_a_short_trial_says_less_than_a_long_one():
    x, y = drawn(6)
    spread = [
        np.trace(AccuracyModel(cap=CAP).fitted(Lessons(x, y, share)).covariance)
        for share in (1.0, 0.3, 0.05)
    ]
    assert spread == sorted(spread)
    weighty = AccuracyModel(cap=CAP).fitted(Lessons(x, y, 1.0, 3.0))
    assert np.trace(weighty.covariance) < spread[0]


def test_recoveries_in_full_show_how_fast_losses_fall():
    """Slow recovery is believed as soon as the same recipes were seen short and long."""
    short, full = trained_for(1 / 12, power=0.05)
    both = Lessons(
        np.concatenate([short.features, short.features]),
        np.concatenate([short.drop_points, full]),
        np.repeat([1 / 12, 1.0], len(full)),
    )
    too_low = [
        np.log((full + FLOOR) / (model.predict(short.features) + FLOOR)).mean()
        for model in (AccuracyModel(cap=CAP).fitted(each) for each in (short, both))
    ]
    assert too_low[0] > 0.4
    assert abs(too_low[1]) < 0.3 * too_low[0]


def test_candidates_are_left_out_as_they_were_trained():
    lessons, _ = trained_for(1 / 12)
    found = AccuracyModel(cap=CAP).left_out(lessons)
    assert found == pytest.approx(lessons.drop_points, rel=0.3, abs=0.3)


def test_what_a_limit_leaves_possible_grows_with_the_band():
    model = AccuracyModel(cap=CAP, band=0.7)
    low, _ = model.ends(np.array([model.kept_at_best(1.0)]))
    assert low[0] == pytest.approx(1.0)


def test_losses_without_fine_tuning_may_be_large_and_all_count():
    x, y = drawn(12)
    high = 20 * y
    plain = AccuracyModel(cap=CAP).fitted(Lessons(x, high), far=np.inf)
    error = np.abs(np.log(plain.predict(x) + FLOOR) - np.log(np.minimum(high, CAP) + FLOOR))
    assert np.median(error) < 0.35
    assert plain.n_validated == 12


def test_candidates_beyond_hope_do_not_bend_the_fit():
    x, y = drawn(10)
    fresh, truth = drawn(400, seed=1, noise=0.0)
    near = fresh[truth < 5], truth[truth < 5]
    broken = features(np.full(6, 1.0), np.full(6, 3.0), np.full(6, 4.0))
    rows = Lessons(np.concatenate([x, broken]), np.concatenate([y, np.full(6, 70.0)]))
    bent = AccuracyModel(cap=CAP).fitted(rows).predict(near[0])
    assert np.median(np.abs(np.log((bent + FLOOR) / (near[1] + FLOOR)))) < 0.3
    assert AccuracyModel(cap=CAP).fitted(rows).n_validated == 10


def test_what_a_trial_promises_lies_between_its_own_loss_and_the_prediction():
    x, y = drawn(12)
    model = AccuracyModel(cap=CAP).fitted(Lessons(x, y))
    predicted = model.predict(x[:1])
    own = 0.2 * predicted
    full, short = (model.hoped(x[:1], own, np.array([share])) for share in (1.0, 0.1))
    assert own < full < predicted
    assert abs(np.log(full / own)) < abs(np.log(full / predicted))
    extrapolated = own * 0.1**model.power
    assert extrapolated < short < predicted
