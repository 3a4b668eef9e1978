"""Processor seconds of one candidate: applied, reconstructed, evaluated on 500 examples; and the peak memory.

``python -m benchmarks.candidate_cost STUDY_FOLDER [COUNT]``; one thread.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch

from compression.sensitivity import logits
from selector.engine import job_of
from selector.jobfolder import JobFolder
from selector.network_choice import drawn
from selector.reporter import Reporter
from selector.study import load_surrogate

EXAMPLES, SEED = 500, 2000


def main(folder: Path, count: int) -> None:
    torch.set_num_threads(1)
    space = load_surrogate(JobFolder(folder)).space
    job = job_of(JobFolder(folder), Reporter(sys.stderr))
    x = job.dataset.search.take(EXAMPLES).x
    workbench = job.workbench
    seconds = []
    for config in drawn(space, count, SEED):
        started = time.process_time()
        logits(workbench.build(space.decode(config)).network, x)
        seconds.append(time.process_time() - started)
    row = {
        "candidates": count,
        "examples": len(x),
        "median_cpu_s": round(float(np.median(seconds)), 3),
        "p90_cpu_s": round(float(np.quantile(seconds, 0.9)), 3),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }
    print(json.dumps(row))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 20)
