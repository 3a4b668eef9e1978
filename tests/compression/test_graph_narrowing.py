"""Channels that a group calls removable are: leaving them out is the same as nobody reading them."""

import numpy as np
import pytest
import torch

from compression.graph import Network
from compression.onnx_import import import_onnx
from compression.surgery import channels_left, without_channels
from compression.types import ChannelGroup, LayerKind
from tests.corpus import READ, Case

torch.set_num_threads(1)

SMALL = [case.parameter for case in READ if not (case.packaged or case.shared)]


def unread(network: Network, group: ChannelGroup, kept: list[int]) -> torch.fx.GraphModule:
    """The network as it was, but with zeros where its layers read the other channels."""
    module = network.copied_module()
    for row in network.profile.layers:
        left = channels_left(row, group.id, kept)
        if row.kind is LayerKind.OTHER or row.is_depthwise or left is None:
            continue
        entries = torch.arange(row.in_channels * row.in_multiplier).reshape(row.in_channels, -1)
        mask = torch.zeros(row.in_channels * row.in_multiplier)
        mask[entries[left].flatten()] = 1.0
        layer = module.get_submodule(row.name)
        with torch.no_grad():
            layer.weight.mul_(mask.reshape(1, -1, *[1] * (layer.weight.ndim - 2)))
    return module


def outputs(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.parametrize("case", SMALL)
def test_removing_channels_is_the_same_as_not_reading_them(case: Case):
    network = import_onnx(case.data())
    rng = np.random.default_rng(4)
    x = torch.from_numpy(
        rng.standard_normal((3, *network.profile.input_shape), dtype=np.float32)
    )
    if any(row.op == "local_response_norm" for row in network.profile.layers):
        pytest.skip("this norm looks at neighbouring channels: narrowing changes it a little")
    for group in network.profile.groups:
        if group.prunable and group.readers:
            kept = list(range(0, group.channels, 2))
            with torch.no_grad():
                found = without_channels(network, group.id, kept).module(x)
                expected = unread(network, group, kept)(x)
            for ours, theirs in zip(outputs(found), outputs(expected), strict=True):
                scale = float(theirs.abs().max().clamp_min(1e-6))
                assert float((ours - theirs).abs().max()) / scale <= 1e-4, group
