import io
import json

import numpy as np
import onnxruntime as ort
import pytest
from django.core.management import CommandError, call_command

from tests.selector.test_engine import write_request
from webapp.management.progressbar import ProgressBar, bar


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
        (["--max-latency-ms", "0"], "no network can meet"),
        (["--data", "nowhere.npz"], "does not exist"),
    ],
)
def test_bad_request_ends_with_2_and_a_sentence(files, tmp_path, arguments, sentence):
    out = tmp_path / "out"
    with pytest.raises(CommandError, match=sentence) as refused:
        call_command("compress", files[0], *arguments, "--out", str(out), stderr=io.StringIO())
    assert refused.value.returncode == 2
    assert not out.exists()


def test_bar_shows_share_and_time_left():
    line = {"stage": "PROBE", "done": 1, "total": 3, "eta_s": 12.3}
    assert bar(line) == "PROBE    [##########                    ]  33%     12 s left"


def test_output_that_is_no_progress_is_let_by():
    shown = ProgressBar(None)
    shown.take(b"some library's warning\n")
    shown.take(b'{"kind": "error", "data": {"message": "The file is cut short."}}\n')
    assert shown.error == "The file is cut short."
