"""Predicted against measured time here: random recipes of a study, built and timed as whole networks.

``python -m benchmarks.host_prediction STUDY_FOLDER [COUNT]``; the recipes are other than those PROBE timed.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from compression.cost import load_device
from selector.engine import job_of
from selector.host_latency import HOST
from selector.jobfolder import JobFolder
from selector.network_timing import drawn, time_networks
from selector.reporter import Reporter
from selector.study import load_surrogate

SEED = 1000


def main(folder: Path, count: int) -> None:
    surrogate = load_surrogate(JobFolder(folder))
    space = surrogate.space
    job = job_of(JobFolder(folder), Reporter(sys.stderr))
    timed = time_networks(job, space, drawn(space, count, SEED))
    configs = np.array([row.config for row in timed])
    predicted = surrogate.evaluate(configs, load_device(HOST)).latency_ms
    error = np.abs(predicted / [row.host_ms for row in timed] - 1)
    is_float = configs[:, -1] == 0
    for name, chosen in (("float", is_float), ("8-bit", ~is_float)):
        if chosen.any():
            row = {
                "recipes": int(chosen.sum()),
                "median_error": round(float(np.median(error[chosen])), 3),
                "p90_error": round(float(np.quantile(error[chosen], 0.9)), 3),
                "within_10_percent": round(float((error[chosen] < 0.1).mean()), 3),
            }
            print(name, json.dumps(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 40)
