from dataclasses import replace

import numpy as np
import pytest
import torch

from compression.channel_moments import observed
from compression.channel_selection import Reading, best_channels
from compression.errors import TechniqueRefusedError
from compression.onnx_import import import_onnx
from compression.surgery import without_channels
from compression.technique import get
from compression.types import kept_width
from tests.networks import lenet, mobilenet, resnet

PRUNE = get("filter_pruning")


def outputs(network, x):
    with torch.inference_mode():
        return network.module(x)


def test_keeping_all_channels_is_the_identity():
    network = import_onnx(resnet())
    x = torch.randn(2, *network.profile.input_shape)
    for group in network.profile.groups:
        if group.prunable:
            same = without_channels(network, group.id, range(group.channels))
            assert torch.equal(outputs(same, x), outputs(network, x))


def test_removing_dead_channels_changes_nothing():
    network = import_onnx(lenet())
    conv = network.module.get_submodule("conv2")
    dead = [1, 4, 9, 14]
    with torch.no_grad():
        conv.weight[dead] = 0.0
        conv.bias[dead] = 0.0
    x = torch.randn(300, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    pruned = PRUNE.apply(observed(network, x.numpy()), "conv2", {"pruning_ratio": 0.25})
    assert set(dead).isdisjoint(pruned.outputs_of["conv2"].kept)
    assert torch.allclose(outputs(pruned, x), outputs(network, x), atol=1e-5)


def test_residual_sums_are_narrowed_together():
    network = import_onnx(resnet())
    group = max((g for g in network.profile.groups if g.prunable), key=lambda g: len(g.writers))
    assert len(group.writers) > 1
    pruned = PRUNE.apply(network, group.leader, {"pruning_ratio": 0.5})
    width = kept_width(group.channels, 0.5)
    assert {pruned.profile.layer(name).out_channels for name in group.writers} == {width}
    follower = group.writers[1]
    with pytest.raises(TechniqueRefusedError, match=group.leader):
        PRUNE.apply(network, follower, {"pruning_ratio": 0.5})


def test_depthwise_layers_follow_their_channels():
    network = import_onnx(mobilenet())
    depthwise = next(row for row in network.profile.layers if row.is_depthwise)
    group = network.profile.groups[depthwise.out_group]
    pruned = PRUNE.apply(network, group.leader, {"pruning_ratio": 0.5})
    row = pruned.profile.layer(depthwise.name)
    assert row.is_depthwise
    assert row.out_channels == kept_width(group.channels, 0.5)


def test_network_output_is_refused_with_the_reason():
    network = import_onnx(lenet())
    last = network.profile.layers[-1].name
    with pytest.raises(TechniqueRefusedError, match="network output"):
        PRUNE.apply(network, last, {"pruning_ratio": 0.5})


def test_of_two_channels_that_say_the_same_one_stays():
    x = np.random.default_rng(0).standard_normal((200, 4))
    x[:, 2] = 3 * x[:, 0]
    reading = Reading(torch.eye(4), torch.from_numpy(np.cov(x.T)))
    assert best_channels([reading], 3) in ([0, 1, 3], [1, 2, 3])


def test_channels_are_chosen_by_what_the_data_excite():
    network = import_onnx(lenet())
    with torch.no_grad():
        network.module.get_submodule("conv1").bias[:3] = -100.0  # never pass the activation
    x = np.random.default_rng(0).standard_normal((64, 1, 28, 28)).astype(np.float32)
    seen = PRUNE.apply(observed(network, x), "conv1", {"pruning_ratio": 0.75})
    assert set(seen.outputs_of["conv1"].kept) <= {3, 4, 5}


def test_a_follower_in_a_fixed_group_names_what_fixes_it():
    profile = import_onnx(resnet()).profile
    shared = next(group for group in profile.groups if len(group.writers) > 1)
    fixed = replace(shared, reason="network output")
    groups = tuple(fixed if group is shared else group for group in profile.groups)
    follower = next(name for name in shared.writers if name != shared.leader)
    where = replace(profile, groups=groups)
    reason = PRUNE.refusal(where.layer(follower), where, {"pruning_ratio": 0.5})
    assert "network output" in reason
    free = PRUNE.refusal(profile.layer(follower), profile, {"pruning_ratio": 0.5})
    assert shared.leader in free
