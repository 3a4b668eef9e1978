"""The finished model in other runtimes' formats, made by converters in environments of their own.

A converter drags in packages that fit neither ours nor each other's, so it is a process that the
environment's own Python runs (``compression/formats``). It runs what it made; what it answered is
compared here with the ONNX file, and a file that differs is not offered.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil

from compression.errors import FormatError
from compression.onnx_export import export_dense
from compression.plain_network import plain_network, without_slices

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from compression.graph import Network

ENVIRONMENTS = "ADADEEP_EXTRAS"
"""Names the folder that holds the converters' environments; else the project's own folder does."""

FINISHED = ".stamp-extra"
"""The file in an environment that says that all of it was installed."""

TIME_LIMIT_S = 300.0
"""For one converter: each took 3 to 15 seconds for networks of up to a megabyte."""

_ROOT = Path(__file__).resolve().parents[1]
_FLOAT_TOLERANCE, _HALF_TOLERANCE = 1e-3, 1e-2
_MOST_WORDS = 300
_EXCEPTION = r"(\w+\.)+[A-Z]\w+: |\w+(Error|Exception): "


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A runtime's format.

    ``tolerance`` is the largest difference to the ONNX file, relative to its largest output, that
    is still the same model: float weights leave rounding, half-precision ones a little more.
    ``simplified`` replaces what the runtime lacks.
    """

    name: str
    title: str
    tolerance: float = _FLOAT_TOLERANCE
    simplified: Callable[[Network], Network] | None = None

    @property
    def python(self) -> Path:
        """The interpreter of the converter's environment, whether there is one or not."""
        return _home() / f".venv-{self.name}" / "bin" / "python"

    @property
    def installed(self) -> bool:
        """Whether the environment was finished: pip may have been interrupted."""
        return self.python.exists() and (self.python.parents[1] / FINISHED).is_file()


FORMATS = (
    Format(name="ncnn", title="ncnn", tolerance=_HALF_TOLERANCE, simplified=without_slices),
    Format(name="litert", title="LiteRT"),
    Format(name="executorch", title="ExecuTorch"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FormatFiles:
    """A model in another format, run and compared.

    Attributes:
        format: which one.
        files: bytes by file name.
        difference: largest difference to the ONNX file, relative to its largest output.
        agreement: share of the inputs with the same largest output, 0 to 1.
        runtime: what ran it, with its version.
    """

    format: Format
    files: dict[str, bytes]
    difference: float
    agreement: float
    runtime: str


def installed_formats() -> tuple[Format, ...]:
    """The formats whose converters this installation has."""
    return tuple(form for form in FORMATS if form.installed)


def converted(
    form: Format,
    model: bytes,
    inputs: NDArray[np.float32],
    expected: NDArray[np.float32],
    *,
    stem: str = "model",
    time_limit_s: float = TIME_LIMIT_S,
) -> FormatFiles:
    """The model in that format, as its runtime was seen to run it.

    Args:
        form: an installed format.
        model: an ONNX file whose arithmetic is float, however it stores its weights.
        inputs: model-ready ``[n, *input_shape]``, n at least 1.
        expected: what the file answers to them, ``[n, ...]``.
        stem: what the files are called, without their suffix.
        time_limit_s: for the converter and its runtime together.

    Raises:
        FormatError: the network has several outputs, the converter failed, took too long, or its file
            computes something else.
        ModelRefusedError: the arithmetic of the file is not float.
    """
    network = plain_network(model)
    outputs = len(network.profile.output_names)
    if outputs > 1:
        raise FormatError(
            f"There is no {form.title} file: the network has {outputs} outputs, and only networks with "
            "one are converted to that format."
        )
    if form.simplified is not None:
        network = form.simplified(network)
    with tempfile.TemporaryDirectory(prefix=f"adadeep-{form.name}-") as name:
        folder = Path(name)
        source = folder / f"{stem}.onnx"
        source.write_bytes(export_dense(network))
        np.savez(folder / "inputs.npz", x=inputs.astype(np.float32))
        reply = _reply(form, source, folder, time_limit_s)
        found = _outputs(form, folder)
        files = _files(form, folder, reply)
    difference, agreement = _compared(form, found, expected)
    return FormatFiles(
        format=form,
        files=files,
        difference=difference,
        agreement=agreement,
        runtime=str(reply.get("runtime", form.title)),
    )


def _home() -> Path:
    return Path(os.environ.get(ENVIRONMENTS) or _ROOT)


def _reply(form: Format, source: Path, folder: Path, time_limit_s: float) -> dict[str, Any]:
    """Run the converter and read the object that it answers."""
    said, complaints = folder / "stdout", folder / "stderr"
    with said.open("wb") as out, complaints.open("wb") as err:
        process = subprocess.Popen(  # noqa: S603 - our own script in an environment we made
            [form.python, "-P", "-m", f"compression.formats.{form.name}", source, folder],
            cwd=folder,
            env=_environment(form, folder),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
        try:
            code = process.wait(timeout=time_limit_s)
        except subprocess.TimeoutExpired as error:
            raise FormatError(
                f"The converter to {form.title} was stopped after {time_limit_s:.0f} seconds."
            ) from error
        finally:
            _end(process)
    if code:
        raise FormatError(
            f"The converter to {form.title} stopped with status {code}: {_complaint(complaints)}"
        )
    return _parsed(form, said)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a converter and what it started; it stays in our process group, so that ``cancel`` reaches it."""
    if process.poll() is not None:
        return
    # Where we may not look at other processes, what it started ends with our process group.
    with suppress(psutil.Error, PermissionError):
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
    process.kill()
    process.wait()


def _environment(form: Format, folder: Path) -> dict[str, str]:
    """What a converter may know: no secrets, and a home that vanishes."""
    return {
        "PATH": f"{form.python.parent}{os.pathsep}{os.defpath}",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(_ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
    }


def _parsed(form: Format, said: Path) -> dict[str, Any]:
    try:
        reply = json.loads(said.read_text(encoding="utf-8"))
    except ValueError as error:
        raise FormatError(
            f"The converter to {form.title} gave no answer that can be read."
        ) from error
    if not isinstance(reply, dict) or "error" in reply:
        words = reply["error"] if isinstance(reply, dict) else "its answer is malformed."
        raise FormatError(f"There is no {form.title} file: {words}")
    return reply


def _outputs(form: Format, folder: Path) -> NDArray[np.float32]:
    try:
        with np.load(folder / "outputs.npz", allow_pickle=False) as arrays:
            found: NDArray[np.float32] = arrays["y"].astype(np.float32)
    except (OSError, ValueError, KeyError) as error:
        raise FormatError(
            f"The converter to {form.title} left no outputs to compare."
        ) from error
    return found


def _files(form: Format, folder: Path, reply: dict[str, Any]) -> dict[str, bytes]:
    names = [Path(str(name)).name for name in reply.get("files", [])]
    missing = [name for name in names if not (folder / name).is_file()]
    if missing or not names:
        what = ", ".join(missing) or "any file"
        raise FormatError(f"The converter to {form.title} did not write {what}.")
    return {name: (folder / name).read_bytes() for name in names}


def _compared(
    form: Format, found: NDArray[np.float32], expected: NDArray[np.float32]
) -> tuple[float, float]:
    """Difference and agreement; raises unless both files are the same model."""
    if found.size != expected.size or len(found) != len(expected):
        raise FormatError(
            f"The {form.title} file answers with shape {list(found.shape[1:])} where the ONNX file "
            f"answers with {list(expected.shape[1:])}."
        )
    found, expected = (a.reshape(len(a), -1) for a in (found, expected))
    scale = max(float(np.abs(expected).max()), 1e-6)
    difference = float(np.abs(found - expected).max()) / scale
    if not difference <= form.tolerance:  # NaN is no match either
        raise FormatError(
            f"The {form.title} file differs from the ONNX file by {difference:.1e} of the largest "
            f"output; {form.tolerance:.0e} is allowed."
        )
    return difference, float((found.argmax(axis=1) == expected.argmax(axis=1)).mean())


def _complaint(path: Path) -> str:
    """The exception that ended a converter, else its last words."""
    lines = path.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    raised = [line for line in lines if re.match(_EXCEPTION, line)]
    said = raised or lines or ["it said nothing."]
    return said[-1][:_MOST_WORDS]
