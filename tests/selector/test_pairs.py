from dataclasses import replace

import numpy as np

from compression.cost import device_names, load_device
from selector.pairs import telling_pairs
from selector.surrogate import Surrogate
from tests.selector.synthetic_tables import lenet_tables

TARGETS = [load_device(name) for name in device_names()[:2]]


def test_pairs_are_two_changes_to_one_row_and_the_same_for_a_seed():
    surrogate = Surrogate(lenet_tables())
    cells = telling_pairs(surrogate, TARGETS, 30, seed=5)
    assert 0 < len(cells) <= 30
    assert ((cells[:, 1:] > 0).sum(axis=1) == 2).all()
    assert (cells[:, 2] > 0).all()  # a structure, and what is done upon it
    assert len(np.unique(cells, axis=0)) == len(cells)
    assert np.array_equal(cells, telling_pairs(Surrogate(lenet_tables()), TARGETS, 30, seed=5))
    assert np.array_equal(cells[:10], telling_pairs(surrogate, TARGETS, 10, seed=5))


def test_what_was_measured_is_not_asked_again():
    surrogate = Surrogate(lenet_tables())
    first = telling_pairs(surrogate, TARGETS, 10, seed=5)
    tables = replace(surrogate.tables, pair_cells=first, kl_pair=np.full(10, 0.5))
    again = telling_pairs(Surrogate(tables), TARGETS, 10, seed=5)
    assert not {tuple(cell) for cell in first.tolist()} & {tuple(c) for c in again.tolist()}
