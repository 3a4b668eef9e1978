"""What an agent may send: sizes, kinds and ranges, checked before anything is believed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from webapp.agents.models import DeviceTask, TaskKind
from webapp.devices.agent.protocol import FEWEST_RUNS, MOST_RUNS
from webapp.responses import RequestRefusedError

MOST_MS = 600_000.0
Text = Annotated[str, Field(max_length=200)]
Milliseconds = Annotated[float, Field(gt=0, le=MOST_MS, allow_inf_nan=False)]
Watts = Annotated[float, Field(ge=0, le=1000, allow_inf_nan=False)]


class Said(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Introduction(Said):
    """An agent, its runtime and its machine."""

    protocol: int
    version: Text
    python: Text
    numpy: Text
    onnxruntime: Text
    system: Text
    machine: Text
    processor: Text
    cores: int = Field(ge=1, le=1024)


class Runs(Said):
    name: Text
    threads: int
    runs_ms: list[Milliseconds] = Field(min_length=FEWEST_RUNS, max_length=MOST_RUNS)


class Failure(Said):
    name: Text
    reason: str = Field(max_length=300)


class Drift(Said):
    """The reference before and after everything else."""

    first_ms: Milliseconds
    last_ms: Milliseconds


class Power(Said):
    source: Text
    idle_w: Watts
    active_w: Watts
    run_mj: float = Field(gt=0, le=1e9, allow_inf_nan=False)


class TaskResult(Said):
    runs: list[Runs] = Field(max_length=200)
    failed: list[Failure] = Field(max_length=200)
    drift: Drift | None
    power: dict[Text, Power] | None = Field(max_length=200)
    seconds: float = Field(ge=0, allow_inf_nan=False)


def result_read(task: DeviceTask, body: bytes) -> TaskResult:
    """The result of a task.

    Raises:
        RequestRefusedError: when it is not what the task asked for, with the first thing wrong.
    """
    try:
        result = TaskResult.model_validate_json(body)
    except ValidationError as error:
        raise RequestRefusedError(first_fault(error), code="invalid", status=422) from error
    if complaint := _mismatch(task, result):
        raise RequestRefusedError(complaint, code="invalid", status=422)
    return result


def first_fault(error: ValidationError) -> str:
    """The first thing wrong, with its place."""
    first = error.errors()[0]
    place = ".".join(str(step) for step in first["loc"])
    return f"{place}: {first['msg']}." if place else f"{first['msg']}."


def _mismatch(task: DeviceTask, result: TaskResult) -> str:
    asked = {(row["name"], n) for row in task.payload["graphs"] for n in row["threads"]}
    told = [(runs.name, runs.threads) for runs in result.runs]
    if len(told) > len(set(told)):
        return "A graph was measured twice in one result."
    if strange := set(told) - asked:
        name, threads = min(strange)
        return f"{name} on {threads} threads was not asked for."
    failed = {failure.name for failure in result.failed}
    if strangers := failed - {name for name, _ in asked}:
        return f"{min(strangers)} was not asked for."
    if missing := {key for key in asked - set(told) if key[0] not in failed}:
        name, threads = min(missing)
        return f"{name} on {threads} threads is missing."
    is_paired = task.kind != TaskKind.CALIBRATE
    if is_paired and len({len(runs.runs_ms) for runs in result.runs}) > 1:
        return (
            "The rounds of original and compressed model differ in number; they are no pairs."
        )
    return ""
