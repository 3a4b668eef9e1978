"""What is done to one row damages the answers jointly: measured alone, and in pairs where it counts.

Changes of different rows add up as sqrt(KL). Changes of one row do not: a rank that is harmless for the
whole layer leaves nothing of the same layer narrowed to a quarter. So pairs of one row are measured
too, as far as recipes near the front hold them, and what they damage beyond the sum counts as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from selector.tables import Array, StudyTables


def row_damage(tables: StudyTables) -> Array:
    """``[L, V, S, W]`` sqrt(KL in nats) of what is done to a row: thinning, structure, own width.

    The sum of what each does alone, and of what each measured pair does beyond its sum (or short of
    it); at least what any pair among them does.
    """
    singles = _singles(tables)
    total, least = singles.copy(), np.zeros_like(singles)
    for (row, *cell), kl in zip(tables.pair_cells.tolist(), tables.kl_pair, strict=True):
        # What the pair leaves open may be anything.
        where = (row, *(index or slice(None) for index in cell))
        joint = np.sqrt(max(float(kl), 0.0))
        total[where] += joint - singles[(row, *cell)]
        least[where] = np.maximum(least[where], joint)
    return np.maximum(total, least)


def _singles(tables: StudyTables) -> Array:
    """``[L, V, S, W]`` the sum of sqrt(KL) of each change alone; a width counts at its group's leader."""
    thinning, structure, width = (
        np.sqrt(np.maximum(kl, 0.0))
        for kl in (tables.kl_thinning, tables.kl_structure, tables.kl_width)
    )
    leads = tables.leader_row[tables.out_group] == np.arange(len(tables.layers))
    own_width = width[tables.out_group] * leads[:, None]
    return np.asarray(
        thinning[:, :, None, None] + structure[:, None, :, None] + own_width[:, None, None, :]
    )
