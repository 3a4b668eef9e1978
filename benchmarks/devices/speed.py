"""How fast recipes are priced on a modelled device: ``python -m benchmarks.devices.speed``.

One sum is one layer of one candidate looked up and added, all six columns of it (latency, energy, bytes,
multiply-adds, parameters, damage), on a residual network's tables. One thread.
"""

from __future__ import annotations

import time

import numpy as np

from compression.cost import load_device
from selector.action_space import ActionSpace
from selector.pricing import CostTables
from tests.selector.synthetic_tables import residual_tables

CANDIDATES, ROUNDS = 20_000, 7


def main() -> None:
    """Print the median of a few rounds."""
    tables = residual_tables(blocks=8)
    space = ActionSpace(tables)
    costs = CostTables(tables, space, (load_device("rpi4"),))
    configs = space.sample(space.mask, CANDIDATES, np.random.default_rng(0))
    seconds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        costs.totals(configs)
        seconds.append(time.process_time() - started)
    layers = len(tables.layers)
    rate = CANDIDATES * layers / float(np.median(seconds)) / 1e6
    print(
        f"{layers} layers, {CANDIDATES:,} candidates: {rate:.1f} M candidate-layer sums a second"
    )


if __name__ == "__main__":
    main()
