"""ONNX Runtime's own 8-bit conversion: static in two settings, dynamic in two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.peers.arena import Offer, by_files

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from benchmarks.peers.arena import Arena

TOOL = "ONNX Runtime"


class Examples(CalibrationDataReader):  # type: ignore[misc]
    """Calibration examples, 32 at a time."""

    def __init__(self, name: str, x: np.ndarray) -> None:
        self._feeds = iter([{name: x[i : i + 32]} for i in range(0, len(x), 32)])

    def get_next(self) -> Any:
        """The next batch; None after the last."""
        return next(self._feeds, None)


def offers(arena: Arena) -> dict[str, Offer]:
    """By name; the best known setting first."""
    model = arena.model
    return {
        "static": Offer(
            "static int8: QDQ, U8 activations, S8 weights by channel",
            lambda: static(arena, model),
        ),
        "static-default": Offer("static int8 as it comes", lambda: _static_default(arena)),
        "dynamic": Offer(
            "dynamic int8 as it comes",
            lambda: by_files(model, quantize_dynamic),
        ),
        "dynamic-dense": Offer(
            "dynamic int8 of dense layers",
            lambda: by_files(
                model,
                lambda a, b: quantize_dynamic(a, b, op_types_to_quantize=["MatMul", "Gemm"]),
            ),
        ),
    }


def static(arena: Arena, model: bytes) -> bytes:
    """Static int8 of any file, in the setting that is quickest here."""

    def convert(source: Path, target: Path) -> None:
        ready = source.with_name("ready.onnx")
        quant_pre_process(str(source), str(ready))
        quantize_static(
            str(ready),
            str(target),
            Examples(arena.job.network.profile.input_name, arena.calibration),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    return by_files(model, convert)


def _static_default(arena: Arena) -> bytes:
    examples = Examples(arena.job.network.profile.input_name, arena.calibration)
    return by_files(arena.model, lambda a, b: quantize_static(str(a), str(b), examples))
