"""What a short trial tells of a long one: the same recipes fine-tuned for ever more steps.

``python -m benchmarks.recovery_law STUDY [COUNT] [STEPS...]``: a study folder after PROBE. Recipes near the front, as
VALIDATE proposes them before anything was built, are trained anew for each number of steps, one thread. Prints a JSON
line for each recipe: points lost on the search examples without fine-tuning and after each number of steps.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import torch

from selector.engine import job_of
from selector.jobfolder import JobFolder
from selector.proposals import propose
from selector.reporter import Reporter
from selector.surrogate import Surrogate
from selector.trial import TrialRun

SHARES = (1 / 12, 1 / 4, 1.0)
"""Of the steps of RECOVER."""


def main(folder: Path, count: int, steps: list[int]) -> None:
    torch.set_num_threads(1)
    job = job_of(JobFolder(folder), Reporter(io.StringIO()))
    surrogate, trials = Surrogate(job.tables), TrialRun(job)
    lengths = steps or [round(share * job.effort.recovery_steps) for share in SHARES]
    for config in propose(surrogate, count, job.targets, job.request.seed):
        recipe = surrogate.space.decode(config)
        row: dict[str, object] = {"config": config.tolist()}
        for length in lengths:
            trial = trials.run(recipe, length, lambda *_: True)
            row |= {"untuned": trial.untuned_points, str(length): trial.drop_points}
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main(
        Path(sys.argv[1]),
        int(sys.argv[2]) if len(sys.argv) > 2 else 12,
        [int(each) for each in sys.argv[3:]],
    )
