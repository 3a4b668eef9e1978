"""ONNX -> ExecuTorch (.pte): ``python -m compression.formats.executorch MODEL.onnx FOLDER`` (requirements-executorch.txt)."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import torch
from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
from executorch.exir import to_edge_transform_and_lower
from executorch.runtime import Runtime

from compression.formats.conversion import Converted, answer
from compression.formats.rebuilding import example, rebuilt

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


def convert(model: Path, inputs: NDArray[np.float32], folder: Path) -> Converted:
    """Write the ``.pte`` for XNNPACK, batch 1, and run it.

    Raises:
        ConversionError: the model holds what torch cannot express.
    """
    path = folder / f"{model.stem}.pte"
    program = torch.export.export(rebuilt(model), (example(inputs),))
    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)
    return Converted(
        files=(path.name,),
        outputs=_answers(path, inputs),
        runtime=f"ExecuTorch {version('executorch')}",
    )


def _answers(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    method = Runtime.get().load_program(path).load_method("forward")
    # An answer lives in the method's own memory until the next call: it is copied.
    answers = [
        np.array(method.execute((torch.from_numpy(sample[np.newaxis]),))[0].numpy()[0])
        for sample in inputs
    ]
    return np.stack(answers)


if __name__ == "__main__":
    answer(convert)
