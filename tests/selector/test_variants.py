from __future__ import annotations

import numpy as np
import pytest

from compression.cost import load_device
from selector.surrogate import Surrogate
from selector.variants import Changes, Variants
from tests.selector.synthetic_tables import lenet_tables, residual_tables, toy_tables

TARGETS = ("this-host", "redmi-3s")


def changed(space, config, rng, count):
    """Variants with one layer each treated otherwise, its other decisions unsaid or not; and what they mean."""
    full, found = np.repeat(config[None], count, axis=0), []
    for variant in range(count):
        decision = int(rng.integers(space.n_decisions))
        layer = space.decisions[decision].layer
        same = [d for d, other in enumerate(space.decisions) if other.layer == layer]
        unsaid = [d for d in same if d != decision and config[d] and rng.random() < 0.5]
        action = int(
            rng.choice(np.flatnonzero(space.legal(config[None], decision, space.mask)[0]))
        )
        for d, value in ((decision, action), *((d, 0) for d in unsaid)):
            found.append((variant, d, value))
            full[variant, d] = value
    return Changes(*np.array(found).T), space.canonical(full)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("tables", [lenet_tables(), residual_tables(), toy_tables()])
def test_variants_cost_what_the_whole_recipes_do(tables, target):
    surrogate, rng = Surrogate(tables), np.random.default_rng(0)
    costs, space = surrogate.costs((load_device(target),)), surrogate.space
    for config in space.sample(space.mask, 10, rng):
        changes, configs = changed(space, config, rng, 40)
        found = Variants(costs, config).totals(changes, len(configs))
        assert found == pytest.approx(costs.totals(configs), rel=1e-9, abs=1e-9)


def test_what_changes_nothing_costs_the_same():
    surrogate = Surrogate(toy_tables())
    costs, config = surrogate.costs((load_device("rpi4"),)), surrogate.space.untouched()[0]
    nothing = Changes(*np.zeros((3, 0), dtype=np.int64))
    found = Variants(costs, config).totals(nothing, 2)
    assert np.array_equal(found, np.repeat(costs.totals(config[None]), 2, axis=0))
