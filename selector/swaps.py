"""Two changes at once to one good recipe: what a limit forbids one change alone, another may pay for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.cell_prices import N_COLUMNS
from selector.pricing import Priced
from selector.reward import POINTS_PER_UNIT, quantities, score

if TYPE_CHECKING:
    from selector.changes import SingleChanges
    from selector.selection import Prepared
    from selector.tables import Array, IntArray

_PRICES = (0.0, 0.1, 0.3, 1.0, 10.0)
"""Score that one unit of a limited quantity is taken to cost, in units of the terms of the score."""

_PER_PRICE = 16
_BUILT = 12
_LEAST_GAIN = 1e-12


def swap(changes: SingleChanges, question: Prepared, start: Priced, turns: int = 3) -> Priced:
    """One configuration improved by pairs of changes, at most so many times.

    Pairs are made of changes that are efficient at some price of what is limited, and ranked by the sum of
    both effects; the best are priced exactly, so that the result is never worse.
    """
    space, costs = changes.costs.space, changes.costs
    config, totals = start.configs[0], start.totals
    here = float(question.totals_utility(totals)[0])
    for _ in range(turns):
        ahead = changes.ahead(config[None], totals)[0]
        legal = changes.legal(config[None], question.mask)[0]
        some = _efficient(
            question, ahead, legal & (config[changes.decisions] != changes.actions)
        )
        one, other = np.triu_indices(len(some), 1)
        one, other = some[one], some[other]
        apart = changes.decisions[one] != changes.decisions[other]
        one, other = one[apart], other[apart]
        if not len(one):
            break
        summed = np.maximum(ahead[one] + ahead[other] - totals[0], 0.0)
        best = np.argpartition(-question.totals_utility(summed), min(_BUILT, len(one) - 1))
        best = best[:_BUILT]
        tried = np.repeat(config[None], len(best), axis=0)
        rows = np.arange(len(best))
        for pick in (one[best], other[best]):
            tried[rows, changes.decisions[pick]] = changes.actions[pick]
        tried = space.canonical(tried)
        tried = tried[space.is_legal(tried, question.mask)]
        if not len(tried):
            break
        reached = costs.totals(tried)
        values = question.totals_utility(reached)
        top = int(values.argmax())
        if values[top] <= here + _LEAST_GAIN:
            break
        config, totals, here = tried[top], reached[top][None], float(values[top])
    return Priced(config[None], totals)


def _efficient(question: Prepared, ahead: Array, legal: Array) -> IntArray:
    """Rows of the changes worth pairing: the best few at each price of what is limited."""
    wants = question.wants
    values = quantities(question.question.surrogate, ahead.reshape(1, -1, N_COLUMNS))
    worth = score(values, wants)[0]
    limited = np.isfinite(wants.limits[0])
    limits = np.where(limited, np.maximum(wants.limits[0], 1e-12), 1.0)
    over = np.empty_like(values[0])
    over[:, 0] = (values[0, :, 0] - limits[0]) / POINTS_PER_UNIT
    over[:, 1:] = np.log2(np.maximum(values[0, :, 1:], 1e-12) / limits[1:]) / wants.best_log2
    burden = (over * limited).sum(axis=1)
    prices = _PRICES if limited.any() else _PRICES[:1]
    found = [
        np.argsort(-np.where(legal, worth - price * burden, -np.inf))[:_PER_PRICE]
        for price in prices
    ]
    some: IntArray = np.unique(np.concatenate(found))
    return np.asarray(some[legal[some]])
