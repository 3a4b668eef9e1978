import numpy as np
import pytest

from compression.comparison import compare, exact_mcnemar, paired_interval
from compression.data import load_data
from compression.evaluation import (
    evaluate_onnx,
    is_chance,
    onnx_logits,
    probabilities,
    wilson_interval,
    zip_bytes,
)
from compression.onnx_import import import_onnx
from tests import networks

RNG = np.random.default_rng(0)


@pytest.fixture(scope="module")
def model():
    return networks.small_lenet()


@pytest.fixture(scope="module")
def data(model, tmp_path_factory):
    """Noise, labelled as the network of seed 0 answers, but for a tenth."""
    shape = import_onnx(model).profile.input_shape
    x = RNG.standard_normal((200, *shape)).astype(np.float32)
    y = onnx_logits(model, x).argmax(1)
    y[::10] = (y[::10] + 1) % onnx_logits(model, x[:1]).shape[1]
    path = tmp_path_factory.mktemp("data") / "data.npz"
    np.savez(path, x_train=x, y_train=y, x_test=x, y_test=y)
    np.savez(path.with_name("unlabelled.npz"), x_train=x, x_test=x)
    return path


def test_accuracy_size_and_costs_are_reported(model, data):
    profile = import_onnx(model).profile
    split = load_data(data, profile.input_shape, 10, seed=0).test
    found = evaluate_onnx(model, split, profile=profile)
    assert found.accuracy == 0.9
    assert found.accuracy_ci == pytest.approx((0.8506, 0.9344), abs=1e-3)
    assert (found.kind, found.n_test) == ("accuracy", 200)
    assert (found.size_bytes, found.macs) == (len(model), profile.macs)
    assert found.zip_bytes == zip_bytes(model) < found.size_bytes + 200
    assert found.correct.sum() == 180


def test_without_labels_the_original_agrees_with_itself_and_others_are_held_to_it(model, data):
    profile = import_onnx(model).profile
    split = load_data(data.with_name("unlabelled.npz"), profile.input_shape, 10, seed=0).test
    before = evaluate_onnx(model, split)
    after = evaluate_onnx(networks.small_lenet(seed=1), split, reference=before.answers)
    assert (before.accuracy, before.kind) == (1.0, "agreement")
    assert after.kind == "agreement"
    assert after.accuracy == np.mean(before.answers == after.answers)


def test_comparison_names_the_examples_that_changed(model, data):
    profile = import_onnx(model).profile
    split = load_data(data, profile.input_shape, 10, seed=0).test
    before = evaluate_onnx(model, split)
    after = evaluate_onnx(networks.small_lenet(seed=1), split)
    change = compare(before, after, split)
    assert change.drop_points == pytest.approx(100 * (before.accuracy - after.accuracy))
    assert change.drop_ci_points[0] < change.drop_points < change.drop_ci_points[1]
    assert change.n_lost - change.n_gained == round(2 * change.drop_points)
    assert sum(row.n for row in change.per_class) == 200
    assert change.chance == exact_mcnemar(change.n_lost, change.n_gained)
    for row in change.per_class:
        assert row.low < 100 * (row.after - row.before) + 1e-9
        assert row.high > 100 * (row.after - row.before) - 1e-9
    for flip in change.flips:
        assert (flip.before == flip.wanted) != (flip.after == flip.wanted)
        assert split.y[list(split.indices).index(flip.index)] == flip.wanted


def test_fixed_batch_models_are_fed_whole_batches():
    model = networks.fixed_batch()
    profile = import_onnx(model).profile
    x = RNG.standard_normal((5, *profile.input_shape)).astype(np.float32)
    together = onnx_logits(model, x)
    assert len(together) == 5
    assert onnx_logits(model, x[3:4])[0] == pytest.approx(together[3], abs=1e-5)


def test_wilson_interval_is_sound_at_the_ends():
    assert wilson_interval(100, 100) == pytest.approx((0.963, 1.0), abs=1e-3)
    assert wilson_interval(0, 100) == pytest.approx((0.0, 0.037), abs=1e-3)


def test_interval_of_an_unchanged_network_is_not_empty():
    low, high = paired_interval(0, 0, 1000)
    assert low == pytest.approx(-high)
    assert 0.001 < high < 0.004


def test_uneven_flips_are_seldom_chance():
    assert exact_mcnemar(0, 0) == exact_mcnemar(3, 3) == 1.0
    assert exact_mcnemar(10, 1) == exact_mcnemar(1, 10) == pytest.approx(24 / 2**11)
    assert exact_mcnemar(118, 96) == pytest.approx(0.151, abs=1e-3)


def test_outputs_that_are_probabilities_already_stay():
    logits = RNG.standard_normal((4, 3)).astype(np.float32)
    shares = probabilities(logits)
    assert shares.sum(1) == pytest.approx(1)
    assert probabilities(shares) is shares
    assert probabilities(np.log(shares)) == pytest.approx(shares, abs=1e-6)


def test_accuracy_of_naming_the_commonest_class_is_chance():
    labels = np.array([0] * 30 + [1] * 70)
    assert is_chance(wilson_interval(72, 100), labels)
    assert not is_chance(wilson_interval(95, 100), labels)
