"""Networks that do not classify, and users without labels or data, from the request to the report."""

import io
import json

import numpy as np
import onnxruntime as ort
import pytest

from compression.types import Stage
from selector import engine
from selector.report import check_report
from selector.reporter import Reporter
from tests import networks
from tests.corpus import READ
from tests.exporting import exported
from tests.zoo_dense import lively_yolo

UNET = next(case for case in READ if case.name == "unet transposed")
POSITIONS = "agreement of positions"
VALUES = "agreement of values within 20 % of their spread"


def model(name):
    if name == "lenet":
        return networks.small_lenet(), (1, 12, 12)
    if name == "unet":
        return UNET.data(), UNET.shape
    return exported(lively_yolo(), 3, 32, 32), (3, 32, 32)


def finished(folder, name, *, data):
    content, shape = model(name)
    (folder / "net.onnx").write_bytes(content)
    if data:
        x = np.random.default_rng(0).standard_normal((200, *shape)).astype(np.float32)
        np.savez(folder / "data.npz", x=x)
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
        ("unet", False, f"{POSITIONS} on synthetic inputs", "agreement_on_synthetic_inputs"),
        ("yolo", True, VALUES, "agreement"),
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
