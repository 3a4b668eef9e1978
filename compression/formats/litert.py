"""ONNX -> LiteRT (.tflite): ``python -m compression.formats.litert MODEL.onnx FOLDER`` (requirements-litert.txt)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import litert_torch
import numpy as np
from ai_edge_litert.interpreter import Interpreter

from compression.formats.conversion import Converted, answer
from compression.formats.rebuilding import example, rebuilt

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def convert(model: Path, inputs: NDArray[np.float32], folder: Path) -> Converted:
    """Write the ``.tflite``, batch 1 and channels first as in the ONNX file, and run it.

    Raises:
        ConversionError: the model holds what torch cannot express.
    """
    path = folder / f"{model.stem}.tflite"
    litert_torch.convert(rebuilt(model), (example(inputs),)).export(str(path))
    return Converted(
        files=(path.name,),
        outputs=_answers(path, inputs),
        runtime=f"LiteRT {version('ai-edge-litert')}",
    )


def _answers(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    reads = interpreter.get_input_details()[0]["index"]
    writes = interpreter.get_output_details()[0]["index"]
    answers = []
    for sample in inputs:
        interpreter.set_tensor(reads, sample[np.newaxis])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(writes)[0])
    return np.stack(answers)


if __name__ == "__main__":
    answer(convert)
