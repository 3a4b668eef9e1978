import io
from functools import cache

import numpy as np
import pytest
import torch

from compression.answer_forms import form_of
from compression.answer_losses import distillation_loss, label_loss
from compression.building import build
from compression.comparison import compare
from compression.data import load_data
from compression.errors import DataRefusedError
from compression.evaluation import evaluate_onnx, onnx_log_probabilities
from compression.finetuning import FineTuning, distill
from compression.onnx_import import import_onnx
from compression.outputs import UNLABELLED, AnswerKind, output_form
from compression.sensitivity import logits
from compression.types import RecipeStep
from tests.corpus import READ
from tests.exporting import exported
from tests.zoo_dense import lively_yolo

RNG = np.random.default_rng(0)
KINDS = {"class": AnswerKind.CLASS, "places": AnswerKind.CLASS_PER_POSITION}
DENSE = ("unet transposed", "yolo", "yolox", "autoencoder")


@cache
def case(name):
    """A network of the corpus; the detector's heads are not those of random weights, which say nothing."""
    if name == "yolo":
        return exported(lively_yolo(), 3, 32, 32)
    return next(each for each in READ if each.name == name).data()


@pytest.mark.parametrize(
    ("inputs", "output", "kind", "axis"),
    [
        ((1, 28, 28), (10,), "class", 0),
        ((3, 32, 32), (10, 1, 1), "class", 0),
        ((64,), (1,), "values", 0),
        ((3, 64, 64), (21, 64, 64), "places", 0),
        ((3, 64, 64), (21, 16, 16), "places", 0),
        ((64, 64, 3), (64, 64, 21), "places", 2),
        ((6, 128), (7, 128), "places", 0),
        ((128, 6), (128, 7), "places", 1),
        ((3, 64, 64), (3, 64, 64), "values", 0),
        ((1, 64, 64), (1, 128, 128), "values", 0),
        ((3, 64, 64), (1, 64, 64), "values", 0),
        ((3, 416, 416), (255, 13, 13), "values", 0),
        ((3, 64, 64), (8400, 85), "values", 1),
        ((3, 64, 64), (84, 8400), "values", 0),
        ((3,), (), "values", 0),
    ],
)
def test_the_form_follows_from_the_shapes(inputs, output, kind, axis):
    form = output_form(inputs, output)
    assert (form.kind, form.axis) == (KINDS.get(kind, AnswerKind.VALUES), axis)
    assert bool(form.note()) == (kind != "class")


def test_rows_hold_the_channels_of_one_position():
    outputs = RNG.standard_normal((2, 3, 4, 5)).astype(np.float32)
    rows = output_form((1, 4, 5), (3, 4, 5)).rows(outputs)
    assert rows.shape == (40, 3)
    np.testing.assert_array_equal(rows[20 + 7], outputs[1, :, 1, 2])


def test_large_maps_are_compared_at_some_positions_and_say_so():
    form = output_form((3, 256, 256), (21, 256, 256))
    assert form.positions == 195
    assert "195 of 65,536 positions" in form.note()
    outputs = np.zeros((1, 21, 256, 256), np.float32)
    outputs[0, 3] = np.arange(256 * 256).reshape(256, 256)
    assert len(np.unique(form.rows(outputs)[:, 3])) == 195


def test_values_agree_within_a_share_of_their_own_spread():
    form = output_form((3, 64, 64), (100, 2))
    grid = np.tile(np.arange(100.0), 40)[:, None] * (50.0, 0.0)
    wanted = grid + RNG.standard_normal((4000, 2)) * (100.0, 0.1)
    spread = form.spread(wanted)
    assert spread == pytest.approx((100.0, 0.1), rel=0.1)
    assert form.same(wanted, wanted + 0.19 * spread).all()
    assert not form.same(wanted, wanted + 0.21 * spread).any()
    assert form.relative_error(wanted, wanted + 0.1 * spread) == pytest.approx(0.1)
    assert form.divergence(wanted, wanted + 0.2 * spread) == pytest.approx(0.5)


def test_a_value_that_never_moves_does_not_decide_alone():
    form = output_form((3, 64, 64), (100, 3))
    wanted = RNG.standard_normal((400, 3)) * (1.0, 1.0, 0.0)
    assert form.same(wanted, wanted + 0.05).all()


@pytest.mark.parametrize("inputs", [(1, 4, 4), (1, 40, 40)])
def test_the_divergence_and_the_loss_of_fine_tuning_say_the_same(inputs):
    places = output_form(inputs, (3, *inputs[1:]))
    a, b = RNG.standard_normal((2, 6, *places.shape)).astype(np.float32)
    loss = distillation_loss(places, torch.from_numpy(b), torch.from_numpy(a), 1.0)
    found = places.divergence(places.rows(a), places.rows(b))
    assert float(loss) == pytest.approx(found, rel=1e-4 if inputs[1] == 4 else 0.1)


def test_the_loss_of_values_is_their_divergence():
    form = output_form((3, 64, 64), (50, 6))
    a, b = RNG.standard_normal((2, 8, 50, 6)).astype(np.float32) * (1, 1, 50, 50, 0.1, 0.1)
    a, b = a.astype(np.float32), b.astype(np.float32)
    loss = distillation_loss(form, torch.from_numpy(b), torch.from_numpy(a), 4.0)
    assert float(loss) == pytest.approx(form.divergence(form.rows(a), form.rows(b)), rel=1e-4)


def test_labels_at_positions_are_learnt_position_by_position():
    form = output_form((1, 4, 4), (3, 4, 4))
    labels = torch.randint(0, 3, (2, 4, 4))
    sure = torch.nn.functional.one_hot(labels, 3).movedim(-1, 1) * 50.0
    assert float(label_loss(form, sure, labels)) < 1e-6
    assert float(label_loss(form, -sure, labels)) > 1


@pytest.mark.parametrize("name", DENSE)
def test_torch_and_onnx_runtime_give_the_same_rows(name):
    network = import_onnx(case(name))
    form = form_of(network.profile)
    x = RNG.standard_normal((5, *network.profile.input_shape)).astype(np.float32)
    rows, ours = onnx_log_probabilities(case(name), x), logits(network, x)
    assert rows.shape == (5 * form.positions, form.channels)
    assert form.divergence(rows, ours) < 1e-6
    assert form.same(form.answers(rows), form.answers(ours)).all()


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """For each network: it, one with a layer cut in half, and examples."""
    found = {}
    for name in DENSE:
        network = import_onnx(case(name))
        x = RNG.standard_normal((64, *network.profile.input_shape)).astype(np.float32)
        leader = next(g.leader for g in network.profile.groups if g.prunable)
        step = RecipeStep(
            layer=leader, technique="filter_pruning", params={"pruning_ratio": 0.5}
        )
        found[name] = network, build(network, (step,), x).network, x
    return found


@pytest.mark.parametrize("name", DENSE)
def test_fine_tuning_brings_dense_answers_closer(changed, name):
    network, smaller, x = changed[name]
    form, wanted = form_of(network.profile), logits(network, x)
    settings = FineTuning(steps=30, batch_size=16, checks=3)
    seen = []

    def report(step, total, values):
        seen.append(values["accuracy"])
        return True

    tuned = distill(smaller, network, x, None, settings, (x, None), report)
    before = form.divergence(wanted, logits(smaller, x))
    assert form.divergence(wanted, logits(tuned, x)) < before
    assert all(0 <= share <= 1 for share in seen)


@pytest.mark.parametrize("name", ["unet transposed", "yolo"])
def test_positions_are_compared_and_the_interval_counts_examples(name, tmp_path):
    from compression.onnx_export import export_onnx

    network = import_onnx(case(name))
    shape = network.profile.input_shape
    x = RNG.standard_normal((200, *shape)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=x)
    split = load_data(tmp_path / "data.npz", shape, 0, seed=0).test
    leader = next(g.leader for g in network.profile.groups if g.prunable)
    step = RecipeStep(layer=leader, technique="filter_pruning", params={"pruning_ratio": 0.25})
    smaller = build(network, (step,), x[:64]).network
    before = evaluate_onnx(case(name), split)
    after = evaluate_onnx(export_onnx(smaller, x[:16]), split, reference=before.answers)
    change = compare(before, after, split)
    form = form_of(network.profile)
    assert (before.accuracy, after.n_test) == (1.0, len(split))
    assert 0 < after.accuracy < 1
    assert change.agreement == after.accuracy
    assert change.n_lost == round((1 - after.accuracy) * len(split) * form.positions)
    assert change.drop_points == pytest.approx(100 * (1 - after.accuracy))
    low, high = after.accuracy_ci
    assert high - low > 1.5 / len(split)
    assert change.per_class == change.flips == ()
    assert (change.relative_error is None) == (name == "unet transposed")
    assert after.words.startswith("agreement of ")


def labelled_positions(tmp_path, y):
    np.savez(tmp_path / "data.npz", x=RNG.standard_normal((40, 3, 16, 16)), y=y)
    path, shape = tmp_path / "data.npz", (3, 16, 16)
    return load_data(path, shape, 2, seed=0, label_shape=(16, 16))


def test_labels_at_positions_are_read_and_255_is_nobodys(tmp_path):
    y = RNG.integers(0, 2, (40, 1, 16, 16), dtype=np.uint8)
    y[:, 0, :4] = 255
    found = labelled_positions(tmp_path, y)
    assert found.labelled
    split = found.test
    np.testing.assert_array_equal(split.y[:, 4:], y[split.indices, 0, 4:])
    assert (split.y[:, :4] == UNLABELLED).all()
    assert split.take(5).y.shape == (5, 16, 16)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        (np.zeros((40, 8, 8), int), "N × 16 × 16"),
        (np.arange(40) % 2, "one class at each of 16 × 16 positions"),
        (np.full((40, 16, 16), 0.5), "not whole numbers"),
        (np.arange(40 * 256).reshape(40, 16, 16) % 3, "run from 0 to 2"),
        (np.full((40, 16, 16), 255), "No position has a label"),
    ],
)
def test_labels_that_fit_no_position_are_refused_in_words(tmp_path, y, words):
    with pytest.raises(DataRefusedError, match=words):
        labelled_positions(tmp_path, y)


def test_accuracy_of_a_segmentation_counts_the_labelled_positions(tmp_path):
    data = case("unet transposed")
    x = RNG.standard_normal((60, 3, 16, 16)).astype(np.float32)
    network = import_onnx(data)
    rows = logits(network, x).argmax(1).reshape(60, 16, 16)
    wrong = rows.copy()
    wrong[:, 8:] = 1 - wrong[:, 8:]
    wrong[:, 12:] = 255
    np.savez(tmp_path / "data.npz", x=x, y=wrong)
    split = load_data(tmp_path / "data.npz", (3, 16, 16), 2, seed=0, label_shape=(16, 16)).test
    found = evaluate_onnx(data, split)
    assert (found.kind, found.words) == ("accuracy", "pixel accuracy")
    assert "Pixel accuracy is the share of labelled positions" in found.form.note(labelled=True)
    assert found.accuracy == pytest.approx(8 / 12)
    assert compare(found, found, split).drop_points == 0


def test_labels_for_a_network_without_one_class_an_example_are_refused(tmp_path):
    x = np.zeros((40, 3, 8, 8), np.float32)
    np.savez(tmp_path / "data.npz", x=x, y=np.zeros((40, 8, 8), np.int64))
    with pytest.raises(DataRefusedError, match="Leave the labels out"):
        load_data(tmp_path / "data.npz", (3, 8, 8), 0, seed=0)


def test_folders_of_images_need_no_classes_where_there_are_none(tmp_path):
    import zipfile

    from PIL import Image

    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for i in range(30):
            picture = io.BytesIO()
            Image.fromarray(RNG.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(
                picture, "PNG"
            )
            archive.writestr(f"all/{i}.png", picture.getvalue())
    found = load_data(tmp_path / "data.zip", (3, 8, 8), 0, seed=0)
    assert not found.labelled
    assert len(found.training) > 10
