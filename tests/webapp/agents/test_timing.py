import numpy as np
import pytest

from tests.webapp.making import onnx_bytes
from webapp.devices.agent import timing
from webapp.devices.agent.protocol import FEWEST_RUNS
from webapp.devices.agent.work import Task, measured


def never():
    return False


def task(kind, graphs):
    return Task("t", 1, kind, tuple(graphs), graphs[0]["name"], (), 0.05, 5.0)


def test_every_run_is_told_and_warm_up_is_not():
    calls = []
    runs = timing.timed_runs(lambda: calls.append(1), 0.0, never)
    assert 0 < len(runs) < len(calls)
    assert min(runs) > 0


def test_a_rest_is_followed_by_a_run_that_is_not_counted():
    order = []

    def rest():
        order.append("rest")
        return True

    runs = timing.timed_runs(lambda: order.append("run"), 0.0, rest)
    after = order[order.index("rest") :]
    assert after == ["rest", "run", "run"] * len(runs)


def test_every_graph_has_enough_runs_however_slow_the_device_is():
    runs = timing.scattered_runs({"a": lambda: None, "b": lambda: None}, 0.0, never)
    assert min(map(len, runs.values())) >= FEWEST_RUNS


def test_pairs_are_rounds_of_all_graphs():
    runs = timing.paired_runs({"a": lambda: None, "b": lambda: None}, 0.01, never)
    assert len(runs["a"]) == len(runs["b"]) >= FEWEST_RUNS


@pytest.mark.parametrize("kind", ["calibrate", "validate"])
def test_a_task_is_answered_with_all_its_graphs(kind):
    rows = [{"name": "one", "threads": [1]}, {"name": "two", "threads": [1, 2]}]
    answer = measured(task(kind, rows), [onnx_bytes(), onnx_bytes()], never)
    assert {(row["name"], row["threads"]) for row in answer["runs"]} == {
        ("one", 1),
        ("two", 1),
        ("two", 2),
    }
    assert answer["failed"] == []
    assert answer["drift"]["first_ms"] > 0


def test_a_graph_that_does_not_load_is_told_with_the_reason():
    rows = [{"name": "good", "threads": [1]}, {"name": "broken", "threads": [1]}]
    answer = measured(task("calibrate", rows), [onnx_bytes(), b"no graph"], never)
    assert [row["name"] for row in answer["runs"]] == ["good"]
    assert answer["failed"][0]["name"] == "broken"
    assert answer["failed"][0]["reason"]


def test_a_task_of_which_nothing_loads_is_answered_too():
    answer = measured(task("calibrate", [{"name": "broken", "threads": [1]}]), [b""], never)
    assert answer["runs"] == []
    assert answer["drift"] is None


def test_axes_without_a_length_are_one():
    values = timing.made_up(["batch", 3, None], "tensor(float)")
    assert values.shape == (1, 3, 1)
    assert values.dtype == np.float32
