from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from compression.evaluation import probabilities
from compression.matched_inputs import BATCH, Matching, can_match, matched, spectral_noise
from compression.onnx_import import import_onnx
from compression.sensitivity import logits
from tests.exporting import exported, seeded, settled
from tests.networks import small_lenet
from tests.zoo_dense import Autoencoder
from tests.zoo_vision import Cnn1d, ResNet

torch.set_num_threads(1)
DIGITS = Path(__file__).parents[2] / "webapp" / "samples" / "digits" / "model.onnx"


def go_on(done, total):
    return True


@cache
def lenet():
    return import_onnx(small_lenet())


def noise(network, count=BATCH):
    return spectral_noise(count, network.profile.input_shape, 0)


def statistics_error(module, x):
    """How far what the batch norms read is from what they have stored, in units of that."""
    errors = []

    def look(layer, inputs):
        axes = (0, *range(2, inputs[0].ndim))
        error = (inputs[0].mean(axes) - layer.running_mean) / layer.running_var.sqrt()
        errors.append(float(error.square().mean()))

    hooks = [
        layer.register_forward_pre_hook(look)
        for layer in module.modules()
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
    ]
    with torch.inference_mode():
        module(torch.from_numpy(x))
    for hook in hooks:
        hook.remove()
    return np.mean(errors)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 32, 32), (6, 128), (20,)])
def test_noise_has_the_spectrum_of_pictures_and_repeats(shape):
    x = spectral_noise(40, shape, 3)
    assert (x.shape, x.dtype) == ((40, *shape), np.float32)
    assert x.std() == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(x, spectral_noise(40, shape, 3))
    if len(shape) > 1:
        power = np.square(np.abs(np.fft.fft(x, axis=-1))).mean(tuple(range(x.ndim - 1)))
        assert power[1] > 4 * power[6] > 4 * power[10]


def test_every_class_is_answered_as_often_and_surely():
    network = import_onnx(DIGITS.read_bytes())
    start = noise(network, 2 * BATCH)
    found = matched(network, start, Matching(), go_on)
    before, after = (probabilities(logits(network, x)) for x in (start, found))
    assert after.max(1).mean() > 0.8 > before.max(1).mean()
    shares = [np.bincount(p.argmax(1), minlength=10).max() / len(p) for p in (before, after)]
    assert shares[1] < 0.2 < shares[0]


@pytest.mark.parametrize(("make", "shape"), [(ResNet, (3, 24, 24)), (Cnn1d, (3, 32))])
def test_the_statistics_of_batch_norms_are_matched(make, shape):
    trained_on = 2 * torch.from_numpy(spectral_noise(256, shape, 9)) + 1
    module = settled(seeded(make), trained_on)
    network = import_onnx(exported(module, *shape, folded=False))
    start = noise(network)
    found = matched(network, start, Matching(steps=60), go_on)
    assert statistics_error(module, found) < 0.5 * statistics_error(module, start)


def test_the_same_seed_makes_the_same_inputs_and_nothing_else_changes():
    network, start = lenet(), noise(lenet())
    kept = start.copy(), {n: w.clone() for n, w in network.module.state_dict().items()}
    runs = [matched(network, start, Matching(steps=3), go_on) for _ in range(2)]
    other = matched(network, start, Matching(steps=3, seed=1), go_on)
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], other)
    np.testing.assert_array_equal(start, kept[0])
    assert all(torch.equal(w, kept[1][n]) for n, w in network.module.state_dict().items())


def test_what_time_does_not_suffice_for_stays_as_it_started():
    start = noise(lenet(), 2 * BATCH + 5)
    found = matched(lenet(), start, Matching(steps=2), lambda done, total: done < 1)
    assert not np.array_equal(found[:BATCH], start[:BATCH])
    np.testing.assert_array_equal(found[BATCH:], start[BATCH:])


def test_without_classes_and_norms_there_is_nothing_to_match():
    network = import_onnx(exported(seeded(Autoencoder), 1, 16, 16))
    start = noise(network)
    assert not can_match(network)
    np.testing.assert_array_equal(matched(network, start, Matching(), go_on), start)
