"""Connected devices and their tasks as the pages see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from django.http import Http404

from webapp.agents.connections import is_online
from webapp.agents.graphs import MOST_FINALISTS
from webapp.agents.models import OPEN, Agent, DeviceTask, TaskKind, TaskState
from webapp.devices.models import OwnDevice
from webapp.devices.networks import finalists

if TYPE_CHECKING:
    from uuid import UUID

    from django.contrib.auth.models import User

    from webapp.jobs.models import Job

Json = dict[str, Any]

SHOWN = 5
BOOTSTRAPS = 1000
STATES = {
    "none": "Not connected",
    "offline": "Offline",
    "idle": "Connected, waiting for work",
    "busy": "Connected, measuring",
}
KINDS = {
    TaskKind.CALIBRATE: "Calibration",
    TaskKind.VALIDATE: "Measuring a build",
    TaskKind.FINALISTS: "Measuring candidates",
}


class Pair(NamedTuple):
    """Original and result timed in turns on a device, round by round in milliseconds."""

    original_ms: list[float]
    result_ms: list[float]


def device_task(*, owner: User, task_id: UUID) -> DeviceTask:
    """A task of a user's device."""
    found = DeviceTask.objects.filter(device__owner=owner, pk=task_id).first()
    if found is None:
        raise Http404("There is no such task.")
    return found


def agent_json(device: OwnDevice) -> Json:
    """Whether the device is connected, what it does, what it did last."""
    agent = Agent.objects.filter(device=device).first()
    tasks = DeviceTask.objects.filter(device=device)
    state = _state(agent, is_busy=tasks.filter(state=TaskState.LEASED).exists())
    return {
        "state": state,
        "text": STATES[state],
        "seen": agent.seen.isoformat() if agent and agent.seen else None,
        "facts": agent.facts if agent else {},
        "tasks": [task_json(task) for task in tasks[:SHOWN]],
    }


def connected_devices(owner: User) -> list[Json]:
    """A user's devices that have an agent, with their state."""
    devices = OwnDevice.objects.filter(owner=owner, agent__isnull=False)
    return [
        {"id": str(device.id), "key": device.key, "title": device.title, **_short(device)}
        for device in devices
    ]


def build_tasks(job: Job) -> list[Json]:
    """What devices were asked to measure of a build, the newest for each device."""
    tasks = job.device_tasks.select_related("device").order_by("device", "-created")
    newest = {task.device_id: task for task in reversed(tasks)}
    return [
        {
            **task_json(task),
            "device": task.device.title,
            "device_id": str(task.device_id),
            "device_state": _short(task.device),
        }
        for task in newest.values()
    ]


def measured_build(owner: User, job: Job) -> Json:
    """What devices measured of a build, and which are there to ask."""
    return {"tasks": build_tasks(job), "devices": connected_devices(owner)}


def finalists_json(device: OwnDevice, job: Job) -> Json:
    """Whether a device can be asked to time a study's candidates, and what it timed of them last."""
    tasks = job.device_tasks.filter(device=device, kind=TaskKind.FINALISTS)
    task = tasks.first()
    return {
        "device": {"title": device.title, **_short(device)},
        "count": len(finalists(job, MOST_FINALISTS)),
        "task": {**task_json(task), "device_state": _short(device)} if task else None,
        "rows": _finalist_rows(task) if task else [],
    }


def _finalist_rows(task: DeviceTask) -> list[Json]:
    """What was predicted of each network before it was timed, and what it took; failed ones are left out."""
    runs = {row["name"]: row["runs_ms"] for row in (task.result or {}).get("runs", [])}
    low, high = task.payload.get("band", (1.0, 1.0))
    graphs = [row for row in task.payload.get("graphs", []) if row["name"] in runs]
    return [_finalist(row, np.array(runs[row["name"]]), (low, high)) for row in graphs]


def _finalist(row: Json, runs_ms: Any, band: tuple[float, float]) -> Json:
    predicted, spread = row["predicted_ms"], _spread(runs_ms)
    ends = [predicted * factor for factor in band]
    return {
        "title": row["title"],
        "predicted_ms": predicted,
        "predicted_band_ms": ends,
        "measured_ms": spread,
        "inside": ends[0] <= spread["p50"] <= ends[1],
    }


def task_json(task: DeviceTask) -> Json:
    """A task, and what it measured where that was a build."""
    pair = _pair(task)
    return {
        "id": str(task.pk),
        "kind": task.kind,
        "title": KINDS[TaskKind(task.kind)],
        "state": task.state,
        "is_open": task.state in OPEN,
        "message": task.message,
        "created": task.created.isoformat(),
        "finished": task.finished.isoformat() if task.finished else None,
        "pair": pair_json(pair) if pair else None,
        "threads_ms": _threads_ms(task),
        "power": _power(task),
    }


def pair_json(pair: Pair) -> Json:
    """Medians and p10 to p90 of both, and how many times faster with the 5-95 % range of that."""
    original, result = np.array(pair.original_ms), np.array(pair.result_ms)
    ratios = original / result
    again = np.random.default_rng(0).integers(0, len(ratios), (BOOTSTRAPS, len(ratios)))
    low, high = np.quantile(np.median(ratios[again], axis=1), (0.05, 0.95))
    return {
        "original_ms": _spread(original),
        "result_ms": _spread(result),
        "rounds": len(ratios),
        "ratio": float(np.median(ratios)),
        "ratio_ci": [float(low), float(high)],
    }


def _spread(times: Any) -> Json:
    p10, p50, p90 = np.quantile(times, (0.1, 0.5, 0.9)).tolist()
    return {"p10": p10, "p50": p50, "p90": p90}


def _pair(task: DeviceTask) -> Pair | None:
    if task.kind != TaskKind.VALIDATE or not task.result:
        return None
    runs = {row["name"]: row["runs_ms"] for row in task.result["runs"]}
    names = [row["name"] for row in task.payload["graphs"]]
    return Pair(*(runs[name] for name in names)) if set(names) <= set(runs) else None


def _power(task: DeviceTask) -> list[Json]:
    """Where the device told it: the energy of one run and the power above rest, in the order of the graphs."""
    found = (task.result or {}).get("power") or {}
    rows = [
        found[row["name"]] for row in task.payload.get("graphs", []) if row["name"] in found
    ]
    return [
        {
            "source": row["source"],
            "run_mj": row["run_mj"],
            "above_rest_w": row["active_w"] - row["idle_w"],
        }
        for row in rows
    ]


def _threads_ms(task: DeviceTask) -> Json:
    """What more threads bring: the median of the graph that ran on several, by their number."""
    rows = task.result["runs"] if task.result and task.kind == TaskKind.CALIBRATE else []
    several = {row["name"] for row in rows if row["threads"] != rows[0]["threads"]}
    return {
        str(row["threads"]): float(np.median(row["runs_ms"]))
        for row in rows
        if row["name"] in several
    }


def _short(device: OwnDevice) -> Json:
    agent = Agent.objects.filter(device=device).first()
    is_busy = device.tasks.filter(state=TaskState.LEASED).exists()
    state = _state(agent, is_busy=is_busy)
    return {"state": state, "text": STATES[state]}


def _state(agent: Agent | None, *, is_busy: bool) -> str:
    if agent is None:
        return "none"
    if not is_online(agent):
        return "offline"
    return "busy" if is_busy else "idle"
