import io
import json
from dataclasses import replace

import numpy as np
import onnxruntime as ort
import pytest
import torch

from compression.cost import load_device
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.suitability import Model, misfit
from selector import engine
from selector.report import check_report
from selector.reporter import Reporter
from selector.stages import export
from selector.trial import TrialRun
from tests.networks import small_lenet


def uploaded(folder, *, factor: float):
    """A network, data that it answers by its own lights, and a channel between its dense layers made larger."""
    network = import_onnx(small_lenet())
    module = network.copied_module()
    with torch.no_grad():
        module.fc1.weight[:4] *= factor
        module.fc1.bias[:4] *= factor
        module.fc2.weight[:, :4] /= factor
        module.fc2.weight *= 6
    profile = replace(network.profile, opset=12)
    model = export_onnx(replace(network, module=module, profile=profile))
    (folder / "net.onnx").write_bytes(model)
    x = np.random.default_rng(0).standard_normal((600, 1, 12, 12)).astype(np.float32)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    y = session.run(None, {session.get_inputs()[0].name: x})[0].argmax(1)
    np.savez(folder / "data.npz", x=x, y=y)


def applied(
    folder, technique: str, params: dict, layers: tuple[str, ...] = ("*",)
) -> tuple[dict, list[str]]:
    """The report and the log of a build of one technique on some layers, or the whole network."""
    steps = [{"layer": name, "technique": technique, "params": params} for name in layers]
    (folder / "recipe.json").write_text(json.dumps(steps))
    lines = io.StringIO()
    engine.apply(
        folder / "net.onnx",
        folder / "recipe.json",
        folder / "data.npz",
        folder / "out",
        Reporter(stream=lines),
    )
    events = [json.loads(line) for line in lines.getvalue().splitlines()]
    report = json.loads((folder / "out" / "report.json").read_text())
    return report, [e["data"]["text"] for e in events if e["kind"] == "log"]


@pytest.mark.slow
def test_layers_left_in_float_stand_in_log_and_report(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PAYS", 0.0)  # keep 8-bit arithmetic whatever it measures
    # fine-tuning would teach the network to live with 8 bits everywhere
    monkeypatch.setattr(TrialRun, "recovered", lambda _self, network, *_: network)
    uploaded(tmp_path, factor=200.0)
    report, log = applied(tmp_path, "int8", {"mode": "full"})
    check_report(report)
    primary = next(row for row in report["artifacts"] if row.get("primary"))
    assert primary["path"] == "model.int8.onnx"
    assert primary["in_float"]
    assert set(primary["in_float"]) <= {"fc1", "fc2"}
    note = next(text for text in log if "stay in float" in text)
    assert note in report["notes"]
    assert all(f"“{name}”" in note for name in primary["in_float"])
    assert sum("operator set 13, where the upload has 12" in n for n in report["notes"]) == 1
    assert report["result"]["accuracy"] > report["baseline"]["accuracy"] - 0.05


@pytest.mark.slow
def test_harmless_arithmetic_needs_no_note(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "PAYS", 0.0)
    uploaded(tmp_path, factor=1.0)
    report, log = applied(tmp_path, "int8", {"mode": "full"})
    primary = next(row for row in report["artifacts"] if row.get("primary"))
    assert primary["in_float"] == []
    assert not any("in float" in text for text in (*log, *report["notes"]))


@pytest.mark.slow
def test_report_says_what_the_built_network_takes_not_the_original(tmp_path, monkeypatch):
    uploaded(tmp_path, factor=1.0)
    model = (tmp_path / "net.onnx").read_bytes()
    original = Model.of(import_onnx(model).profile, len(model)).memory
    needed = original.file_bytes + 4 * original.activation_elements
    # half of the RAM may be taken: less than the original needs, more than a quarter of its channels do
    small = replace(load_device("this-host"), ram_mb=2 * 0.8 * needed / 1024**2)
    monkeypatch.setattr("selector.request._device", lambda _target: small)
    assert misfit(small, original).startswith("Does not fit")
    report, _ = applied(
        tmp_path, "filter_pruning", {"pruning_ratio": 0.75}, ("conv1", "conv2", "fc1")
    )
    assert report["result"]["size_bytes"] < 0.5 * report["baseline"]["size_bytes"]
    assert not any("not fit" in note for note in report["notes"])
