import time
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import psutil
import pytest

from compression import other_formats
from compression.errors import FormatError, ModelRefusedError
from compression.evaluation import onnx_logits
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.other_formats import FINISHED, FORMATS, converted, installed_formats
from compression.types import Precision
from tests import networks
from tests.pretend_converter import make_environment

FORMAT = {form.name: form for form in FORMATS}
RESNET = Path(__file__).resolve().parents[3] / "shared" / "base" / "resnet20" / "base.onnx"


@cache
def example(precision=Precision.INT8_WEIGHTS):
    """A compressed file with inputs and its answers."""
    network = import_onnx(networks.small_lenet())
    x = np.random.default_rng(0).standard_normal((4, *network.profile.input_shape))
    x = x.astype(np.float32)
    data = export_onnx(replace(network, precision=precision), x)
    return data, x, onnx_logits(data, x)


@pytest.fixture
def pretend(tmp_path, monkeypatch):
    """Make an environment whose Python runs the given program instead of the converter."""
    monkeypatch.setenv(other_formats.ENVIRONMENTS, str(tmp_path))

    def make(program, name="ncnn"):
        make_environment(tmp_path, name, program)
        return FORMAT[name]

    return make


def answering(factor):
    """A program that answers with the true outputs times a factor."""
    _, _, expected = example()
    return (
        "import numpy as np\n"
        f"y = np.array({expected.tolist()}, np.float32) * {factor}\n"
        "np.savez(f'{folder}/outputs.npz', y=y)\n"
        "open(f'{folder}/model.bin', 'wb').write(b'abc')\n"
        "print(json.dumps({'files': ['model.bin'], 'runtime': 'pretend 1.0'}))"
    )


def test_formats_without_a_finished_environment_are_not_installed(pretend):
    assert installed_formats() == ()
    form = pretend("")
    assert installed_formats() == (form,)
    (form.python.parents[1] / FINISHED).unlink()
    assert installed_formats() == ()


def test_file_that_answers_alike_is_offered_with_how_it_was_run(pretend):
    found = converted(pretend(answering(1.001)), *example())
    assert found.files == {"model.bin": b"abc"}
    assert found.runtime == "pretend 1.0"
    assert found.agreement == 1.0
    assert found.difference == pytest.approx(0.001, rel=1e-3)


def test_file_that_answers_otherwise_is_not_offered(pretend):
    with pytest.raises(
        FormatError, match=r"ncnn file differs .* by 1\.0e\+00 .* 1e-02 is allowed"
    ):
        converted(pretend(answering(2.0)), *example())


def test_answers_that_are_not_numbers_are_not_offered(pretend):
    with pytest.raises(FormatError, match="differs from the ONNX file by nan"):
        converted(pretend(answering("float('nan')")), *example())


def runs(process: int) -> bool:
    try:
        return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_converter_that_hangs_is_ended_with_what_it_started(pretend, tmp_path):
    note = tmp_path / "child"
    form = pretend(
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    started = time.monotonic()
    with pytest.raises(FormatError, match="converter to ncnn was stopped after 1 seconds"):
        converted(form, *example(), time_limit_s=1.0)
    assert time.monotonic() - started < 15
    child = int(note.read_text())
    # A signal is sent in no time and takes effect a moment later.
    deadline = time.monotonic() + 10
    while runs(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not runs(child)


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("sys.exit('out of memory')", "stopped with status 1: out of memory"),
        (
            "sys.exit('RuntimeError: Lowering not found\\n\\nUse tlparse to see more')",
            "stopped with status 1: RuntimeError: Lowering not found",
        ),
        ("import os; os.abort()", "stopped with status -6: it said nothing."),
        ("print('Segmentation')", "gave no answer that can be read"),
        ("print('[]')", "There is no ncnn file: its answer is malformed."),
        (
            "print(json.dumps({'error': 'ncnn has no layer for Pad.'}))",
            "There is no ncnn file: ncnn has no layer for Pad.",
        ),
        ("print(json.dumps({'files': ['a'], 'runtime': 'x'}))", "left no outputs to compare"),
        (
            "import numpy as np; np.savez(f'{folder}/outputs.npz', y=np.zeros((4, 4)))\n"
            "print(json.dumps({'files': ['../../etc/passwd'], 'runtime': 'x'}))",
            "did not write passwd",
        ),
        (
            "import numpy as np; np.savez(f'{folder}/outputs.npz', y=np.zeros((4, 3)))\n"
            "open(f'{folder}/a', 'w').close()\n"
            "print(json.dumps({'files': ['a'], 'runtime': 'x'}))",
            r"answers with shape \[3\] where the ONNX file answers with \[4\]",
        ),
    ],
)
def test_converter_that_fails_says_why(pretend, program, message):
    with pytest.raises(FormatError, match=message):
        converted(pretend(program), *example())


def test_converter_knows_no_secret_and_keeps_no_home(pretend, monkeypatch):
    monkeypatch.setenv("SECRET_KEY", "do not tell")
    told = "import os; print(json.dumps({'error': ' '.join(sorted(os.environ))}))"
    with pytest.raises(FormatError) as caught:
        converted(pretend(told), *example())
    names = set(str(caught.value).split(": ", 1)[1].split()) - {
        "LC_CTYPE",
        "PWD",
        "SHLVL",
        "_",
        "OLDPWD",
    }
    assert names == {
        *{"HOME", "LANG", "OMP_NUM_THREADS", "PATH", "PYTHONDONTWRITEBYTECODE"},
        *{"PYTHONPATH", "TMPDIR"},
    }


def test_file_that_computes_in_8_bits_is_refused(pretend):
    with pytest.raises(ModelRefusedError):
        converted(pretend(answering(1.0)), *example(Precision.INT8))


def installed(name):
    form = FORMAT[name]
    if not form.installed:
        pytest.skip(f"{form.title} is not installed here: make extra-{name}")
    return form


@pytest.mark.parametrize(
    ("name", "suffixes", "difference"),
    [
        ("ncnn", {".ncnn.param", ".ncnn.bin"}, 2e-3),
        ("litert", {".tflite"}, 1e-5),
        ("executorch", {".pte"}, 1e-5),
    ],
)
def test_compressed_file_runs_in_the_other_runtime(name, suffixes, difference):
    found = converted(installed(name), *example(), stem="digits")
    assert set(found.files) == {f"digits{suffix}" for suffix in suffixes}
    assert all(found.files.values())
    assert found.difference < difference
    assert found.agreement == 1.0
    assert any(character.isdigit() for character in found.runtime)


@pytest.mark.parametrize("name", list(FORMAT))
def test_weights_stored_by_their_places_run_in_the_other_runtime(name):
    form = installed(name)
    network = import_onnx(networks.small_lenet())
    module = network.copied_module()
    for weight in (p.data for p in module.parameters() if p.ndim > 1):
        weight[weight.abs() < weight.abs().quantile(0.9)] = 0
    _, x, _ = example()
    data = export_onnx(replace(network, module=module))
    assert len(data) < len(networks.small_lenet()) / 2
    assert converted(form, data, x, onnx_logits(data, x)).agreement == 1.0


@pytest.mark.slow
@pytest.mark.parametrize("name", list(FORMAT))
def test_resnet_with_shortcuts_without_weights_runs_in_the_other_runtime(name):
    form = installed(name)
    if not RESNET.is_file():
        pytest.skip("the shared ResNet-20 is not here")
    data = RESNET.read_bytes()
    x = np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype(np.float32)
    found = converted(form, data, x, onnx_logits(data, x))
    assert found.agreement == 1.0


def test_operator_that_ncnn_lacks_is_named():
    form = installed("ncnn")
    builder = networks.OnnxBuilder(1, 8, 8)
    x = builder.conv("x", "conv", 1, 4, 3, pads=[1, 1, 1, 1])
    x = builder.op("Slice", x, *(builder.const(np.array([value])) for value in (1, 8, 2, 2)))
    x = builder.dense(builder.op("Flatten", x), "head", 4 * 4 * 8, 3)
    data = builder.build(x, 3)
    inputs = np.ones((2, 1, 8, 8), np.float32)
    with pytest.raises(FormatError, match=r"no ncnn file: ncnn has no layer for Tensor\.slice"):
        converted(form, data, inputs, onnx_logits(data, inputs))
