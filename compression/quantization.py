"""Static 8-bit quantisation by ONNX Runtime: U8 activations, S8 weights per channel, compact file."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from compression.types import NetworkProfile

QDQ_OPSET = 13
"""The oldest opset whose DequantizeLinear takes a scale per channel."""
CALIBRATION_BATCH = 32


def quantised(data: bytes, calibration: np.ndarray, profile: NetworkProfile) -> bytes:
    """A float model with quantise and dequantise nodes around what computes in 8 bits.

    Args:
        data: the float model, opset at least ``QDQ_OPSET``.
        calibration: inputs ``[n, *input_shape]`` that set the ranges of the activations.
        profile: interface of the model.
    """
    level = logging.root.level
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "quantised.onnx"
        logging.root.setLevel(
            logging.ERROR
        )  # it advises a preprocessing that changes nothing here
        try:
            quantize_static(
                onnx.load_from_string(data),
                target,
                _Calibration(calibration, profile),
                quant_format=QuantFormat.QDQ,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                per_channel=True,
            )
        finally:
            logging.root.setLevel(level)
        return target.read_bytes()


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Feeds the calibration inputs in batches."""

    def __init__(self, inputs: np.ndarray, profile: NetworkProfile) -> None:
        step = profile.batch if isinstance(profile.batch, int) else CALIBRATION_BATCH
        stop = len(inputs) // step * step if isinstance(profile.batch, int) else len(inputs)
        self._feeds: Iterator[dict[str, np.ndarray]] = iter(
            {profile.input_name: inputs[start : start + step].astype(np.float32)}
            for start in range(0, stop, step)
        )

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self._feeds, None)
