"""What decisions that are still to come may bring: a rough sum of single effects, at several prices of damage."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import DAMAGE, ENERGY, LATENCY, N_COLUMNS, SIZE

if TYPE_CHECKING:
    from selector.pricing import CostTables
    from selector.reward import Preferences
    from selector.tables import Array, BoolArray, IntArray

PRICES = (0.005, 0.03, 0.15)
"""Score that one unit of damage (sqrt of KL) is taken to cost: from daring to careful."""

_OF_A_LIMIT = 0.1  # what saving is worth where a limit is set, besides its weight
_COSTS = [LATENCY, ENERGY, SIZE]


class Prospects:
    """Effects of every action on the network as it came, on each target in each precision.

    Effects of several changes do not simply add up; the sums are a first guess at what a recipe can become,
    which the agent learns to correct.
    """

    def __init__(self, costs: CostTables) -> None:
        self._costs, space = costs, costs.space
        self._base = costs.totals(
            space.untouched(len(costs.targets)), np.arange(len(costs.targets))
        )
        n_precisions = int(space.counts[-1])
        configs = space.untouched(len(costs.targets) * n_precisions)
        configs[:, -1] = np.tile(np.arange(n_precisions), len(costs.targets))
        target = np.repeat(np.arange(len(costs.targets)), n_precisions)
        totals = costs.totals(configs, target)
        shape = (len(configs), *space.mask.shape, N_COLUMNS)
        effects = np.zeros(shape)
        for decision in range(space.n_decisions - 1):
            after = costs.lookahead(configs, decision, totals, target)
            effects[:, decision, : after.shape[1]] = after - totals[:, None]
        self._effects = effects.reshape(len(costs.targets), n_precisions, *shape[1:])

    def changes(
        self, wants: Preferences, configs: IntArray, decisions: IntArray, mask: BoolArray
    ) -> Array:
        """``[B, T, K, 7]`` what totals would change by if a decision were taken at each of ``PRICES``.

        Compared with what ``configs [B, D]`` say there now. Nothing is expected of the precision.
        """
        effects = self._effects[wants.target[:, None], configs[:, -1:], decisions]
        relative = -effects[..., _COSTS] / self._base[wants.target][:, None, None, _COSTS]
        worth = wants.weights[:, 1:] / wants.best_log2
        worth = worth + _OF_A_LIMIT * np.isfinite(wants.limits[:, 1:])
        saved = np.einsum("btaq,bq->bta", relative, worth)
        saved = np.where(mask[decisions], saved, -np.inf)
        rows, steps = np.ogrid[: len(configs), : len(decisions)]
        now = effects[rows, steps, configs[:, decisions]]
        found = np.empty((*now.shape[:2], len(PRICES), N_COLUMNS))
        for k, price in enumerate(PRICES):
            best = (saved - price * effects[..., DAMAGE]).argmax(axis=2)
            found[:, :, k] = effects[rows, steps, best] - now
        return found

    def completed(self, totals: Array, changes: Array, wants: Preferences) -> Array:
        """``[B, K, A, 7]`` totals ``[B, A, 7]`` with changes ``[B, K, 7]`` to come, kept within reason."""
        found = totals[:, None] + changes[:, :, None]
        least = self._least(wants)[:, None, None]
        return np.asarray(np.maximum(found, np.minimum(least, totals[:, None])))

    def _least(self, wants: Preferences) -> Array:
        """``[B, 7]`` what no recipe goes below."""
        base = self._base[wants.target]
        least = base / 50.0
        least[:, _COSTS] = wants.base * 2.0**-wants.best_log2
        least[:, DAMAGE] = 0.0
        return least
