"""The four networks of MLPerf Tiny, and profiles of boards that ran them."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.devices.networks import conv, dense, mobilenet_v1, plain, total
from benchmarks.devices.tables import MEASUREMENTS, rows
from compression.calibration import Belief, fitted

if TYPE_CHECKING:
    from compression.cost import Array
    from compression.types import OpSpec

BOARDS = {
    "stm32-l4r5": "NUCLEO_L4R5ZI",
    "stm32-u575": "NUCLEO_U575ZI_Q",
    "stm32-h7a3": "NUCLEO_H7A3ZI_Q",
}
SOURCE = "MLPerf Tiny v1.2 closed/STMicroelectronics"
_RELIABLE = (
    4.0  # how many networks of the ncnn tables one counts as: the benchmark repeats well
)
_LEVEL, _SPREAD = (
    4.0,
    0.1,
)  # variance of the speed of all layers together, and of each term about it
# First guesses at 100 MMAC/s; the shape factors make narrow 3x3 convolutions slower than these cores do.
_GMACS = (0.3, 0.1, 0.1, 0.1, 0.1, 0.1)
_GB_S, _OVERHEAD_MS = (0.3, 1.0), 0.01


def tiny_networks() -> dict[str, list[OpSpec]]:
    """The operations of each network, by its name in the tables."""
    return {
        "mlperf_tiny_ic_resnet8": _resnet8(),
        "mlperf_tiny_kws_dscnn": _dscnn(),
        "mlperf_tiny_vww_mobilenetv1_0.25_96": _wake_words(),
        "mlperf_tiny_ad_autoencoder": _autoencoder(),
    }


def fitted_board(name: str, hidden: str = "") -> Belief:
    """The log coefficients of a board's 8-bit networks, its speed as a whole being free."""
    times = _times(name)
    known = [model for model in times if model != hidden]
    table = np.array([total(tiny_networks()[model]) for model in known])
    log_ms = np.log([times[model] for model in known])
    return fitted(_prior(), table, log_ms, np.full(len(known), _RELIABLE))


def hidden_errors() -> Array:
    """``[n]`` log errors of each network on each board, predicted from the board's other three."""
    return np.array(
        [
            fitted_board(board, model).log_ms(total(network)[None])[0]
            - np.log(_times(board)[model])
            for board in BOARDS
            for model, network in tiny_networks().items()
        ]
    )


def _prior() -> Belief:
    rates = [1e-6 / rate for rate in _GMACS]
    mean = np.log([*rates, 4e-6 / _GB_S[0], 4e-6 / _GB_S[1], _OVERHEAD_MS])
    return Belief(mean, _SPREAD * np.eye(len(mean)) + _LEVEL)


def _times(board: str) -> dict[str, float]:
    return {
        row["model"]: float(row["latency_ms"])
        for row in rows(MEASUREMENTS)
        if row["device"] == BOARDS[board] and row["source"] == SOURCE and row["latency_ms"]
    }


def _resnet8() -> list[OpSpec]:
    layers = [conv(3, 16, 3, 1, 32)]
    for inputs, outputs, step, side in ((16, 16, 1, 32), (16, 32, 2, 32), (32, 64, 2, 16)):
        out = side // step
        layers += [conv(inputs, outputs, 3, step, side), conv(outputs, outputs, 3, 1, out)]
        if step > 1:
            layers.append(conv(inputs, outputs, 1, step, side))
        layers.append(plain("add", (2 * outputs, out, out), (outputs, out, out)))
    return [*layers, plain("average_pool", (64, 8, 8), (64,)), dense(64, 10)]


def _dscnn() -> list[OpSpec]:
    first = conv(1, 64, 10, 2, 49, width=10, kernel_width=4)
    layers = [first]
    for _ in range(4):
        layers += [
            conv(64, 64, 3, 1, 25, width=5, depthwise=True),
            conv(64, 64, 1, 1, 25, width=5),
        ]
    return [*layers, plain("average_pool", (64, 25, 5), (64,)), dense(64, 12)]


def _wake_words() -> list[OpSpec]:
    return mobilenet_v1(0.25, 96, classes=2)


def _autoencoder() -> list[OpSpec]:
    widths = (640, 128, 128, 128, 128, 8, 128, 128, 128, 128, 640)
    return [dense(a, b) for a, b in pairwise(widths)]
