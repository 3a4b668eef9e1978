"""Milliseconds of graphs in ONNX Runtime: every run kept, warm-up left out, graphs in turns."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING, Any, Callable

from webapp.devices.agent.protocol import FEWEST_RUNS, MOST_RUNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

WARM_UP_RUNS = 10
_WARM_UP_SHARE = 0.2
_REFERENCE_S = 0.3
_VISITS = 4
_FEWEST_A_VISIT = FEWEST_RUNS // _VISITS + 1
_BURST_S, _LONGEST_BURST = 0.004, 50
_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
    "tensor(uint8)": "uint8",
    "tensor(int8)": "int8",
    "tensor(bool)": "bool",
}

Call = Callable[[], object]
Rest = Callable[[], bool]
"""What may be done between two timed runs; true when it did something, so that caches are cold."""


def graph_call(data: bytes, threads: int) -> Call:
    """One inference of an ONNX file at batch 1, on made-up inputs.

    Raises:
        Exception: whatever ONNX Runtime raises when it cannot load or run the file.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # Threads that spin while they wait slow down whatever else runs on the device.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    session = ort.InferenceSession(
        data, options, providers=["CPUExecutionProvider"], enable_fallback=0
    )
    feed = {entry.name: made_up(entry.shape, entry.type) for entry in session.get_inputs()}
    session.run(None, feed)
    return lambda: session.run(None, feed)


def made_up(shape: Sequence[Any], kind: str) -> Any:
    """Values for an input; axes without a fixed length get 1."""
    import numpy as np

    sizes = [size if isinstance(size, int) and size > 0 else 1 for size in shape]
    values = np.random.default_rng(0).standard_normal(sizes)
    return np.ascontiguousarray(values, dtype=_TYPES[kind])


def timed_runs(call: Call, budget_s: float, rest: Rest) -> list[float]:
    """Milliseconds of single runs after a warm-up, as many as fit the budget."""
    _warm_up(call, budget_s * _WARM_UP_SHARE)
    runs: list[float] = []
    end = time.perf_counter() + budget_s
    while len(runs) < _FEWEST_A_VISIT or (
        len(runs) < MOST_RUNS // _VISITS and time.perf_counter() < end
    ):
        if rest():
            call()
        runs.append(_run_ms(call))
    return runs


def scattered_runs(
    calls: Mapping[Any, Call], budget_s: float, rest: Rest
) -> dict[Any, list[float]]:
    """Runs of each graph in a few visits, in an order of its own each time.

    So a slow phase of the device meets different graphs, and a part of the runs of each.
    """
    runs: dict[Any, list[float]] = {name: [] for name in calls}
    each_s = budget_s / max(_VISITS * len(calls), 1)
    for _ in range(_VISITS):
        for name in _shuffled(calls):
            runs[name] += timed_runs(calls[name], each_s, rest)
    return runs


def paired_runs(
    calls: Mapping[Any, Call], budget_s: float, rest: Rest
) -> dict[Any, list[float]]:
    """Rounds in which each graph runs a short burst, the order shuffled; a round counts as its median.

    Whatever slows the device down slows all graphs of a round, so ratios taken round by round hold.
    """
    for call in calls.values():
        _warm_up(call, budget_s * _WARM_UP_SHARE / len(calls))
    lengths = {name: _burst(call) for name, call in calls.items()}
    runs: dict[Any, list[float]] = {name: [] for name in calls}
    end = time.perf_counter() + budget_s
    for done in range(MOST_RUNS):
        if done >= FEWEST_RUNS and time.perf_counter() > end:
            break
        for name in _shuffled(calls):
            rest()
            calls[name]()  # bring its weights back into the caches
            times = [_run_ms(calls[name]) for _ in range(lengths[name])]
            runs[name].append(statistics.median(times))
    return runs


def reference_ms(call: Call, rest: Rest) -> float:
    """The median of a short visit: how fast the device is just now."""
    return statistics.median(timed_runs(call, _REFERENCE_S, rest))


def _warm_up(call: Call, budget_s: float) -> None:
    end = time.perf_counter() + budget_s
    for done in range(WARM_UP_RUNS):
        if done and time.perf_counter() > end:
            break
        call()


def _burst(call: Call) -> int:
    return min(max(int(_BURST_S / max(_run_ms(call) / 1e3, 1e-7)), 1), _LONGEST_BURST)


def _run_ms(call: Call) -> float:
    start = time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - start)


def _shuffled(names: Iterable[Any]) -> list[Any]:
    order = list(names)
    random.shuffle(order)
    return order
