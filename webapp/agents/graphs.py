"""The files of a task: graphs of the kit, the two networks of a build, or a study's best candidates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.cost import latency_ms, precision_of
from webapp.agents.models import TaskKind
from webapp.devices.fitting import known_profile, prior_profile
from webapp.devices.kit import kit_graphs
from webapp.devices.networks import Timed, finalists, timed
from webapp.jobs.folders import sha256_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from webapp.agents.models import Agent, DeviceTask
    from webapp.devices.models import OwnDevice
    from webapp.jobs.models import Job

REFERENCE = "mobile"
"""The graph of the kit that tells drift, and what more threads bring."""

MOST_FINALISTS = 12

POWERED = (REFERENCE, "conv3x3-64", "dense-1024")
"""Those whose power is asked for: a mixture first, then what keeps the arithmetic and the memory busy."""


def task_graphs(task: DeviceTask, agent: Agent) -> list[dict[str, Any]]:
    """What a task is about, with hashes that tell the agent that a file came whole.

    Raises:
        RequestRefusedError: a network is gone.
    """
    device = task.device
    if task.job and task.kind in NETWORKS_OF:
        return [
            _row(device, name, [device.threads]) for name in NETWORKS_OF[task.kind](task.job)
        ]
    every = sorted({device.threads, *thread_numbers(agent.facts.get("cores", 1))})
    return [
        _row(device, name, every if name == REFERENCE else [device.threads])
        for name in kit_graphs()
    ]


def build_networks(job: Job) -> tuple[str, str]:
    """The names of a build's original and of the file that its report is about."""
    result = job.artifacts.filter(primary=True).first()
    return f"model:{job.study_id}", f"artifact:{result.pk if result else 0}"


def finalist_networks(job: Job) -> tuple[str, ...]:
    """The names of a study's original and of the best candidates that it built."""
    return f"model:{job.id}", *finalists(job, MOST_FINALISTS)


NETWORKS_OF: dict[str, Callable[[Job], tuple[str, ...]]] = {
    TaskKind.VALIDATE: build_networks,
    TaskKind.FINALISTS: finalist_networks,
}


def graph_path(task: DeviceTask, number: int) -> Path | None:
    """The file of one of a task's graphs, by its place; ``None`` when there is none."""
    rows = task.payload["graphs"]
    return _network(task.device, rows[number]["name"]).path if number < len(rows) else None


def thread_numbers(cores: int) -> list[int]:
    """1, 2, 4 … and all."""
    return [*(2**power for power in range(cores.bit_length()) if 2**power < cores), cores]


def _row(device: OwnDevice, name: str, threads: list[int]) -> dict[str, Any]:
    network, known = _network(device, name), known_profile(device)
    return {
        "name": name,
        "title": network.title,
        "threads": threads,
        "sha256": sha256_of(network.path),
        "size_bytes": network.path.stat().st_size,
        "predicted_ms": float(latency_ms(network.features, known, precision_of(known))),
    }


def _network(device: OwnDevice, name: str) -> Timed:
    """What a name stands for, among what the device's owner may time."""
    return timed(owner=device.owner, name=name, prior=prior_profile(device))
