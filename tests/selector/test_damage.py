from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from compression.cost import load_device
from selector.action_space import ActionSpace
from selector.cell_prices import DAMAGE
from selector.damage import row_damage
from selector.pricing import CostTables
from tests.selector.synthetic_tables import lenet_tables

ROW, THINNING, STRUCTURE, WIDTH = 4, 2, 1, 3


def with_pairs(tables, **pairs):
    """``thinned_narrow=4.0``: the divergence of named pairs of changes to one row."""
    cells = {
        "rebuilt_narrow": (ROW, 0, STRUCTURE, WIDTH),
        "thinned_narrow": (ROW, THINNING, 0, WIDTH),
        "thinned_rebuilt": (ROW, THINNING, STRUCTURE, 0),
    }
    return replace(
        tables,
        pair_cells=np.array([cells[name] for name in pairs]),
        kl_pair=np.array(list(pairs.values())),
    )


def test_changes_of_one_row_add_up_until_a_pair_was_measured():
    tables = lenet_tables()
    damage = row_damage(tables)[ROW]
    assert damage[0, 0, 0] == 0
    assert damage[THINNING, STRUCTURE, WIDTH] == pytest.approx(
        damage[THINNING, 0, 0] + damage[0, STRUCTURE, 0] + damage[0, 0, WIDTH]
    )


def test_a_measured_pair_counts_wherever_it_occurs():
    plain = row_damage(lenet_tables())[ROW]
    damage = row_damage(with_pairs(lenet_tables(), rebuilt_narrow=9.0))[ROW]
    assert damage[0, STRUCTURE, WIDTH] == pytest.approx(3.0)
    assert damage[THINNING, STRUCTURE, WIDTH] == pytest.approx(3.0 + plain[THINNING, 0, 0])
    others = np.ones(damage.shape, dtype=bool)
    others[:, STRUCTURE, WIDTH] = False
    assert damage[others] == pytest.approx(plain[others])


def test_three_changes_do_at_least_what_any_two_of_them_do():
    tables = with_pairs(
        lenet_tables(), rebuilt_narrow=4.0, thinned_narrow=0.0, thinned_rebuilt=0.0
    )
    assert row_damage(tables)[ROW][THINNING, STRUCTURE, WIDTH] >= 2.0


def test_pairs_are_priced_alike_at_once_and_change_by_change():
    tables = with_pairs(lenet_tables(), rebuilt_narrow=9.0, thinned_narrow=2.0)
    space = ActionSpace(tables)
    costs = CostTables(tables, space, [load_device("this-host")])
    configs = space.sample(space.mask, 60, np.random.default_rng(1))
    totals = costs.totals(configs)
    plain = CostTables(lenet_tables(), space, [load_device("this-host")]).totals(configs)
    assert (totals[:, DAMAGE] > plain[:, DAMAGE] + 0.1).any()
    for decision in range(space.n_decisions):
        ahead = costs.lookahead(configs, decision, totals)
        for action in np.flatnonzero(space.mask[decision]):
            changed = configs.copy()
            changed[:, decision] = action
            assert ahead[:, action] == pytest.approx(costs.totals(changed))
