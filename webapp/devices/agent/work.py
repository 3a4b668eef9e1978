"""One task, from the graphs to the answer."""

from __future__ import annotations

import logging
import time
from typing import Any, Callable, NamedTuple

from webapp.devices.agent.power import power_meter, power_of
from webapp.devices.agent.server import RefusedError, Server, UnreachableError
from webapp.devices.agent.timing import (
    Call,
    graph_call,
    paired_runs,
    reference_ms,
    scattered_runs,
)

RESULT_PATIENCE_S = 900.0
_LONGEST_REASON = 300
_POWER_S = 10.0
"""Spent on the power of a calibration, which is to be over within a minute."""

GraphKey = tuple[str, int]
"""A graph's name and the number of threads."""

logger = logging.getLogger(__name__)


class Task(NamedTuple):
    """What the server asks for, as one numbered attempt."""

    id: str
    attempt: int
    kind: str
    graphs: tuple[Any, ...]
    reference: str
    powered: tuple[str, ...]
    seconds: float
    beat_every_s: float

    @property
    def path(self) -> str:
        return f"/tasks/{self.id}/{self.attempt}"


class TaskGoneError(Exception):
    """The server has given the task to somebody else, or wants it no more."""


class Pulse:
    """Says between two timed runs, every few seconds, that the task goes on."""

    def __init__(self, server: Server, task: Task) -> None:
        self._server = server
        self._task = task
        self._next = time.monotonic()

    def __call__(self) -> bool:
        if time.monotonic() < self._next:
            return False
        try:
            self._server.ask(f"{self._task.path}/beat", {}, patience_s=0)
        except UnreachableError as error:
            # What was measured so far is still good; perhaps the server is back at the end.
            logger.info("%s Measuring goes on.", error)
        except RefusedError as error:
            raise TaskGoneError(str(error)) from error
        self._next = time.monotonic() + self._task.beat_every_s
        return True


def do_task(server: Server, task: Task) -> None:
    """Fetch, measure, answer.

    Raises:
        TaskGoneError: it is not ours any more.
        UnreachableError: the server stayed away; it has given the task back by then.
    """
    try:
        pulse = Pulse(server, task)
        files = [
            server.download(
                f"{task.path}/graphs/{at}", graph["sha256"], graph["size_bytes"], pulse
            )
            for at, graph in enumerate(task.graphs)
        ]
        result = measured(task, files, pulse)
        server.ask(f"{task.path}/result", result, patience_s=RESULT_PATIENCE_S)
    except RefusedError as error:
        raise TaskGoneError(str(error)) from error


def measured(task: Task, files: list[bytes], rest: Callable[[], bool]) -> dict[str, Any]:
    """The answer to a task: all runs, what could not be run, the drift, the power.

    Where the runtime fails in mid-run, nothing counts: its error is the reason of all graphs.
    """
    started = time.monotonic()
    calls, failed = _loaded(task, files, rest)
    if not calls:
        return _answer({}, failed, None, None, started)
    try:
        runs, drift, power = _timed(task, calls, rest)
    except TaskGoneError:
        raise
    except Exception as error:  # noqa: BLE001 - as in _loaded
        reason = f"Measuring ended early. {_reason(error)}"[:_LONGEST_REASON]
        logger.warning(reason)
        names = dict.fromkeys(name for name, _ in calls)
        failed += [{"name": name, "reason": reason} for name in names]
        return _answer({}, failed, None, None, started)
    return _answer(runs, failed, drift, power, started)


def _timed(
    task: Task, calls: dict[GraphKey, Call], rest: Callable[[], bool]
) -> tuple[dict[GraphKey, list[float]], dict[str, float], dict[str, Any] | None]:
    """All runs, the drift, the power."""
    reference = _on_fewest_threads(calls, task.reference) or next(iter(calls.values()))
    first_ms = reference_ms(reference, rest)
    method = scattered_runs if task.kind == "calibrate" else paired_runs
    runs = method(calls, task.seconds, rest)
    drift = {"first_ms": first_ms, "last_ms": reference_ms(reference, rest)}
    return runs, drift, _power(task, calls, rest)


def _loaded(
    task: Task, files: list[bytes], rest: Callable[[], bool]
) -> tuple[dict[GraphKey, Call], list[dict[str, str]]]:
    calls: dict[GraphKey, Call] = {}
    failed: dict[str, str] = {}
    for graph, data in zip(task.graphs, files):
        for threads in graph["threads"]:
            rest()
            try:
                calls[graph["name"], threads] = graph_call(data, threads)
            except Exception as error:  # noqa: BLE001 - the runtime has no common error; each becomes a reason
                failed[graph["name"]] = _reason(error)
    kept = {key: call for key, call in calls.items() if key[0] not in failed}
    return kept, [{"name": name, "reason": reason} for name, reason in failed.items()]


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:_LONGEST_REASON]


def _power(
    task: Task, calls: dict[GraphKey, Call], rest: Callable[[], bool]
) -> dict[str, Any] | None:
    """Of the networks that the task names; of one alone where the meter needs long for each."""
    meter = power_meter()
    if meter is None:
        return None
    patient = task.kind == "calibrate"
    most = max(1, int(_POWER_S / meter.least_s)) if patient else len(task.powered)
    on_fewest = {name: _on_fewest_threads(calls, name) for name in task.powered[:most]}
    return power_of(meter, {n: call for n, call in on_fewest.items() if call}, rest) or None


def _on_fewest_threads(calls: dict[GraphKey, Call], name: str) -> Call | None:
    found = {threads: call for (of, threads), call in calls.items() if of == name}
    return found[min(found)] if found else None


def _answer(
    runs: dict[GraphKey, list[float]],
    failed: list[dict[str, str]],
    drift: dict[str, float] | None,
    power: dict[str, Any] | None,
    started: float,
) -> dict[str, Any]:
    return {
        "runs": [
            {"name": name, "threads": threads, "runs_ms": times}
            for (name, threads), times in runs.items()
        ],
        "failed": failed,
        "drift": drift,
        "power": power,
        "seconds": time.monotonic() - started,
    }
