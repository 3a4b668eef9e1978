"""What describes a decision, its choices and a device, in as many numbers for every network.

Nothing here depends on how many layers or choices a study has, so that one trained agent serves every network.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.types import LayerKind
from selector.cell_prices import ENERGY, LATENCY, SIZE
from selector.tables import PRECISIONS

if TYPE_CHECKING:
    from compression.cost import DeviceProfile
    from selector.action_space import ActionSpace
    from selector.surrogate import Surrogate
    from selector.tables import Array

KINDS = tuple(LayerKind)

VOCABULARY = (
    *("filter_pruning", "svd", "sparse_coding", "magnitude_pruning", "sparse_decomposition"),
    *("depthwise_separable", "random_sparse", "fire", "micro_mlp", "global_average_pooling"),
    *("tucker", "cp", "block_sparsity", "pool_to_stride", "merge_linear", "block_removal"),
    *("int8", "half_precision", "weight_clustering"),
)
"""Techniques with an identity of their own; any other is known by its effects alone."""

N_CHOICE = 3 + len(VOCABULARY)
N_DECISION = len(KINDS) + 4
N_DEVICE = 3 + 2 * (len(PRECISIONS) - 1)
N_NEIGHBOURS = 5 + len(PRECISIONS)


def choices(space: ActionSpace, decision: int) -> Array:
    """``[A', N_CHOICE]`` of each action: changes nothing, its rank, several at once, techniques."""
    count = int(space.counts[decision])
    found = np.zeros((count, N_CHOICE))
    found[0, 0] = 1.0
    found[:, 1] = np.arange(count) / count
    for index in range(count):
        names = space.techniques(decision, index)
        found[index, 2] = len(names) > 1
        for name in names:
            if name in VOCABULARY:
                found[index, 3 + VOCABULARY.index(name)] = 1.0
    return found


def decision(space: ActionSpace, index: int) -> Array:
    """``[N_DECISION]`` the kind of the layer, and whether it is built, narrowed, thinned, or the whole."""
    found, known = np.zeros(N_DECISION), space.decisions[index]
    if known.row >= 0:
        found[KINDS.index(space.tables.kinds[known.row])] = 1.0
    found[-4:] = known.builds, known.narrows, known.thins, known.row < 0
    return found


def device(surrogate: Surrogate, target: DeviceProfile) -> Array:
    """``[N_DEVICE]`` what sets a target apart: attainable ratios, and what each precision does there."""
    space, costs = surrogate.space, surrogate.costs((target,))
    whole = space.untouched(int(space.counts[-1]))
    whole[:, -1] = np.arange(len(whole))
    totals = costs.totals(whole)
    factors = np.zeros((len(PRECISIONS), 2))
    factors[space.precisions[-1, : len(whole)]] = np.log2(
        totals[:, [LATENCY, ENERGY]] / totals[0, [LATENCY, ENERGY]]
    )
    return np.concatenate([surrogate.best_log2(target) / 5.0, factors[1:].ravel() / 2.0])


def shares(surrogate: Surrogate, target: DeviceProfile) -> Array:
    """``[D, 3]`` of what the network costs on a target, the share of each decision's row.

    Latency, energy and storage; the decision about the whole network has no row.
    """
    space, costs = surrogate.space, surrogate.costs((target,))
    columns = [LATENCY, ENERGY, SIZE]
    base = costs.totals(space.untouched())[0, columns]
    of_rows = costs.row_totals(space.untouched()[0])[:, columns] / base
    return np.where((space.rows >= 0)[:, None], of_rows[space.rows], 0.0)


class Neighbours:
    """What has been chosen around a decision: the widths it reads and writes, and changes beside it."""

    def __init__(self, surrogate: Surrogate) -> None:
        tables, self._space = surrogate.tables, surrogate.space
        space, n_rows = surrogate.space, len(tables.layers)
        rows, builds = space.rows, np.array([x.builds for x in space.decisions])
        writes = tables.out_group[:, None] == np.arange(tables.in_share.shape[1])[None, :]
        feeds = (writes @ tables.in_share.T > 0).astype(np.float64)  # [from row, to row]
        feeds[np.arange(n_rows), np.arange(n_rows)] = 0.0
        of_row = builds[:, None] & (rows[:, None] == np.arange(n_rows)[None, :])
        around = [
            of_row @ _normed(feeds),
            of_row @ _normed(feeds.T),
            ~builds[:, None] & (rows[:, None] == np.arange(n_rows)),
        ]
        owners = np.zeros((space.n_decisions, tables.in_share.shape[1]))
        for d, known in enumerate(space.decisions):
            if known.narrows:
                owners[d, tables.out_group[known.row]] = 1.0
        steps = [owners @ tables.in_share.T / 4.0, owners @ writes.T / 4.0]
        known_rows = rows >= 0
        self._around = np.stack(around, axis=-1)[:, rows] * known_rows[None, :, None]
        self._steps = np.stack(steps, axis=-1)[:, rows] * known_rows[None, :, None]
        self._precisions = np.eye(len(PRECISIONS))[space.precisions[-1]]

    def of(self, configs: np.ndarray, decision: int) -> list[Array]:
        """Parts that together are ``[B, N_NEIGHBOURS]``, of configurations ``[B, D]``."""
        widths = self._space.widths[np.arange(configs.shape[1]), configs]
        return [
            (configs > 0) @ self._around[:, decision],
            widths @ self._steps[:, decision],
            self._precisions[configs[:, -1]],
        ]


def _normed(matrix: Array) -> Array:
    """Columns that sum to 1 where they are not empty."""
    return np.asarray(matrix / np.maximum(matrix.sum(axis=0, keepdims=True), 1.0))
