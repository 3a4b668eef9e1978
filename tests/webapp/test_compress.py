import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
from django.core.management import CommandError, call_command

from tests.selector.test_engine import write_request
from tests.webapp.running import ROOT
from webapp.management.commands import compress as command
from webapp.management.commands.compress import summary
from webapp.management.progressbar import ProgressBar, bar

REPORT = ROOT / "tests" / "js" / "fixtures" / "report.json"


def told(**changes):
    """What is said of a build for a phone whose latency limit is met by the estimate alone."""
    report = json.loads(REPORT.read_text(encoding="utf-8"))
    return summary({**report, **changes}, Path("out"))


def test_limit_that_the_end_of_the_band_misses_is_likely_met():
    assert "Limits:   likely met (the band ends beyond max_latency_ms)\n" in told()
    assert "Limits:   missed (the band ends beyond max_latency_ms)\n" in told(status="missed")
    assert "Limits:   met\n" in told(limits=[])


def test_time_on_another_device_is_told_as_predicted_with_its_band():
    assert "Target:   28 -> 2.2 ms predicted, 1.3 to 3.7 (similar chip)\n" in told()
    assert "Target:" not in told(target="this-host")


def test_selector_that_was_asked_for_is_named():
    assert "Recipe:" not in told()
    search = {"selector": "classic", "answered_by": "classic"}
    assert "Recipe:   chosen by AdaDeep as published (paper)\n" in told(search=search)


@pytest.fixture
def files(tmp_path, settings):
    """A small network with its data, for the real engine."""
    settings.ENGINE_COMMAND = []
    write_request(tmp_path)
    return [str(tmp_path / "net.onnx"), "--data", str(tmp_path / "data.npz")]


def compress(*arguments):
    """Exit code, standard output, standard error."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("compress", *arguments, "--threads", "1", stdout=out, stderr=err)
    return ended.value.code, out.getvalue(), err.getvalue()


def test_model_is_compressed_without_a_server(files, tmp_path):
    out = tmp_path / "out"
    code, said, progress = compress(
        *files, "--out", str(out), "--max-size-bytes", "1000000", "--time-limit-s", "8"
    )
    assert code == 0, said
    report = json.loads((out / "report.json").read_text())
    assert (report["status"], f"({report['ratios']['size']:.1f}x smaller)" in said) == (
        "met",
        True,
    )
    assert [line.split()[0] for line in progress.splitlines()][:2] == ["INSPECT", "PROBE"]
    session = ort.InferenceSession((out / "model.onnx").read_bytes())
    entry = session.get_inputs()[0]
    assert session.run(None, {entry.name: np.zeros((1, *entry.shape[1:]), np.float32)})


def test_switch_without_a_value_is_refused(files):
    with pytest.raises(CommandError, match="'gamma' is not of the form KEY=VALUE"):
        call_command("compress", *files, "--classic", "gamma", stderr=io.StringIO())


@pytest.mark.slow
def test_published_form_is_asked_for_on_the_command_line(files, tmp_path):
    out = tmp_path / "out"
    switches = ["view=analytic (paper)", "episodes=20", "tuning_episodes=10"]
    arguments = [word for switch in switches for word in ("--classic", switch)]
    code, said, _ = compress(
        *files, "--out", str(out), "--selector", "classic", *arguments, "--time-limit-s", "8"
    )
    assert "Recipe:   chosen by AdaDeep as published (paper)" in said
    search = json.loads((out / "report.json").read_text())["search"]
    assert (code in (0, 3), search["selector"]) == (True, "classic")
    assert search["answered_by"] == "classic"
    assert search["published"]["switches"] == {
        "view": "analytic (paper)",
        "episodes": 20,
        "tuning_episodes": 10,
    }


@pytest.mark.slow
def test_limit_that_nothing_can_meet_ends_with_4_and_delivers_the_nearest(files, tmp_path):
    out = tmp_path / "out"
    code, _, _ = compress(
        *files, "--out", str(out), "--max-size-bytes", "10", "--time-limit-s", "8"
    )
    assert code == 4
    assert json.loads((out / "report.json").read_text())["status"] == "infeasible"
    assert (out / "bundle.zip").exists()


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--target", "toaster"], "There is no target 'toaster'."),
        (["--target", "mine.toml"], "The device profile mine.toml cannot be read."),
        (["--max-latency-ms", "0"], "no network can meet"),
        (["--data", "nowhere.npz"], "does not exist"),
        (["--selector", "magic"], "Take one of: dqn, classic, greedy, "),
        (["--selector", "classic", "--classic", "speed=1"], "speed"),
        (["--selector", "classic", "--classic", "view=mine"], "classic.view must be one of"),
        (["--classic", "gamma=1"], "switches of the selector classic"),
    ],
)
def test_bad_request_ends_with_2_and_a_sentence(files, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("compress", files[0], *arguments, "--out", str(out), stderr=io.StringIO())
    assert refused.value.returncode == 2
    assert not out.exists()


def test_results_lie_beside_the_caller_where_no_folder_is_named(files, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(command, "_run", lambda *_: (command.MET, ""))
    monkeypatch.setattr(command, "_deliver", lambda _, out: shutil.copytree(REPORT.parent, out))
    code, said, _ = compress(*files)
    assert code == 0
    assert "Files:    net-smaller" in said
    assert (tmp_path / "net-smaller" / "report.json").is_file()


def test_bar_shows_share_and_time_left():
    line = {"stage": "PROBE", "done": 1, "total": 3, "eta_s": 12.3}
    assert bar(line) == "PROBE    [##########                    ]  33%     12 s left"


def test_output_that_is_no_progress_is_let_by():
    shown = ProgressBar(None)
    shown.take(b"some library's warning\n")
    shown.take(b'{"kind": "error", "data": {"message": "The file is cut short."}}\n')
    assert shown.error == "The file is cut short."


ENDING = """
import json, pathlib, sys
package = pathlib.Path("PACKAGE")
if {code} == 3:
    package.mkdir()
    side = {{"accuracy": 0.9, "accuracy_kind": "accuracy", "size_bytes": 1000}}
    report = {{"status": "missed", "target": "this-host", "baseline": side, "result": side}}
    report["ratios"] = {{"size": 1, "host_latency": 1}}
    (package / "report.json").write_text(json.dumps(report))
print("the disk went away", file=sys.stderr)
sys.exit({code})
"""


def engine_that_ends_with(code, tmp_path, settings):
    script = tmp_path / "engine.py"
    script.write_text(ENDING.format(code=code))
    settings.ENGINE_COMMAND = [sys.executable, str(script)]


def test_missed_limits_end_with_3_and_deliver_what_there_is(files, tmp_path, settings):
    engine_that_ends_with(3, tmp_path, settings)
    code, said, _ = compress(*files, "--out", str(tmp_path / "out"))
    assert code == 3
    assert "missed" in said
    assert (tmp_path / "out" / "report.json").exists()


@pytest.mark.parametrize(
    ("code", "sentence"), [(1, "the disk went away"), (137, "lack of memory")]
)
def test_fault_ends_with_1_and_says_what_happened(files, tmp_path, settings, code, sentence):
    engine_that_ends_with(code, tmp_path, settings)
    with pytest.raises(CommandError, match=sentence) as failed:
        call_command("compress", *files, "--out", str(tmp_path / "out"), stderr=io.StringIO())
    assert failed.value.returncode == 1
    assert not (tmp_path / "out").exists()
