"""What every converter script shares: its command line, and the one line of JSON that it answers."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

INPUTS = "inputs.npz"
OUTPUTS = "outputs.npz"


class ConversionError(Exception):
    """The model cannot be told in this format; the text is a sentence for the user."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Converted:
    """A finished conversion.

    Attributes:
        files: names of the files that make the model, in the folder.
        outputs: what the runtime answered to the inputs with those files, ``[n, ...]``.
        runtime: which runtime that was, with its version.
    """

    files: tuple[str, ...]
    outputs: NDArray[np.float32]
    runtime: str


def answer(convert: Callable[[Path, NDArray[np.float32], Path], Converted]) -> None:
    """Run a converter on ``MODEL.onnx FOLDER`` of the command line.

    The folder holds ``inputs.npz`` with ``x``, model-ready float32 ``[n, *input_shape]``. The files
    and ``outputs.npz`` with ``y`` are left in it. Standard output carries one JSON object:
    ``files`` and ``runtime``, or ``error`` with a sentence.

    Args:
        convert: takes the model, the inputs and the folder; files carry the model's stem.
    """
    replies = _taken_standard_output()
    model, folder = Path(sys.argv[1]), Path(sys.argv[2])
    with np.load(folder / INPUTS, allow_pickle=False) as arrays:
        inputs = arrays["x"]
    reply: dict[str, object]
    try:
        made = convert(model, inputs, folder)
    except ConversionError as error:
        reply = {"error": str(error)}
    else:
        np.savez(folder / OUTPUTS, y=made.outputs)
        reply = {"files": list(made.files), "runtime": made.runtime}
    os.write(replies, json.dumps(reply).encode() + b"\n")


def _taken_standard_output() -> int:
    """Keep standard output for the answer: the tools print their progress there."""
    replies = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return replies
