from dataclasses import replace

import numpy as np
import pytest
import torch

from compression.answer_losses import UNLABELLED
from compression.augmentation import Augmentation, augmentation_for, augmented
from compression.building import build
from compression.distillation import Loss, Teacher, Weighing, matched_layers
from compression.evaluation import onnx_log_probabilities
from compression.finetuning import FineTuning, Supplies, distill
from compression.learner import Curriculum
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.sensitivity import kl_divergence, kl_to_original, logits
from compression.types import Precision, RecipeStep
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
    x = torch.randn(8, *shape)
    runs = [
        augmented(x, Augmentation(kind), torch.Generator().manual_seed(4)) for _ in range(2)
    ]
    assert torch.equal(runs[0], runs[1])
    assert runs[0].shape == x.shape
    assert torch.equal(runs[0], x) == (kind == "none")


class Killed(Exception):  # noqa: N818
    pass


def killed_after(checks):
    told = []

    def report(step, total, values):
        told.append(step)
        if len(told) == checks:
            raise Killed
        return True

    return report


@pytest.mark.parametrize("precision", [Precision.FP32, Precision.INT8, Precision.CODEBOOK])
def test_interrupted_training_ends_as_if_it_had_not_been(case, tmp_path, precision):
    original, changed, x = case
    changed = replace(changed, precision=precision)
    settings = replace(SETTINGS, augmentation=Augmentation.IMAGE, feature_weight=0.5)
    seen, straight_seen = [], []

    def remember(step, total, values):
        seen.append((step, values))
        return True

    supplies = Supplies(checkpoint=tmp_path / "training.safetensors")
    with pytest.raises(Killed):
        distill(changed, original, x, None, settings, (x, None), killed_after(2), supplies)
    resumed = distill(changed, original, x, None, settings, (x, None), remember, supplies)
    straight = distill(
        changed,
        original,
        x,
        None,
        settings,
        (x, None),
        lambda *a: straight_seen.append(a) or True,
    )
    assert equal(weights(resumed), weights(straight))
    assert seen == [(step, values) for step, _, values in straight_seen]
    assert [path.name for path in tmp_path.iterdir()] == ["training.safetensors"]


def test_finished_training_is_not_done_again(case, tmp_path):
    original, changed, x = case
    supplies = Supplies(checkpoint=tmp_path / "training.safetensors")
    first = distill(changed, original, x, None, SETTINGS, (x, None), go_on, supplies)
    stamp = supplies.checkpoint.stat().st_mtime_ns
    again = distill(changed, original, x, None, SETTINGS, (x, None), go_on, supplies)
    assert equal(weights(first), weights(again))
    assert supplies.checkpoint.stat().st_mtime_ns == stamp


def test_checkpoint_of_another_training_or_a_damaged_one_is_not_used(case, tmp_path):
    original, changed, x = case
    path = tmp_path / "training.safetensors"
    args = (changed, original, x, None)
    wanted = distill(*args, SETTINGS, (x, None), go_on)
    distill(*args, replace(SETTINGS, seed=1), (x, None), go_on, Supplies(checkpoint=path))
    other = distill(*args, SETTINGS, (x, None), go_on, Supplies(checkpoint=path))
    path.write_bytes(path.read_bytes()[:100])
    damaged = distill(*args, SETTINGS, (x, None), go_on, Supplies(checkpoint=path))
    assert equal(weights(wanted), weights(other))
    assert equal(weights(wanted), weights(damaged))


def test_breakdown_goes_on_slower_and_says_so(case):
    original, changed, x = case
    x = x.copy()
    x[7] = np.inf
    settings = replace(SETTINGS, steps=8, checks=8)
    told = []

    def remember(step, total, values):
        told.append(values["learning_rate"])
        return True

    tuned = distill(changed, original, x, None, settings, (x[:7], None), remember)
    assert len(told) == 7  # one batch of eight holds the sample
    assert all(np.isfinite(value) for value in told)
    assert "broke down once" in tuned.notes[-1]
    assert "lower learning rate" in tuned.notes[-1]
    assert all(t.isfinite().all() for t in weights(tuned).values())


def test_hopeless_training_is_given_up_and_leaves_the_network(case):
    original, changed, x = case
    everywhere = np.full_like(x, np.nan)
    tuned = distill(changed, original, everywhere, None, SETTINGS, (x, None), go_on,
                    Supplies(calibration=x))  # fmt: skip
    assert equal(weights(tuned), weights(changed))
    assert "broke down 3 times" in tuned.notes[-1]
    assert "as it was before" in tuned.notes[-1]


def test_training_ends_when_nothing_gets_better(case):
    original, changed, x = case
    steps = []

    def remember(step, total, values):
        steps.append(step)
        return True

    harmful = replace(SETTINGS, learning_rate=50.0, checks=12, patience=3)
    distill(changed, original, x, None, harmful, (x, None), remember)
    assert len(steps) < 12


def test_labels_count_only_where_there_are_some():
    weighing = Weighing(temperature=1.0, alpha=0.0, feature_weight=0.0)
    loss = Loss(import_onnx(small_lenet()), weighing)
    answers = torch.randn(6, 4)
    labels = torch.tensor([0, 1, UNLABELLED, UNLABELLED, 2, UNLABELLED])
    known = labels != UNLABELLED
    whole = loss.of((answers,), (answers,), labels)
    alone = loss.of((answers[known],), (answers[known],), labels[known])
    assert torch.allclose(whole * 6, alone * 3)
    assert loss.of((answers,), (answers,), torch.full((6,), UNLABELLED)) == 0


def test_unlabelled_samples_are_learnt_from_too(case):
    original, changed, x = case
    samples = Curriculum(x[:10], np.arange(10) % 4, x[10:14], x[:0], x[14:20])
    assert len(samples) == 20
    found, labels = samples.at(torch.tensor([13, 2, 10, 14, 19]))
    assert np.array_equal(found.numpy(), x[[13, 2, 10, 14, 19]])
    assert labels.tolist() == [UNLABELLED, 2, *[UNLABELLED] * 3]
    y = logits(original, x[:32]).argmax(1)
    settings, answers = replace(SETTINGS, alpha=0.5), logits(original, x)
    few, more = (
        distill(
            changed, original, x[:32], y, settings, (x, None), go_on, Supplies(unlabelled=u)
        )
        for u in ((), (x[32:100], x[100:]))
    )
    assert kl_to_original(more, answers, x) < kl_to_original(few, answers, x)


def test_rounded_training_gives_a_better_rounded_network(case):
    original, changed, x = case
    coarse = replace(changed, precision=Precision.INT8)
    settings = replace(SETTINGS, steps=96)
    aware = distill(coarse, original, x, None, settings, (x, None), go_on)
    assert aware.precision is Precision.INT8
    wanted = onnx_log_probabilities(export_onnx(original), x)
    before, after = (
        kl_divergence(wanted, onnx_log_probabilities(export_onnx(n, x), x))
        for n in (coarse, aware)
    )
    assert after < 0.8 * before


def test_matched_layers_are_few_and_alike(case):
    original, changed, x = case
    layers = matched_layers(changed, original, x[:2])
    assert 0 < len(layers) <= 3
    teacher = Teacher(original, changed, layers, torch.device("cpu"))
    for layer, feature in zip(
        layers, teacher.answers(torch.from_numpy(x[:2]))[1:], strict=True
    ):
        assert feature.shape[1] == changed.profile.layer(layer).out_channels


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_trained_network_comes_back_on_the_cpu(case, device, tmp_path):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("there is no CUDA device here")
    original, changed, x = case
    settings = replace(SETTINGS, device=device, feature_weight=0.5)
    answers, supplies = logits(original, x), Supplies(checkpoint=tmp_path / "t.safetensors")
    tuned = distill(changed, original, x, None, settings, (x, None), go_on, supplies)
    assert all(t.device.type == "cpu" for t in weights(tuned).values())
    assert kl_to_original(tuned, answers, x) < kl_to_original(changed, answers, x)


def test_photographs_are_mirrored_every_other_time():
    x = torch.zeros(400, 3, 32, 32)
    x[..., 8] = 1.0  # left of the middle, further than any move
    changed = augmented(x, Augmentation.PHOTO, torch.Generator().manual_seed(0))
    right = changed[:, 0, 16].argmax(dim=1) > 15
    assert 0.4 < right.float().mean() < 0.6


def test_digits_are_never_mirrored_or_turned():
    x = torch.zeros(64, 1, 28, 28)
    x[:, :, 6:20, 8] = 1.0  # an L: no shift makes it look like its mirror image
    x[:, :, 19, 8:18] = 1.0
    for sample in augmented(x, Augmentation.IMAGE, torch.Generator().manual_seed(0)):
        rows, columns = (sample[0].sum(axis) for axis in (1, 0))
        assert rows.argmax() > 14  # the long bar lies below
        assert columns.argmax() < 14  # the upright one stands at the left


def test_spectrogram_moves_in_time_and_never_in_pitch():
    assert augmentation_for((1, 40, 100), raw_kind="f") == "spectrogram"
    assert augmentation_for((1, 40, 100), raw_kind="u") == "image"
    assert augmentation_for((3, 40, 100), raw_kind="f") == "image"
    assert augmentation_for((3, 40, 100), passes=20) == "photo"
    assert augmentation_for((1, 28, 28), passes=20) == "image"
    x = torch.zeros(64, 1, 40, 96)
    x[:, :, 13, 40:50] = 1.0
    found = augmented(x, Augmentation.SPECTROGRAM, torch.Generator().manual_seed(0))
    loud = (found > 0.5).nonzero()
    assert set(loud[:, 2].tolist()) == {13}
    assert len(set(loud[:, 3].tolist())) > 10
