from dataclasses import replace

import numpy as np
import pytest
import torch

from compression.augmentation import Augmentation, augmentation_for, augmented
from compression.building import build
from compression.finetuning import FineTuning, distill
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_to_original, logits
from compression.types import RecipeStep
from tests.networks import small_lenet

torch.set_num_threads(1)
SETTINGS = FineTuning(steps=24, batch_size=32, checks=4)


def go_on(step, total, values):
    return True


@pytest.fixture(scope="module")
def case():
    network = import_onnx(small_lenet())
    rng = np.random.default_rng(0)
    x = rng.standard_normal((256, *network.profile.input_shape)).astype(np.float32)
    leader = next(g.leader for g in network.profile.groups if g.prunable)
    step = RecipeStep(layer=leader, technique="filter_pruning", params={"pruning_ratio": 0.5})
    return network, build(network, (step,), x[:64]).network, x


def weights(network):
    return {name: value.clone() for name, value in network.module.state_dict().items()}


def equal(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("alpha", [0.7, 1.0])
def test_distillation_brings_the_answers_closer(case, alpha):
    original, changed, x = case
    y, settings = logits(original, x).argmax(1), replace(SETTINGS, alpha=alpha)
    tuned = distill(changed, original, x, y, settings, (x, y), go_on)
    answers = logits(original, x)
    assert kl_to_original(tuned, answers, x) < kl_to_original(changed, answers, x)
    assert tuned.profile == changed.profile
    assert weights(tuned).keys() == weights(changed).keys()


def test_same_seed_gives_the_same_weights(case):
    original, changed, x = case
    y = logits(original, x).argmax(1)
    runs = [distill(changed, original, x, y, SETTINGS, (x, y), go_on) for _ in range(2)]
    other = distill(changed, original, x, y, replace(SETTINGS, seed=1), (x, y), go_on)
    assert equal(weights(runs[0]), weights(runs[1]))
    assert not equal(weights(runs[0]), weights(other))


def test_given_networks_stay_as_they_were(case):
    original, changed, x = case
    before = weights(original), weights(changed)
    distill(changed, original, x, None, SETTINGS, (x, None), go_on)
    assert equal(before[0], weights(original))
    assert equal(before[1], weights(changed))


def test_training_that_only_harms_returns_what_was_given(case):
    original, changed, x = case
    harmful = replace(SETTINGS, learning_rate=50.0)
    tuned = distill(changed, original, x, None, harmful, (x, None), go_on)
    answers = logits(original, x)
    assert (
        kl_to_original(tuned, answers / 4, x) <= kl_to_original(changed, answers / 4, x) + 1e-6
    )


def test_report_is_told_and_can_stop(case):
    original, changed, x = case
    told = []

    def stop_at_second(step, total, values):
        told.append((step, total, set(values)))
        return len(told) < 2

    distill(changed, original, x, None, SETTINGS, (x, None), stop_at_second)
    keys = {"accuracy", "loss", "learning_rate"}
    assert told == [(6, 24, keys), (12, 24, keys)]


def test_fewer_samples_than_a_batch_will_do(case):
    original, changed, x = case
    distill(changed, original, x[:5], None, SETTINGS, (x[:5], None), go_on)


@pytest.mark.parametrize(
    ("shape", "kind"),
    [((1, 28, 28), "image"), ((6, 128), "signal"), ((20,), "none")],
)
def test_augmentation_suits_the_samples_and_repeats(shape, kind):
    assert augmentation_for(shape) == kind
    assert augmentation_for(shape, passes=2) is Augmentation.NONE
    x = torch.randn(8, *shape)
    runs = [
        augmented(x, Augmentation(kind), torch.Generator().manual_seed(4)) for _ in range(2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert runs[0].shape == x.shape
    assert torch.equal(runs[0], x) == (kind == "none")
