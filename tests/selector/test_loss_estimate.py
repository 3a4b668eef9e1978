import numpy as np
import pytest

from selector.loss_estimate import LossEstimator


def answers(seed=0, n=1000, classes=5, sharpness=4.0):
    rng = np.random.default_rng(seed)
    logits = sharpness * rng.standard_normal((n, classes))
    return logits, logits.argmax(1)


def test_the_same_answers_lose_nothing():
    logits, labels = answers()
    assert LossEstimator(logits, labels).loss(3 * logits).points == 0


def test_a_lucky_gain_on_few_examples_is_not_believed():
    logits, labels = answers(n=60)
    labels = labels.copy()
    labels[:4] = (labels[:4] + 1) % 5
    changed = logits.copy()
    changed[:4, :] = 0
    changed[np.arange(4), labels[:4]] = 9
    changed[4:8] = changed[4:8, ::-1]
    loss = LossEstimator(logits, labels).loss(changed)
    assert loss.measured <= 0.0 or loss.expected > 0
    assert loss.points > loss.measured


def test_many_examples_let_the_measurement_speak():
    logits, labels = answers(n=20_000)
    changed = logits.copy()
    changed[:1000] = changed[:1000, ::-1]
    loss = LossEstimator(logits, labels).loss(changed)
    assert loss.points == pytest.approx(loss.measured, abs=1.0)


def test_examples_of_one_person_count_for_less():
    logits, labels = answers(n=400)
    changed = logits.copy()
    changed[:20] = changed[:20, ::-1]
    alone = LossEstimator(logits, labels).loss(changed).points
    grouped = LossEstimator(logits, labels, n_groups=1).loss(changed).points
    assert grouped > alone


def test_without_labels_every_changed_answer_counts():
    logits, _ = answers(n=100)
    changed = logits.copy()
    changed[:10] = changed[:10, ::-1]
    moved = (changed.argmax(1) != logits.argmax(1)).mean()
    assert LossEstimator(logits, None).loss(changed).points == pytest.approx(100 * moved)


def test_an_original_that_is_right_but_unsure_does_not_hide_what_is_lost():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 2000)
    sure = np.where(labels == 0, 1.0, -1.0) * rng.uniform(0.02, 0.3, 2000)
    unsure = np.stack([sure, -sure], axis=1)
    changed = np.where(rng.random(2000)[:, None] < 0.1, -unsure, unsure)
    found = LossEstimator(unsure, labels).loss(changed)
    assert found.measured > 8
    assert found.points > 0.7 * found.measured
