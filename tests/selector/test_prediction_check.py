import numpy as np
import pytest

from selector.accuracy import AccuracyModel, Lessons
from selector.prediction_check import Check, check, rank_correlation
from tests.selector.test_accuracy import CAP, drawn


def test_each_candidate_is_predicted_without_itself():
    x, y = drawn(12, noise=0.05)
    y[3] = 60.0  # something that no other candidate tells
    model = AccuracyModel(cap=CAP).fitted(Lessons(x, y))
    alone = model.left_out(Lessons(x, y))[3]
    assert abs(alone - y[3]) > abs(float(model.predict(x[3])) - y[3])


def test_good_predictions_are_told_from_bad_ones():
    x, y = drawn(14, noise=0.05)
    good = check(AccuracyModel(cap=CAP), Lessons(x, y), x)
    mixed = np.random.default_rng(0).permutation(y)
    bad = check(AccuracyModel(cap=CAP), Lessons(x, mixed), x)
    assert good.rank_correlation > 0.95 > bad.rank_correlation
    assert good.factor_90 < 1.4 < bad.factor_90
    assert good.sentence == (
        f"Each of 14 built candidates predicted from the others: typically "
        f"{good.typical_points:.1f} points off, 9 in 10 within a factor of {good.factor_90:.1f}."
    )
    assert Check.from_json(good.to_json()) == good


def test_short_trials_are_told():
    x, y = drawn(6)
    found = check(AccuracyModel(cap=CAP), Lessons(x, y, 0.15), x)
    assert found.sentence.endswith(
        "They were fine-tuned for 15 % of the steps that a build takes: what a build loses is predicted "
        "from these short trials."
    )
    older = {name: value for name, value in found.to_json().items() if name != "trained"}
    assert "fine-tuned" not in Check.from_json(older).sentence


def test_nothing_built_leaves_nothing_to_check():
    nothing = Lessons(np.zeros((0, 3)), np.zeros(0))
    assert check(AccuracyModel(cap=CAP), nothing, nothing.features).n_left_out == 0


def test_ranks_are_compared_as_spearman_did():
    assert rank_correlation(np.array([1.0, 2.0, 9.0]), np.array([0.1, 5.0, 6.0])) == 1
    assert rank_correlation(np.array([1.0, 2.0, 3.0]), np.array([3.0, 2.0, 1.0])) == -1
    assert rank_correlation(np.array([1.0, 1.0, 2.0, 3.0]), np.array([1.0, 2.0, 3.0, 4.0])) == (
        pytest.approx(0.9487, abs=1e-4)
    )
    assert rank_correlation(np.ones(4), np.arange(4.0)) == 0
    assert rank_correlation(np.arange(2.0), np.arange(2.0)) == 0
