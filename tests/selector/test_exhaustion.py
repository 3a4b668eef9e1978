import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from compression.types import Stage
from selector.errors import DiskFullError, OutOfMemoryError
from selector.exhaustion import explained
from selector.jobfolder import JobFolder
from tests import networks
from tests.networks import OnnxBuilder

ROOT = Path(__file__).parents[2]


def raised(action):
    try:
        action()
    except Exception as error:  # noqa: BLE001 - whatever a library raises
        return error
    pytest.fail("nothing was raised")


def of(error, tmp_path):
    return explained(error, Stage.PROBE, tmp_path, tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("ask", "needed"),
    [
        (lambda: np.empty((10**6, 10**6, 1000)), "7,450,580.6 GiB"),
        (lambda: torch.empty(10**14), "372,529.0 GiB"),
        (lambda: bytearray(10**15), "asked for more"),
    ],
)
def test_memory_that_does_not_suffice_is_told_with_what_was_asked_for(ask, needed, tmp_path):
    shown = of(raised(ask), tmp_path)
    assert isinstance(shown, OutOfMemoryError)
    text = str(shown)
    assert needed in text
    assert "PROBE" in text
    assert "in use" in text
    assert "this machine has" in text


def test_a_graphics_card_that_is_full_is_told_with_what_would_help(tmp_path):
    error = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB. GPU 0 has")
    shown = of(error, tmp_path)
    assert isinstance(shown, OutOfMemoryError)
    assert "on the graphics card for PROBE: it asked for 2.5 GiB more" in str(shown)
    assert "CUDA_VISIBLE_DEVICES=" in str(shown)


def test_the_layer_is_named_where_the_network_was_being_run(tmp_path):
    class Greedy(torch.nn.Module):
        def forward(self, x):
            return torch.relu(x).expand(10**14).clone()

    traced = torch.fx.symbolic_trace(Greedy())
    error = raised(lambda: torch.fx.Interpreter(traced).run(torch.zeros(1)))
    assert "PROBE at layer clone" in str(of(error, tmp_path))


def test_a_full_disk_is_told_with_the_room_that_a_job_needs(tmp_path):
    (tmp_path / "net.onnx").write_bytes(bytes(3 * 2**20))
    folder = JobFolder(tmp_path)
    folder.write_json(Stage.INSPECT, "inspect.json", {"kept": True})

    def save(_path):
        Path("/dev/full").write_bytes(b"no room")

    error = raised(lambda: folder.write_with(Stage.PROBE, "tables.npz", save))
    assert error.errno == errno.ENOSPC
    shown = of(error, tmp_path)
    assert isinstance(shown, DiskFullError)
    assert "PROBE could not write" in str(shown)
    assert "up to 30.0 MiB" in str(shown)
    assert folder.is_done(Stage.INSPECT)
    assert not list((tmp_path / "PROBE").iterdir())


def test_other_errors_are_left_alone(tmp_path):
    assert of(ValueError("a fault of ours"), tmp_path) is None
    assert of(FileNotFoundError(errno.ENOENT, "not there"), tmp_path) is None


LIMITED = """
import resource, sys
import psutil, torch, onnxruntime
from selector import engine
from selector.__main__ import main
kind, amount = sys.argv[1], int(sys.argv[2])
used = psutil.Process().memory_info().vms if kind == "AS" else 0
resource.setrlimit(getattr(resource, "RLIMIT_" + kind), (used + amount, used + amount))
sys.exit(main(sys.argv[3:]))
"""


def limited(kind, amount, *arguments):
    command = [sys.executable, "-c", LIMITED, kind, str(amount), *map(str, arguments)]
    # One thread: libgomp ends a process that may not start a second one, before anybody can explain.
    alone = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        command, cwd=ROOT, env=alone, capture_output=True, text=True, check=False
    )
    assert ended.stdout, ended.stderr
    assert ended.returncode >= 0, f"ended by signal {-ended.returncode}: {ended.stderr}"
    return ended.returncode, json.loads(ended.stdout.splitlines()[-1])


def test_a_job_without_memory_ends_with_the_sentence_and_not_with_a_traceback(tmp_path):
    net = OnnxBuilder(1, 512, 512)
    x = net.relu(net.conv("x", "conv1", 1, 64, 3, pads=[1, 1, 1, 1]))
    x = net.op("Flatten", net.op("GlobalAveragePool", x))
    (tmp_path / "net.onnx").write_bytes(net.build(net.dense(x, "fc", 64, 4), 4))
    images = np.random.default_rng(0).standard_normal((60, 1, 512, 512)).astype(np.float32)
    np.savez(tmp_path / "data.npz", x=images)
    request = {"model": "net.onnx", "data": "data.npz", "time_limit_s": 5}
    (tmp_path / "request.json").write_text(json.dumps(request))
    code, line = limited("AS", 400 * 2**20, "stage", "INSPECT", tmp_path)
    assert (code, line["kind"], line["data"]["code"]) == (1, "error", "out_of_memory")
    assert "Not enough memory for INSPECT" in line["data"]["message"]
    assert "a job may use" in line["data"]["message"]


def test_a_job_that_may_not_write_ends_cleanly_and_keeps_what_it_had(tmp_path):
    (tmp_path / "net.onnx").write_bytes(networks.small_lenet())
    (tmp_path / "request.json").write_text('{"model": "net.onnx", "time_limit_s": 5}')
    code, _ = limited("FSIZE", 2**30, "stage", "INSPECT", tmp_path)
    before = {path.name: path.read_bytes() for path in (tmp_path / "INSPECT").iterdir()}
    assert code == 0
    code, line = limited("FSIZE", 1000, "stage", "PROBE", tmp_path)
    assert (code, line["kind"], line["data"]["code"]) == (1, "error", "disk_full")
    assert "no file may be larger than 1.0 KiB" in line["data"]["message"]
    assert {p.name: p.read_bytes() for p in (tmp_path / "INSPECT").iterdir()} == before
    left = list((tmp_path / "PROBE").iterdir())  # parts that were small enough, and whole
    assert {path.name.split("-")[0] for path in left} <= {"part"}
    assert all("kl" in json.loads(path.read_text()) for path in left)
