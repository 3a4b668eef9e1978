"""ONNX -> ncnn by pnnx: ``python -m compression.formats.ncnn MODEL.onnx FOLDER`` (requirements-ncnn.txt)."""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np

from compression.formats.conversion import ConversionError, Converted, answer

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PNNX = Path(sys.executable).with_name("pnnx")


def convert(model: Path, inputs: NDArray[np.float32], folder: Path) -> Converted:
    """Write ``.param`` and ``.bin`` (weights in half precision) and run them, one input at a time.

    Raises:
        ConversionError: ncnn has no layer for an operation of the model.
    """
    param, weights = (folder / f"{model.stem}.ncnn.{end}" for end in ("param", "bin"))
    said = _run_pnnx(model, inputs.shape[1:], param, weights)
    return Converted(
        files=(param.name, weights.name),
        outputs=_answers(_loaded(param, weights, said), inputs),
        runtime=f"ncnn {version('ncnn')}",
    )


def _run_pnnx(model: Path, shape: tuple[int, ...], param: Path, weights: Path) -> str:
    """What pnnx printed; it also writes six files that nobody asked for, so it gets a folder."""
    size = ",".join(map(str, (1, *shape)))
    with tempfile.TemporaryDirectory() as scratch:
        copied = Path(scratch, model.name)
        copied.write_bytes(model.read_bytes())
        done = subprocess.run(  # noqa: S603 - our own tool on our own file
            [_PNNX, copied, f"inputshape=[{size}]", f"ncnnparam={param}", f"ncnnbin={weights}"],
            cwd=scratch,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    if done.returncode or not (param.is_file() and weights.is_file()):
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ConversionError(f"pnnx could not convert the model: {last[:200]}")
    return done.stdout + done.stderr


def _loaded(param: Path, weights: Path, said: str) -> ncnn.Net:
    net = ncnn.Net()
    net.opt.num_threads = 1
    # Only the weights are half precision: the arithmetic is compared with float's.
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(param)) or net.load_model(str(weights)):
        unknown = sorted(set(re.findall(r"^ignore (\S+)", said, re.MULTILINE)))
        what = ", ".join(unknown) or "an operation of the model"
        raise ConversionError(f"ncnn has no layer for {what}.")
    return net


def _answers(net: ncnn.Net, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    answers = []
    for sample in inputs:
        with net.create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(np.ascontiguousarray(sample)).clone())
            failed, out = extractor.extract("out0")
            if failed:
                raise ConversionError("ncnn loads the converted model but cannot run it.")
            answers.append(np.array(out, dtype=np.float32))
    return np.stack(answers)


if __name__ == "__main__":
    answer(convert)
