"""Predicted against measured time here: random recipes, built and timed as whole networks.

``python -m benchmarks.host_prediction NAME... [--recipes N]`` makes its own studies, of times alone
and with random weights but for LeNet's: ``lenet``, ``resnet-20``, ``alexnet``, ``mobilenet``. The
recipes are other than those PROBE timed, and timed in the same way. Every network is timed twice, in
fresh sessions and one time after all others: what the two differ by is the noise floor.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from benchmarks.cifar_networks import mobilenet_v2, resnet_20
from benchmarks.ratios_cifar_nets import alexnet, as_network
from compression.cost import load_device
from compression.types import Precision, Stage
from selector.engine import job_of, prepare, run_stage
from selector.host_latency import HOST
from selector.host_times import timed_costs
from selector.network_choice import drawn
from selector.network_timing import network_files, time_networks
from selector.reporter import Reporter
from selector.surrogate import Surrogate
from selector.tables import PRECISIONS

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import nn

    from selector.job import Job
    from selector.tables import Array, IntArray

SEED = 1000
RECIPES = 40
LENET = Path(__file__).parents[1] / "webapp" / "samples" / "digits" / "model.onnx"
MADE: dict[str, Callable[[], nn.Module]] = {
    "resnet-20": resnet_20,
    "alexnet": alexnet,
    "mobilenet": mobilenet_v2,
}
HEADER = (
    "| network | arithmetic | recipes | median error | signed | p90 error | within 10 % "
    "| stated band | within the band | noise, median | noise, p90 |"
)


def main(names: list[str], recipes: int) -> None:
    """One line a network and arithmetic."""
    print(HEADER, "|---" * HEADER.count(" | ") + "|---|", sep="\n", flush=True)
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            report(name, study(name, Path(folder)), recipes)


def study(name: str, folder: Path) -> Job:
    """A job whose model is inspected, with made-up data."""
    model = folder / f"{name}.onnx"
    model.write_bytes(
        LENET.read_bytes() if name == "lenet" else as_network(name, MADE[name]())[1]
    )
    request = folder / "request.json"
    request.write_text(json.dumps({"model": str(model), "threads": 1}), encoding="utf-8")
    (folder / "job").mkdir()
    job_folder = prepare(request, folder / "job")
    run_stage(Stage.INSPECT, job_folder, Reporter(io.StringIO()), None)
    # with a reporter that knows no time limit: all recipes are timed, however slow the machine is
    return job_of(job_folder, Reporter(io.StringIO()))


def report(name: str, job: Job, recipes: int) -> None:
    """Time the operations, fit them, predict other networks and time those."""
    begun = time.monotonic()
    tables = timed_costs(job)
    seconds = time.monotonic() - begun
    surrogate = Surrogate(tables)
    configs, measured, again = twice_timed(job, surrogate, recipes)
    predicted = surrogate.evaluate(configs, load_device(HOST)).latency_ms
    error, noise = predicted / measured - 1, np.abs(again / measured - 1)
    precision = surrogate.space.precisions[-1][configs[:, -1]]
    for index in np.unique(precision):
        chosen = precision == index
        arithmetic = "8-bit" if PRECISIONS[index] is Precision.INT8 else "float"
        print(
            line(name, arithmetic, error[chosen], noise[chosen], tables.host_band), flush=True
        )
    print(f"\n{name}: times of operations and networks took {seconds:.0f} s\n", flush=True)


def twice_timed(job: Job, surrogate: Surrogate, recipes: int) -> tuple[IntArray, Array, Array]:
    """Configurations ``[N, D]`` in both arithmetics, and two times ``[N]`` of each in ms."""
    configs = drawn(surrogate.space, recipes, SEED)
    asked = np.concatenate([surrogate.space.untouched(), configs])
    built = {config.tobytes(): network_files(job, surrogate.space, config) for config in asked}
    rows, again = (
        time_networks(job, configs, lambda config: built[config.tobytes()]) for _ in range(2)
    )
    first, second = (np.array([row.host_ms for row in each]) for each in (rows, again))
    return np.array([row.config for row in rows]), first, second


def line(name: str, arithmetic: str, error: Array, noise: Array, band: float) -> str:
    """A row of the table; errors are signed, above 0 where the prediction was too slow."""
    size = np.abs(error)
    cells = (
        *(name, arithmetic, len(error)),
        *(percent(np.median(size)), percent(np.median(error)), percent(np.quantile(size, 0.9))),
        percent((size < 0.1).mean()),
        *(percent(band), percent((size <= band).mean())),
        *(percent(np.median(noise)), percent(np.quantile(noise, 0.9))),
    )
    return "| " + " | ".join(map(str, cells)) + " |"


def percent(share: float) -> str:
    """As people read it."""
    return f"{100 * share:.1f} %"


if __name__ == "__main__":
    torch.set_num_threads(1)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="+", choices=["lenet", *MADE])
    parser.add_argument("--recipes", type=int, default=RECIPES)
    asked = parser.parse_args()
    main(asked.names, asked.recipes)
