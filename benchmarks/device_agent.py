"""Predicted against measured by a device's agent, which takes this host for a device that it does not know.

``python -m benchmarks.device_agent`` calibrates a profile of another device by what the agent times of the
kit here, as a user's board is calibrated, then predicts random recipes of LeNet in float arithmetic and has
the agent time them. The rows below let some of LeNet's own networks enter the calibration, as measuring a
build on a device does; they are predicted from the rest.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from benchmarks.host_prediction import SEED, percent, study
from compression.calibration import Measurement, calibrated
from compression.cost import latency_ms, load_device
from compression.types import Precision
from selector.host_times import timed_costs
from selector.network_choice import drawn
from selector.network_timing import network_files
from selector.surrogate import Surrogate
from webapp.devices.agent.work import Task, measured
from webapp.devices.kit import kit_graphs

if TYPE_CHECKING:
    from selector.tables import Array

RECIPES = 40
PRIOR = "jetson-orin-nano"
KIT_S, RECIPES_S = 30.0, 30.0
OWN_NETWORKS = (0, 1, 2, 8)
"""How many of LeNet's networks enter the calibration; the first is the original."""


def main() -> None:
    """One line for each number of own networks."""
    names, files, features = lenet()
    begun = time.monotonic()
    kit = timed({name: graph.path.read_bytes() for name, graph in kit_graphs().items()}, KIT_S)
    seconds = time.monotonic() - begun
    own = timed(dict(zip(names, files, strict=True)), RECIPES_S)
    again = timed(dict(zip(names, files, strict=True)), RECIPES_S)
    known = [
        Measurement(name, np.array(graph.features), tuple(kit[name]), is_piece=True)
        for name, graph in kit_graphs().items()
    ]
    mine = [Measurement(n, f, tuple(own[n])) for n, f in zip(names, features, strict=True)]
    noise = np.array([np.median(again[n]) / np.median(own[n]) for n in names])
    print(
        f"kit of {len(kit)} graphs timed in {seconds:.0f} s; one session against the next: ",
        end="",
    )
    print(
        f"median {percent(np.median(np.abs(noise - 1)))}, p90 {percent(np.quantile(np.abs(noise - 1), 0.9))}"
    )
    print("| calibrated on | recipes | median error | signed | p90 error | within 10 % |")
    print("|---|---|---|---|---|---|")
    for count in OWN_NETWORKS:
        print(line(known, mine[:count], mine[max(OWN_NETWORKS) :]), flush=True)


def lenet() -> tuple[list[str], list[bytes], list[Array]]:
    """The original and random recipes: names, ONNX files, the features of the latency model."""
    with tempfile.TemporaryDirectory() as folder:
        job = study("lenet", Path(folder))
        surrogate = Surrogate(timed_costs(job))
        configs = drawn(surrogate.space, RECIPES + max(OWN_NETWORKS) - 1, SEED)
        built = [network_files(job, surrogate.space, config)[0] for config in configs]
        original = surrogate.space.untouched()[0]
        features = [surrogate.network_features(config) for config in (original, *configs)]
        names = ["original", *(f"recipe-{number}" for number in range(len(built)))]
        return names, [job.model_bytes, *built], features


def timed(files: dict[str, bytes], seconds: float) -> dict[str, list[float]]:
    """All runs in ms, by the agent's own procedure on one thread."""
    graphs = tuple({"name": name, "threads": [1]} for name in files)
    task = Task("benchmark", 1, "calibrate", graphs, next(iter(files)), (), seconds, 5.0)
    answer: dict[str, Any] = measured(task, list(files.values()), lambda: False)
    if answer["failed"]:
        raise SystemExit(f"The agent could not run {answer['failed']}.")
    return {row["name"]: row["runs_ms"] for row in answer["runs"]}


def line(known: list[Measurement], own: list[Measurement], hidden: list[Measurement]) -> str:
    """Hidden networks predicted by a profile that rests on the known ones and some of their kin."""
    profile = calibrated(load_device(PRIOR), [*known, *own]).profile
    features = np.array([row.features for row in hidden])
    times = np.array([row.milliseconds for row in hidden])
    error = latency_ms(features, profile, Precision.FP32) / times - 1
    size = np.abs(error)
    basis = f"the kit and {len(own)} of its networks" if own else "the kit"
    cells = (
        *(basis, len(hidden)),
        *(percent(np.median(size)), percent(np.median(error)), percent(np.quantile(size, 0.9))),
        percent((size < 0.1).mean()),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
