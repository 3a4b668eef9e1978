from types import SimpleNamespace

import numpy as np
import pytest

from selector import network_timing
from selector.network_timing import time_networks

BASELINE = {"host_latency_ms": {"p50": 2.0}}
JOB = SimpleNamespace(
    folder=SimpleNamespace(read_json=lambda _stage, _name: BASELINE),
    model_bytes=b"",
    calibration=np.zeros((1, 4), np.float32),
    reporter=SimpleNamespace(ends_early=lambda: False, progress=lambda _done, _total: None),
)
THREE = np.array([[0, 0], [1, 0], [2, 0]])


def on_a_machine(monkeypatch, base_ms, int8_ms=()):
    """Each visit finds the original at the next of these times, and any other network at 1 ms."""
    left, left_int8 = iter(base_ms), iter(int8_ms)
    files = {0: b"", 1: b""} if int8_ms else {0: b""}

    def timings(files, _example, _rounds):
        times = dict.fromkeys(files, 1.0) | {"original 0": next(left)}
        if "original 1" in files:
            times["original 1"] = next(left_int8)
        return {name: SimpleNamespace(undisturbed_ms=ms) for name, ms in times.items()}

    monkeypatch.setattr(network_timing, "paired_latency", timings)
    return time_networks(JOB, THREE, lambda _config: files), list(left)


def test_each_network_is_timed_once_where_the_machine_is_calm(monkeypatch):
    rows, left = on_a_machine(monkeypatch, [2.0, 2.04, 1.98, 9.0])
    assert left == [9.0]
    assert [row.config for row in rows] == [(0, 0), (1, 0), (2, 0)]


def test_a_network_timed_while_the_original_ran_slowly_is_timed_again(monkeypatch):
    rows, left = on_a_machine(monkeypatch, [2.0, 2.6, 2.0, 2.0, 9.0])
    assert left == [9.0]
    assert rows[1].host_ms == pytest.approx(1.0)


def test_the_calmest_visit_counts_where_the_machine_does_not_calm_down(monkeypatch):
    rows, _ = on_a_machine(monkeypatch, [2.0, 2.6, 2.0, 2.3, 2.4])
    assert rows[1].host_ms == pytest.approx(1.0 * 2.0 / 2.3)


def test_each_arithmetic_is_set_against_its_own_original(monkeypatch):
    rows, _ = on_a_machine(monkeypatch, [2.0, 2.0, 2.0], [3.0, 3.12, 3.0])
    assert [row.config for row in rows[2:4]] == [(1, 0), (1, 1)]
    assert rows[3].host_ms == pytest.approx(3.0 * 1.0 / 3.12)


def test_a_network_is_timed_again_when_one_arithmetic_alone_ran_slowly(monkeypatch):
    rows, left = on_a_machine(monkeypatch, [2.0, 2.0, 2.0, 2.0, 9.0], [3.0, 3.6, 3.0, 3.0])
    assert left == [9.0]
    assert rows[3].host_ms == pytest.approx(1.0)
