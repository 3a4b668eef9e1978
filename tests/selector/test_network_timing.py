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
    reporter=SimpleNamespace(out_of_time=lambda: False),
)
THREE = np.array([[0, 0], [1, 0], [2, 0]])


def on_a_machine(monkeypatch, base_ms):
    """Each visit finds the original at the next of these times, and any other network at 1 ms."""
    left = iter(base_ms)

    def timings(files, _example, _rounds):
        times = dict.fromkeys(files, 1.0) | {"base": next(left)}
        return {name: SimpleNamespace(undisturbed_ms=ms) for name, ms in times.items()}

    monkeypatch.setattr(network_timing, "paired_latency", timings)
    return time_networks(JOB, THREE, lambda _config: {0: b""}), list(left)


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
