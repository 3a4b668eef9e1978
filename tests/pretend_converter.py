"""An environment of a converter whose Python runs a program of the test's instead."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from compression.other_formats import FINISHED

if TYPE_CHECKING:
    from pathlib import Path

ANSWERING = """
import numpy as np, onnxruntime as ort
session = ort.InferenceSession(sys.argv[-2], providers=["CPUExecutionProvider"])
x = np.load(f"{folder}/inputs.npz")["x"]
np.savez(f"{folder}/outputs.npz", y=session.run(None, {session.get_inputs()[0].name: x})[0])
open(f"{folder}/model.bin", "wb").write(b"abc")
print(json.dumps({"files": ["model.bin"], "runtime": "pretend 1.0"}))
"""
"""Answers what the ONNX file does."""


def make_environment(folder: Path, name: str, program: str) -> None:
    """Make ``.venv-NAME`` in the folder; the program has ``json``, ``sys`` and ``folder``, where it works."""
    python = folder / f".venv-{name}" / "bin" / "python"
    python.parent.mkdir(parents=True)
    body = f"import json, sys\nfolder = sys.argv[-1]\n{program}\n"
    python.with_name("program.py").write_text(body)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} "{python.parent}/program.py" "$@"\n')
    python.chmod(0o755)
    (python.parents[1] / FINISHED).touch()
