"""Networks that do not classify, and users without labels or data, from the request to the report."""

import io
import json
from functools import cache

import numpy as np
import onnxruntime as ort
import pytest

from compression.types import Stage
from selector import engine
from selector.report import check_report
from selector.reporter import Reporter
from tests import networks
from tests.exporting import exported
from tests.zoo_dense import UNet, lively_yolo
from tests.zoo_heads import Auxiliary, Ssd, YoloHeads, lively

POSITIONS = "agreement of positions"
VALUES = "agreement of values within 20 % of their spread"


HEADS = {
    "yolo heads": (YoloHeads, (3, 32, 32), ("fine", "coarse")),
    "ssd": (Ssd, (3, 32, 32), ("boxes", "scores")),
    "auxiliary": (Auxiliary, (1, 12, 12), ("logits", "auxiliary")),
}


@cache
def model(name):
    if name == "lenet":
        return networks.small_lenet(), (1, 12, 12)
    if name == "unet":
        return exported(lively(UNet, 3, 16, 16), 3, 16, 16), (3, 16, 16)
    if name in HEADS:
        make, shape, outputs = HEADS[name]
        return exported(lively(make, *shape), *shape, outputs=outputs), shape
    return exported(lively_yolo(), 3, 32, 32), (3, 32, 32)


def answered(content, x):
    """The classes that the first output names, as labels to hold the network to."""
    session = ort.InferenceSession(content)
    return session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)


def finished(folder, name, *, data, labels=False):
    content, shape = model(name)
    (folder / "net.onnx").write_bytes(content)
    if data:
        x = np.random.default_rng(0).standard_normal((200, *shape)).astype(np.float32)
        y = {"y": answered(content, x)} if labels else {}
        np.savez(folder / "data.npz", x=x, **y)
    request = {
        "model": "net.onnx",
        "data": "data.npz" if data else None,
        "techniques": ["filter_pruning", "int8"],
        "selector": "greedy",
        "goals": {"storage": 1.0},
        "budgets": {"max_size_bytes": 0.7 * len(content)},
        "time_limit_s": 20,
    }
    (folder / "request.json").write_text(json.dumps(request))
    job = engine.prepare(folder / "request.json", folder / "out")
    engine.run(job, Reporter(stream=io.StringIO()))
    return job


@pytest.mark.parametrize(
    ("name", "data", "words", "kind"),
    [
        pytest.param("unet", True, POSITIONS, "agreement", marks=pytest.mark.slow),
        pytest.param(
            *(
                "unet",
                False,
                f"{POSITIONS} on synthetic inputs",
                "agreement_on_synthetic_inputs",
            ),
            marks=pytest.mark.slow,
        ),
        pytest.param("yolo", True, VALUES, "agreement", marks=pytest.mark.slow),
        pytest.param(
            *("yolo", False, f"{VALUES} on synthetic inputs", "agreement_on_synthetic_inputs"),
            marks=pytest.mark.slow,
        ),
        pytest.param("lenet", True, "agreement", "agreement", marks=pytest.mark.slow),
        ("lenet", False, "agreement on synthetic inputs", "agreement_on_synthetic_inputs"),
    ],
)
def test_every_kind_of_network_goes_through_and_the_report_says_what_was_measured(
    tmp_path, name, data, words, kind
):
    job = finished(tmp_path, name, data=data)
    report = json.loads((job.path / "report.json").read_text())
    check_report(report)
    for side in ("baseline", "result"):
        assert (report[side]["accuracy_words"], report[side]["accuracy_kind"]) == (words, kind)
    assert report["baseline"]["accuracy"] == 1.0
    assert report["recipe"]
    agreement = report["agreement_with_original"]
    assert agreement == pytest.approx(report["result"]["accuracy"], abs=1e-5)
    assert (report["relative_error"] is None) == (name != "yolo")
    said = words.replace("agreement", "agreement with the original")
    assert said in (job.path / "report.html").read_text()
    assert f"- {said}: " in (job.path / "README.md").read_text()
    notes = " ".join(report["notes"])
    assert ("is read as" in notes) == (name != "lenet")
    assert ("synthetic inputs" in notes) == (not data)
    primary = next(row for row in report["artifacts"] if row.get("primary"))
    _, shape = model(name)
    session = ort.InferenceSession((job.path / primary["path"]).read_bytes())
    session.run(None, {session.get_inputs()[0].name: np.zeros((1, *shape), np.float32)})


MEAN = "agreement (mean of 2 outputs)"


@pytest.mark.parametrize(
    ("name", "data", "labels", "words"),
    [
        pytest.param("yolo heads", True, False, MEAN, marks=pytest.mark.slow),
        pytest.param("ssd", True, False, MEAN, marks=pytest.mark.slow),
        pytest.param(
            "ssd", False, False, f"{MEAN} on synthetic inputs", marks=pytest.mark.slow
        ),
        ("auxiliary", True, True, "accuracy"),
    ],
)
def test_networks_of_several_outputs_go_through_and_keep_all_of_them(
    tmp_path, name, data, labels, words
):
    job = finished(tmp_path, name, data=data, labels=labels)
    report = json.loads((job.path / "report.json").read_text())
    content, shape = model(name)
    outputs = HEADS[name][2]
    assert report["result"]["accuracy_words"] == words
    assert report["baseline"]["accuracy"] == 1.0
    assert report["recipe"]
    assert [row["output"] for row in report["agreement_by_output"]] == list(outputs)
    notes = " ".join(report["notes"])
    assert "has 2 outputs" in notes
    assert f"output by output: {outputs[0]} " in notes
    assert ("Labels are held against “logits” (4 classes)" in notes) == labels
    primary = next(row for row in report["artifacts"] if row.get("primary"))
    files = content, (job.path / primary["path"]).read_bytes()
    x = np.zeros((2, *shape), np.float32)
    before, after = (ort.InferenceSession(each) for each in files)
    assert [o.name for o in after.get_outputs()] == list(outputs)
    feeds = ({s.get_inputs()[0].name: x} for s in (before, after))
    found = [s.run(None, feed) for s, feed in zip((before, after), feeds, strict=True)]
    assert [y.shape for y in found[0]] == [y.shape for y in found[1]]


@pytest.mark.slow
def test_labelled_segmentation_is_judged_pixel_by_pixel(tmp_path):
    job = finished(tmp_path, "unet", data=True, labels=True)
    report = json.loads((job.path / "report.json").read_text())
    result = report["result"]
    assert (result["accuracy_kind"], result["accuracy_words"]) == ("accuracy", "pixel accuracy")
    assert report["baseline"]["accuracy"] == 1.0
    assert result["accuracy"] == pytest.approx(report["agreement_with_original"])
    assert report["accuracy_drop_points"] == pytest.approx(
        100 * (1 - result["accuracy"]), abs=1e-3
    )
    assert report["recipe"]
    assert "pixel accuracy" in (job.path / "report.html").read_text()
    assert "- pixel accuracy: " in (job.path / "README.md").read_text()


def test_inputs_are_made_once_and_every_stage_reads_the_same(tmp_path):
    (tmp_path / "net.onnx").write_bytes(networks.small_lenet())
    (tmp_path / "request.json").write_text('{"model": "net.onnx", "time_limit_s": 10}')
    job = engine.prepare(tmp_path / "request.json", tmp_path / "out")
    engine.run_stage(Stage.INSPECT, job, Reporter(stream=io.StringIO()), None)
    made = np.load(job.stage_path(Stage.INSPECT, "inputs.npy"))
    one, other = (engine.job_of(job, Reporter(stream=io.StringIO())).dataset for _ in range(2))
    assert one.synthetic
    np.testing.assert_array_equal(one.test.x, made[one.test.indices])
    np.testing.assert_array_equal(one.training.x, other.training.x)
    assert one.preprocessing.divide == 1
