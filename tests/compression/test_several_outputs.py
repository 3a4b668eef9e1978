"""Networks with several outputs: each is read as if it were alone, and each counts the same."""

from dataclasses import replace
from functools import cache

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch

from compression.answer_forms import answer_form, form_of
from compression.answer_losses import distillation_loss, label_loss
from compression.building import build
from compression.comparison import compare
from compression.data import labelled_output, load_data
from compression.errors import FormatError, VerificationError
from compression.evaluation import evaluate_onnx, onnx_log_probabilities, onnx_logits
from compression.finetuning import FineTuning, distill
from compression.int8_fallback import export_int8
from compression.onnx_export import export_onnx, verify_export
from compression.onnx_import import import_onnx
from compression.other_formats import FORMATS, converted
from compression.outputs import AnswerKind
from compression.preprocessing import Preprocessing
from compression.sensitivity import logits
from compression.snippets import snippets
from compression.technique import get
from compression.types import RecipeStep
from compression.usage import Usage
from tests.exporting import exported
from tests.networks import several_outputs
from tests.zoo_heads import Ssd, TwoTasks, YoloHeads, lively

RNG = np.random.default_rng(0)
SHAPES = {"boxes": (40, 4), "scores": (5,), "map": (3, 16, 16)}
FORM = answer_form((3, 16, 16), SHAPES)
NETWORKS = {
    "yolo": (YoloHeads, (3, 32, 32), ("fine", "coarse")),
    "ssd": (Ssd, (3, 32, 32), ("boxes", "scores")),
    "tasks": (TwoTasks, (1, 12, 12), ("wide", "narrow")),
}


@cache
def model(name):
    make, shape, outputs = NETWORKS[name]
    return exported(lively(make, *shape), *shape, outputs=outputs)


def examples(name, count):
    _, shape, _ = NETWORKS[name]
    return np.random.default_rng(1).standard_normal((count, *shape)).astype(np.float32)


def halved(network, x):
    leader = next(g.leader for g in network.profile.groups if g.prunable)
    step = RecipeStep(layer=leader, technique="filter_pruning", params={"pruning_ratio": 0.5})
    return build(network, (step,), x).network


def joined_outputs(count):
    arrays = [
        RNG.standard_normal((count, *shape)).astype(np.float32) for shape in SHAPES.values()
    ]
    return np.concatenate([a.reshape(count, -1) for a in arrays], axis=1), arrays


def test_each_output_is_read_by_itself():
    kinds = [part.kind for part in FORM.parts]
    assert kinds == [AnswerKind.VALUES, AnswerKind.CLASS, AnswerKind.VALUES]
    joined, arrays = joined_outputs(6)
    rows = FORM.rows_apart(FORM.rows(joined))
    for part, array, found in zip(FORM.parts, arrays, rows, strict=True):
        np.testing.assert_array_equal(found, part.rows(array))
    assert (FORM.judged, FORM.n_classes, FORM.label_shape) == (1, 5, ())


def test_agreement_and_divergence_are_the_means_over_the_outputs():
    joined, arrays = joined_outputs(50)
    other = joined + 0.5 * RNG.standard_normal(joined.shape).astype(np.float32)
    rows, changed = FORM.rows(joined), FORM.rows(other)
    alone = [
        part.divergence(a, b)
        for part, a, b in zip(
            FORM.parts, FORM.rows_apart(rows), FORM.rows_apart(changed), strict=True
        )
    ]
    assert FORM.divergence(rows, changed) == pytest.approx(np.mean(alone))
    loss = distillation_loss(FORM, torch.from_numpy(other), torch.from_numpy(joined), 1.0)
    assert float(loss) == pytest.approx(FORM.divergence(rows, changed), rel=1e-3)
    shares = FORM.same(FORM.answers(rows), FORM.answers(changed))
    assert shares.shape == (50, 3)
    scores = arrays[1].argmax(1) == other[:, 160:165].argmax(1)
    np.testing.assert_array_equal(shares[:, 1], scores)
    assert FORM.same(FORM.answers(rows), FORM.answers(rows)).all()


def test_only_the_judged_output_learns_from_labels():
    joined = torch.zeros(4, 160 + 5 + 768, requires_grad=True)
    label_loss(FORM, joined, torch.tensor([0, 1, 2, 3])).backward()
    touched = joined.grad.abs().sum(0) > 0
    assert touched[160:165].all()
    assert touched.sum() == 5


@pytest.mark.parametrize("name", NETWORKS)
def test_torch_and_onnx_runtime_give_the_same_rows(name):
    network, x = import_onnx(model(name)), examples(name, 5)
    form = form_of(network.profile)
    rows, ours = onnx_log_probabilities(model(name), x), logits(network, x)
    assert rows.shape == ours.shape
    assert form.divergence(rows, ours) < 1e-6


@pytest.mark.parametrize("name", NETWORKS)
def test_fine_tuning_brings_every_output_closer(name):
    network, x = import_onnx(model(name)), examples(name, 96)
    smaller, form, wanted = halved(network, x), form_of(network.profile), logits(network, x)
    settings = FineTuning(steps=40, batch_size=32, checks=4)
    tuned = distill(smaller, network, x, None, settings, (x, None), lambda *_: True)
    before, after = logits(smaller, x), logits(tuned, x)
    assert form.divergence(wanted, after) < 0.8 * form.divergence(wanted, before)
    rows = (form.rows_apart(each) for each in (wanted, before, after))
    for part, right, was, now in zip(form.parts, *rows, strict=True):
        assert part.divergence(right, now) < part.divergence(right, was)


@pytest.mark.parametrize("name", NETWORKS)
def test_8_bit_arithmetic_keeps_names_shapes_and_order(name):
    network, x = import_onnx(model(name)), examples(name, 64)
    found = export_int8(network, x, x)
    assert found.kl < 0.1
    before, after = (onnx.load_from_string(d).graph.output for d in (model(name), found.data))
    assert [v.name for v in after] == [v.name for v in before]
    assert onnx_logits(found.data, x[:2]).shape == onnx_logits(model(name), x[:2]).shape


def test_a_file_in_which_one_output_is_wrong_is_found_out():
    network, x = import_onnx(model("ssd")), examples("ssd", 4)
    broken = onnx.load_from_string(export_onnx(network))
    weights = next(t for t in broken.graph.initializer if list(t.dims) == [8, 32, 3, 3])
    values = onnx.numpy_helper.to_array(weights)
    weights.CopyFrom(onnx.numpy_helper.from_array(values * 1.05, weights.name))
    with pytest.raises(VerificationError, match="differs from the network"):
        verify_export(broken.SerializeToString(), network, x)


def test_labels_are_held_against_the_narrowest_output_that_has_room_for_them(tmp_path):
    x = np.zeros((60, 1, 12, 12), np.float32)
    parts = form_of(import_onnx(model("tasks")).profile).parts
    for most, judged in ((3, 1), (7, 0), (9, None)):
        np.savez(tmp_path / "data.npz", x=x, y=np.arange(60) % most)
        assert labelled_output(tmp_path / "data.npz", parts) == judged
    np.savez(tmp_path / "data.npz", x=x)
    assert labelled_output(tmp_path / "data.npz", parts) is None
    assert labelled_output(tmp_path / "absent.npz", parts) is None


def test_accuracy_is_that_of_the_judged_output_and_agreement_is_told_of_each(tmp_path):
    data = model("tasks")
    network, x = import_onnx(data), examples("tasks", 300)
    session = ort.InferenceSession(data)
    narrow = session.run(["narrow"], {"image": x})[0]
    np.savez(tmp_path / "data.npz", x=x, y=narrow.argmax(1))
    judged = replace(network.profile, judged_output=1)
    split = load_data(
        tmp_path / "data.npz", (1, 12, 12), form_of(judged).n_classes, seed=0
    ).test
    smaller = halved(network, x)
    before = evaluate_onnx(data, split, profile=judged)
    after = evaluate_onnx(export_onnx(smaller), split, profile=judged, reference=before.answers)
    assert (before.kind, before.words, before.accuracy) == ("accuracy", "accuracy", 1.0)
    found = compare(before, after, split)
    assert list(found.agreement_by_output) == ["wide", "narrow"]
    assert found.agreement_by_output["narrow"] == pytest.approx(after.accuracy)
    assert 0 < found.agreement_by_output["wide"] < 1
    assert len(found.per_class) == 3
    assert found.n_lost == round((1 - after.accuracy) * len(split))


def test_without_labels_agreement_is_the_mean_of_the_outputs(tmp_path):
    data, x = model("ssd"), examples("ssd", 200)
    network = import_onnx(data)
    np.savez(tmp_path / "data.npz", x=x)
    split = load_data(tmp_path / "data.npz", x.shape[1:], 0, seed=0).test
    before = evaluate_onnx(data, split)
    smaller = export_onnx(halved(network, x))
    after = evaluate_onnx(smaller, split, reference=before.answers)
    found = compare(before, after, split)
    assert before.accuracy == 1.0
    shares = found.agreement_by_output
    assert after.accuracy == pytest.approx((shares["boxes"] + shares["scores"]) / 2)
    assert found.agreement == pytest.approx(after.accuracy)
    assert after.words == "agreement (mean of 2 outputs)"
    assert found.drop_points == pytest.approx(100 * (1 - after.accuracy))


def test_no_technique_touches_what_is_an_output_and_is_read_on():
    profile = import_onnx(several_outputs()).profile
    early = profile.layer("early")
    assert not get("pool_to_stride").applies_to(early, profile).yes
    assert not get("filter_pruning").applies_to(early, profile).yes
    assert not get("global_average_pooling").applies_to(profile.layer("hidden"), profile).yes


def test_snippets_name_every_output():
    profile = import_onnx(model("tasks")).profile
    plain = Usage.of(profile, Preprocessing())
    named = Usage.of(profile, Preprocessing(), tuple("abcdefg"))
    code = {s.name: s.code for s in snippets(plain, "model.onnx", ())}
    assert 'run(["wide", "narrow"]' in code["python"]
    assert "Map<String, FloatArray>" in code["android"]
    assert 'names[] = {"wide", "narrow"}' in code["cpp"]
    code = {s.name: s.code for s in snippets(named, "model.onnx", ())}
    assert 'outputs.get("wide").get()' in code["android"]
    assert "outputs(prepared(raw))[0]" in code["cpp"]


def test_python_code_answers_with_all_outputs(tmp_path, monkeypatch, capsys):
    profile = import_onnx(model("tasks")).profile
    usage = Usage.of(profile, Preprocessing(), tuple("abcdefg"))
    (tmp_path / "model.onnx").write_bytes(model("tasks"))
    monkeypatch.chdir(tmp_path)
    scope = {"raw": examples("tasks", 3)}
    code = next(s.code for s in snippets(usage, "model.onnx", ()) if s.name == "python")
    exec(code, scope)
    wide, narrow = scope["outputs"]
    assert (wide.shape, narrow.shape) == ((3, 7), (3, 3))
    assert capsys.readouterr().out == f"{['abcdefg'[i] for i in wide.argmax(1)]}\n"


def test_other_formats_say_that_they_take_one_output():
    x = examples("ssd", 2)
    with pytest.raises(FormatError, match="has 2 outputs"):
        converted(FORMATS[0], model("ssd"), x, onnx_logits(model("ssd"), x))
