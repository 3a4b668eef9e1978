import numpy as np
import pytest
import torch

from compression import technique
from compression.building import Workbench
from compression.onnx_import import import_onnx
from compression.prefix_cache import PrefixCache
from compression.sensitivity import SharedLogits, kl_divergence, logits
from compression.types import NETWORK
from selector.layout import lay_out, probes
from tests.networks import ZOO, densenet, lenet, resnet

torch.set_num_threads(1)


def samples(network, n=48):
    rng = np.random.default_rng(3)
    return rng.standard_normal((n, *network.profile.input_shape)).astype(np.float32)


def single_changes(network, most=24):
    found = probes(lay_out(network.profile, technique.names()))
    layers = [probe.recipe for probe in found if probe.layer != NETWORK]
    return layers[:: max(1, len(layers) // most)]


@pytest.mark.parametrize("name", [n for n in ZOO if n != "fixed_batch"])
def test_shared_prefix_changes_no_divergence(name):
    network = import_onnx(ZOO[name]())
    x = samples(network)
    answers, bench = logits(network, x), Workbench.of(network, x)
    shared = SharedLogits(network, x, batch=20)
    for recipe in single_changes(network):
        alone = Workbench.of(network, x).build(recipe).network
        together = bench.build(recipe).network
        wanted = kl_divergence(answers, logits(alone, x))
        assert kl_divergence(answers, shared.of(together)) == pytest.approx(wanted, abs=1e-6)


def changed(network, x, layer, name, **params):
    return technique.get(name).apply(network, layer, params).module


def skipped(cache, module):
    return sum(value is not None for value in cache.values_for(module).values())


def test_later_change_starts_later_and_order_does_not_matter():
    network = import_onnx(lenet())
    x = samples(network)
    cache = PrefixCache(network.module, torch.from_numpy(x))
    late = changed(network, x, "fc1", "svd", rank_ratio=0.25)
    early = changed(network, x, "conv2", "svd", rank_ratio=0.25)
    first, second = len(cache.values_for(early)), len(cache.values_for(late))
    assert 0 < first < second
    assert len(cache.values_for(early)) == first
    assert skipped(cache, early) == 1  # a chain has one tensor alive at any cut


def test_values_are_the_very_ones_that_would_be_computed():
    network = import_onnx(resnet())
    x = samples(network)
    cache = PrefixCache(network.module, torch.from_numpy(x))
    for layer in [r.name for r in network.profile.layers if r.kind == "conv"][1:]:
        module = network.copied_module()
        module.get_submodule(layer).weight.data.mul_(1.5)
        with torch.inference_mode():
            resumed = torch.fx.Interpreter(module).run(
                cache.x, initial_env=cache.values_for(module)
            )
            assert torch.equal(resumed, module(cache.x))


def test_changed_setting_counts_as_a_change():
    network = import_onnx(lenet())
    cache = PrefixCache(network.module, torch.from_numpy(samples(network)))
    untouched = len(cache.values_for(network.copied_module()))
    module = network.copied_module()
    module.get_submodule("conv2").stride = (2, 2)
    assert len(cache.values_for(module)) < untouched


def test_cut_that_would_hold_too_much_is_not_kept():
    network = import_onnx(densenet())
    x = samples(network)
    cache = PrefixCache(network.module, torch.from_numpy(x), most_bytes=x.nbytes)
    small = PrefixCache(network.module, torch.from_numpy(x), most_bytes=10**9)
    module = network.copied_module()
    last = [r.name for r in network.profile.layers if r.kind == "conv"][-1]
    module.get_submodule(last).weight.data.mul_(1.5)
    assert cache.values_for(module) == {}
    assert small.values_for(module)
