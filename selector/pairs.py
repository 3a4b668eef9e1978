"""Which pairs of changes to one row are worth measuring: those that good recipes would hold."""

from __future__ import annotations

from collections import Counter
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from selector.proposals import local_bests

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from compression.cost import DeviceProfile
    from selector.action_space import ActionSpace
    from selector.surrogate import Surrogate
    from selector.tables import IntArray

STRUCTURE = 2
"""Where a cell names the structure."""


def telling_pairs(
    surrogate: Surrogate, targets: Sequence[DeviceProfile], most: int, seed: int
) -> IntArray:
    """``[<= most, 4]`` cells (see ``StudyTables.pair_cells``) not measured yet, the most frequent near the front first.

    Pairs of a width and a thinning are left out: of 83 none did more than 1.1 times the sum of the two.
    Deterministic for a seed, so that every process that asks finds the same.
    """
    space = surrogate.space
    asked = local_bests(surrogate, targets, seed, unsure=True)
    front = np.concatenate([space.untouched(), *(ends for _, ends in asked)])
    found = Counter(cell for config in front for cell in unknown_pairs(surrogate, config))
    ranked = sorted(found, key=lambda cell: (-found[cell], cell))
    return np.array(ranked[:most], dtype=np.int64).reshape(-1, 4)


def unknown_pairs(surrogate: Surrogate, config: IntArray) -> list[tuple[int, ...]]:
    """The cells of pairs in a recipe ``[D]`` that nobody has measured, and that may do more than their sum."""
    known = surrogate.tables.known_pairs
    pairs = _pairs(surrogate.space, config)
    return [cell for cell in pairs if cell[STRUCTURE] and cell not in known]


def _pairs(space: ActionSpace, config: IntArray) -> Iterator[tuple[int, ...]]:
    """Every two changes that a recipe makes to the same row."""
    changes: dict[int, list[tuple[int, ...]]] = {}
    for d in np.flatnonzero(config).tolist():
        action = space.decisions[d].actions[config[d]]
        row = space.decisions[d].row
        if row >= 0:
            cell = (action.thinning, action.structure, action.width)
            changes.setdefault(row, []).append(cell)
    for row, cells in changes.items():
        for one, other in combinations(cells, 2):
            yield (row, *(a + b for a, b in zip(one, other, strict=True)))
