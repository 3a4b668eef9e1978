"""Which of many recipes nobody would trade: non-dominated sets and a spread along them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from selector.tables import Array, BoolArray, IntArray


def front(costs: Array) -> BoolArray:
    """``[N]`` which rows of ``costs [N, M]`` (less is better) no other row beats everywhere.

    Of identical rows only the first is kept.
    """
    order = np.lexsort(costs.T[::-1])
    kept: list[int] = []
    for index in order:
        # Sorted by the first column: whatever could dominate a row comes before it.
        others = costs[kept]
        if not (others <= costs[index]).all(axis=1).any():
            kept.append(int(index))
    mask = np.zeros(len(costs), dtype=np.bool_)
    mask[kept] = True
    return mask


def spread(points: Array, count: int, first: tuple[int, ...] = ()) -> IntArray:
    """Indices of at most ``count`` rows of ``points [N, M]``, far from each other.

    Starts from the rows ``first`` (else from row 0) and adds the row farthest from all chosen ones;
    of equals the earlier.
    """
    chosen = list(first) or [0]
    distance = np.full(len(points), np.inf)
    for index in chosen:
        distance = np.minimum(distance, np.linalg.norm(points - points[index], axis=1))
    while len(chosen) < min(count, len(points)):
        farthest = int(distance.argmax())
        if distance[farthest] <= 0:
            break
        chosen.append(farthest)
        distance = np.minimum(distance, np.linalg.norm(points - points[farthest], axis=1))
    return np.array(chosen[:count], dtype=np.int64)
