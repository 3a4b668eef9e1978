"""Intel Neural Compressor; its ONNX part lives on as ``onnx-neural-compressor``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import onnx

from benchmarks.peers.arena import Offer, by_files

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import numpy as np

    from benchmarks.peers.arena import Arena

TOOL = "Intel Neural Compressor"


def offers(arena: Arena) -> dict[str, Offer]:
    """By name; the package is imported when a file is made, so that what it says is a row."""
    return {
        "inc-static": Offer("static, defaults", lambda: by_files(arena.model, _static(arena))),
        "inc-dynamic": Offer("dynamic, defaults", lambda: by_files(arena.model, _dynamic)),
    }


def _static(arena: Arena) -> Callable[[Path, Path], None]:
    def convert(source: Path, target: Path) -> None:
        from onnx_neural_compressor import quantization
        from onnx_neural_compressor.quantization import config

        reader = _Examples(arena.job.network.profile.input_name, arena.calibration)
        settings = config.StaticQuantConfig(calibration_data_reader=reader)
        _without_empty_inputs(source)
        quantization.quantize(str(source), str(target), settings)

    return convert


def _without_empty_inputs(path: Path) -> None:
    """Drops what a node leaves out at its end, in the file: the tool asks for its range and fails."""
    model = onnx.load(path)
    for node in model.graph.node:
        while node.input and not node.input[-1]:
            node.input.pop()
    onnx.save(model, path)


def _dynamic(source: Path, target: Path) -> None:
    from onnx_neural_compressor import quantization
    from onnx_neural_compressor.quantization import config

    quantization.quantize(str(source), str(target), config.DynamicQuantConfig())


class _Examples:
    """What the tool calls a calibration data reader."""

    def __init__(self, name: str, x: np.ndarray) -> None:
        self._feeds = [{name: x[i : i + 32]} for i in range(0, len(x), 32)]
        self.rewind()

    def get_next(self) -> Any:
        """The next batch; None after the last."""
        return next(self._left, None)

    def rewind(self) -> None:
        """From the first batch again."""
        self._left = iter(self._feeds)
