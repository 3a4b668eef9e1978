"""This computer as a device of one's own: calibrated by the kit alone, judged by networks it never timed.

``python -m benchmarks.devices.own [PRIOR...]`` times the kit in ONNX Runtime (one thread, as a client of
``/devices/kit/`` would), fits a profile from each device of the catalogue named, then builds random
recipes of both samples, times them in the same way and compares; then once more with some of those
networks in the calibration, as a connected device times candidates. About two minutes.
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from compression.calibration import Measurement, calibrated
from compression.cost import band, latency_ms, load_device
from compression.runtime import quiet_session
from compression.types import Precision, Stage
from selector.engine import job_of, prepare, run_stage
from selector.host_times import costs
from selector.network_choice import drawn
from selector.network_timing import network_files
from selector.reporter import Reporter
from selector.surrogate import Surrogate
from webapp.devices.kit import kit_graphs

if TYPE_CHECKING:
    from compression.cost import Array, DeviceProfile
    from selector.job import Job

SAMPLES = Path(__file__).parents[2] / "webapp" / "samples"
NAMES = ("digits", "motion")
PRIORS = ("rpi5", "rpi4", "iphone-15")
RECIPES, SEED = 30, 2000
OWN_NETWORKS = (1, 5, 12)
"""How many of a sample's networks enter the calibration: the original, and others drawn at random."""

WARM_UP, LEAST_RUNS, MOST_RUNS, GRAPH_S = 5, 15, 60, 1.0


class Known(NamedTuple):
    """Networks with features ``[N, 9]`` and their median times ``[N]`` here."""

    features: Array
    times_ms: Array


def main(priors: tuple[str, ...]) -> None:
    """One line a prior and sample."""
    begun = time.monotonic()
    kit = [
        Measurement(
            graph.name,
            np.array(graph.features),
            runs_ms(graph.path.read_bytes()),
            is_piece=True,
        )
        for graph in kit_graphs().values()
    ]
    print(f"The kit took {time.monotonic() - begun:.0f} s.\n", flush=True)
    samples = {name: candidates(name) for name in NAMES}
    print(
        "| starts from | networks | before: median / p90 | after: median / p90 | within 10 % | band | inside |"
    )
    print("|---|---|---|---|---|---|---|")
    for prior in map(load_device, priors):
        found = calibrated(prior, kit)
        each = np.exp(found.before), np.exp(found.after)
        print(line(prior, "kit, each from the others", *each, found.profile))
        for name, known in samples.items():
            before, after = (ratios(device, known) for device in (prior, found.profile))
            print(line(prior, f"{len(known.times_ms)} of {name}", before, after, found.profile))
            for count in OWN_NETWORKS:
                print(with_own(prior, kit, known, count), flush=True)


def with_own(prior: DeviceProfile, kit: list[Measurement], known: Known, count: int) -> str:
    """The row for so many networks of the sample timed along; they are not judged."""
    chosen = np.random.default_rng(SEED).permutation(np.arange(1, len(known.times_ms)))
    timed = [0, *chosen[: count - 1]]
    own = [
        Measurement(f"own {i}", known.features[i], (float(known.times_ms[i]),)) for i in timed
    ]
    profile = calibrated(prior, [*kit, *own]).profile
    rest = Known(*(np.delete(values, timed, axis=0) for values in known))
    before, after = (ratios(device, rest) for device in (prior, profile))
    return line(prior, f"the rest, {count} of them timed too", before, after, profile)


def runs_ms(model: bytes) -> tuple[float, ...]:
    """Every timed run of a file on inputs between 0 and 1."""
    session = quiet_session(model)
    entry = session.get_inputs()[0]
    shape = [size if isinstance(size, int) else 1 for size in entry.shape]
    feed = {entry.name: np.random.default_rng(0).random(shape, np.float32)}
    for _ in range(WARM_UP):
        session.run(None, feed)
    runs: list[float] = []
    until = time.monotonic() + GRAPH_S
    while len(runs) < LEAST_RUNS or (len(runs) < MOST_RUNS and time.monotonic() < until):
        start = time.perf_counter()
        session.run(None, feed)
        runs.append(1e3 * (time.perf_counter() - start))
    return tuple(runs)


def candidates(name: str) -> Known:
    """Random float recipes of a sample, built without fitting and timed."""
    with tempfile.TemporaryDirectory() as folder:
        job = inspected(name, Path(folder))
        surrogate = Surrogate(costs(job))
        configs = np.concatenate(
            [surrogate.space.untouched(), drawn(surrogate.space, RECIPES, SEED)]
        )
        times = [
            float(np.median(runs_ms(network_files(job, surrogate.space, config)[0])))
            for config in configs
        ]
    features = [surrogate.network_features(config) for config in configs]
    return Known(np.array(features), np.array(times))


def inspected(name: str, folder: Path) -> Job:
    """A job of the sample that knows its model and data."""
    files = {"model": SAMPLES / name / "model.onnx", "data": SAMPLES / name / "data.npz"}
    request = folder / "request.json"
    values = {key: str(path) for key, path in files.items()} | {"threads": 1}
    request.write_text(json.dumps(values), encoding="utf-8")
    job_folder = prepare(request, folder / "job")
    run_stage(Stage.INSPECT, job_folder, Reporter(io.StringIO()), None)
    return job_of(job_folder, Reporter(io.StringIO()))  # one that knows no time limit


def ratios(device: DeviceProfile, known: Known) -> Array:
    """``[N]`` predicted over measured times."""
    return latency_ms(known.features, device, Precision.FP32) / known.times_ms


def line(
    prior: DeviceProfile, what: str, before: Array, after: Array, own: DeviceProfile
) -> str:
    """A row of the table; ``before`` and ``after`` are predicted over measured times."""
    low, high = band(own)[:2]
    inside = np.mean((after * low <= 1) & (after * high >= 1))
    off = [np.abs(each - 1) for each in (before, after)]
    cells = (
        *(prior.title, what),
        *(f"{np.median(each):.1%} / {np.quantile(each, 0.9):.1%}" for each in off),
        *(f"{np.mean(off[1] < 0.1):.0%}", f"x/÷ {high:.2f}", f"{inside:.0%}"),
    )
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(tuple(sys.argv[1:]) or PRIORS)
