from __future__ import annotations

import numpy as np

from selector.pareto import front, spread


def test_front_is_what_brute_force_finds():
    costs = np.random.default_rng(0).integers(0, 6, (300, 3)).astype(float)
    found = front(costs)
    kept = costs[found]
    assert len(np.unique(kept, axis=0)) == len(kept)
    for row in costs:
        dominated = ((costs <= row).all(axis=1) & (costs < row).any(axis=1)).any()
        assert dominated != (kept == row).all(axis=1).any()


def test_spread_takes_the_farthest_and_no_twin():
    points = np.array([[0.0], [0.1], [10.0], [10.0], [5.0]])
    assert spread(points, 3).tolist() == [0, 2, 4]
    assert sorted(spread(points, 9).tolist()) == [0, 1, 2, 4]
