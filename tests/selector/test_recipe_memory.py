from functools import cache

import numpy as np
import pytest

from compression import technique
from compression.building import Workbench
from compression.onnx_import import import_onnx
from compression.suitability import Model, Tensor
from selector.layout import lay_out
from selector.recipe_memory import recipe_peak
from selector.surrogate import Surrogate
from selector.tabulation import LOOKUP_PRECISIONS, Measurements, operations, tabulate, timed
from tests import networks

NETWORKS = ["small_lenet", "resnet", "inception"]


@cache
def original(name):
    return import_onnx(getattr(networks, name)())


@cache
def surrogate(name):
    layout = lay_out(original(name).profile, technique.names())
    ops = {op for cell in operations(layout).values() for op in cell}
    measured = Measurements(
        kl={},
        op_ms={
            (timed(op), p): 1e-6 * (op.macs + 1000) for op in ops for p in LOOKUP_PRECISIONS
        },
        floor_ms=0.004,
        file_bytes=(50_000, 25_000, 15_000, 10_000, 15_000),
        meta={},
    )
    return Surrogate(tabulate(layout, measured))


def predicted(name, config):
    profile = original(name).profile
    start = Tensor.of(profile.input_name, (), profile.input_shape)
    return recipe_peak(surrogate(name), config, start, profile.layers, profile.output_layers)


def built(name, config):
    network = original(name)
    x = np.zeros((2, *network.profile.input_shape), np.float32)
    found = Workbench.of(network, x).build(surrogate(name).space.decode(config), fit=False)
    return Model.of(found.network.profile, 0).memory.activation_elements


def drawn(name, count, only_narrower=False):
    space = surrogate(name).space
    mask = space.mask.copy()
    for number, decision in enumerate(space.decisions):
        if only_narrower and not decision.narrows:
            mask[number, 1:] = False
    return space.sample(mask, count, np.random.default_rng(0))


@pytest.mark.parametrize("name", NETWORKS)
def test_network_as_it_came_has_the_peak_of_its_profile(name):
    config = surrogate(name).space.untouched()[0]
    peak = predicted(name, config)
    assert peak == (Model.of(original(name).profile, 0).memory.activation_elements, True)


@pytest.mark.parametrize("name", NETWORKS)
def test_peak_of_a_narrowed_network_is_that_of_the_built_one(name):
    space = surrogate(name).space
    narrowest = [x.narrows * (len(x.actions) - 1) for x in space.decisions]
    for config in (np.array(narrowest), *drawn(name, 2, only_narrower=True)):
        assert predicted(name, config) == (built(name, config), True)
    whole = predicted(name, space.untouched()[0])
    assert predicted(name, np.array(narrowest)).elements < whole.elements / 2


@pytest.mark.parametrize("name", NETWORKS)
def test_built_network_never_takes_more_than_was_said(name):
    for config in drawn(name, 4):
        peak = predicted(name, config)
        assert not peak.is_exact
        assert built(name, config) <= peak.elements


def test_each_way_to_build_a_layer_stays_within_what_was_said():
    space = surrogate("small_lenet").space
    for number, decision in enumerate(space.decisions):
        for action in range(1, len(decision.actions) if decision.builds else 1):
            config = space.untouched()[0]
            config[number] = action
            assert built("small_lenet", config) <= predicted("small_lenet", config).elements
