import numpy as np
import pytest
import torch
from torch import fx, nn

from compression.graph import profiled
from compression.onnx_import import import_onnx
from compression.types import ChannelGroup, LayerKind, NetworkProfile
from tests.networks import ZOO, lenet


def profile_of(name) -> NetworkProfile:
    return import_onnx(ZOO[name]()).profile


def group_of(profile: NetworkProfile, layer: str) -> ChannelGroup:
    return profile.groups[profile.layer(layer).out_group]


def traced(module: nn.Module, *shape: int) -> NetworkProfile:
    like = NetworkProfile(
        name="traced",
        input_name="x",
        input_shape=shape,
        output_names=("y",),
        opset=17,
        layers=(),
        groups=(),
        macs=0,
        params=0,
    )
    return profiled(fx.symbolic_trace(module.eval()), like)


# --- layer table ----------------------------------------------------------------------------------


def test_lenet_counts_what_a_hand_counts():
    profile = import_onnx(lenet()).profile
    assert profile.macs == 416_520
    assert profile.params == 61_706
    by_hand = {
        "conv1": (28 * 28 * 6 * 25, 6 * 26),
        "conv2": (10 * 10 * 16 * 6 * 25, 16 * (6 * 25 + 1)),
        "fc1": (400 * 120, 401 * 120),
        "fc2": (120 * 84, 121 * 84),
        "fc3": (84 * 10, 85 * 10),
    }
    counted = {row.name: (row.macs, row.params) for row in profile.layers if row.params}
    assert counted == by_hand


def test_rows_of_lenet():
    profile = import_onnx(lenet()).profile
    assert [row.op for row in profile.layers] == [
        *("conv", "relu", "max_pool", "conv", "relu", "max_pool", "flatten"),
        *("dense", "relu", "dense", "relu", "dense"),
    ]
    conv = profile.layer("conv1")
    assert (conv.kind, conv.in_shape, conv.out_shape) == (
        LayerKind.CONV,
        (1, 28, 28),
        (6, 28, 28),
    )
    assert (conv.kernel, conv.stride, conv.padding, conv.groups) == ((5, 5), (1, 1), (2, 2), 1)
    dense = profile.layer("fc1")
    assert (dense.kind, dense.in_shape, dense.out_shape) == (LayerKind.DENSE, (400,), (120,))
    assert (dense.in_channels, dense.in_multiplier, dense.out_channels) == (16, 25, 120)


def test_depthwise_and_grouped_convolutions_count_their_own_channels_only():
    depthwise = profile_of("mobilenet").layer("depthwise")
    assert depthwise.is_depthwise
    assert depthwise.macs == 48 * 9 * 8 * 8
    grouped = profile_of("grouped").layer("conv2")
    assert grouped.macs == 32 * 4 * 9 * 4 * 4
    assert not grouped.is_depthwise


def test_one_dimensional_convolution():
    conv = profile_of("cnn_1d").layer("conv2")
    assert (conv.kernel, conv.macs) == ((5,), 16 * 16 * 5 * 16)


@pytest.mark.parametrize("name", ZOO)
def test_resized_to_its_own_widths_is_the_same_layer(name):
    for row in profile_of(name).layers:
        same = row.resized(in_channels=row.in_channels, out_channels=row.out_channels)
        if row.kind is not LayerKind.OTHER:
            assert same == row


@pytest.mark.parametrize("name", ZOO)
def test_totals_are_the_sums_of_the_rows(name):
    network = import_onnx(ZOO[name]())
    assert network.profile.macs == sum(row.macs for row in network.profile.layers)
    weights = sum(p.numel() for p in network.module.parameters())
    assert network.profile.params == weights


# --- channel groups -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ZOO)
def test_groups_are_numbered_and_cover_every_row(name):
    profile = profile_of(name)
    assert [group.id for group in profile.groups] == list(range(len(profile.groups)))
    for row in profile.layers:
        assert sum(channels for _, channels in row.in_groups) == row.in_channels
        for group, channels in row.in_groups:
            assert profile.groups[group].channels == channels
        if row.out_group >= 0 and row.kind is not LayerKind.OTHER:
            assert profile.groups[row.out_group].channels == row.out_channels


def test_input_and_output_keep_their_width():
    profile = import_onnx(lenet()).profile
    (source, _), *_ = profile.layer("conv1").in_groups
    assert profile.groups[source].reason == "network input"
    assert group_of(profile, "fc3").reason == "network output"
    assert not group_of(profile, "fc3").prunable


def test_chain_has_one_prunable_group_for_each_inner_layer():
    profile = import_onnx(lenet()).profile
    leaders = [group.leader for group in profile.groups if group.prunable]
    assert leaders == ["conv1", "conv2", "fc1", "fc2"]
    assert group_of(profile, "conv2").readers == ("fc1",)


def test_flatten_tells_how_many_features_a_channel_stands_for():
    dense = profile_of("cnn_1d").layer("fc1")
    assert (dense.in_multiplier, [channels for _, channels in dense.in_groups]) == (4, [32])


def test_residual_adds_tie_everything_they_join():
    profile = profile_of("resnet")
    trunk = group_of(profile, "conv1")
    assert trunk.writers == ("conv1", "layer1_0_conv2")
    assert trunk.prunable
    assert "layer2_0_downsample" in trunk.readers
    assert "layer2_0_conv1" in trunk.readers
    second = group_of(profile, "layer2_0_conv2")
    assert second.writers == ("layer2_0_conv2", "layer2_0_downsample", "layer2_1_conv2")
    assert second.leader == "layer2_0_conv2"


def test_readers_of_a_concat_see_its_groups_in_order():
    profile = profile_of("inception")
    reader = profile.layer("mixed1_b1")
    widths = [channels for _, channels in reader.in_groups]
    leaders = [profile.groups[group].leader for group, _ in reader.in_groups]
    assert widths == [8, 12, 8]
    assert leaders == ["mixed0_b1", "mixed0_b3", "mixed0_pool"]
    assert all(profile.groups[group].prunable for group, _ in reader.in_groups)


def test_norm_behind_a_concat_belongs_to_no_single_group():
    norm = profile_of("densenet").layer("dense1_norm")
    assert norm.out_group == -1
    assert [channels for _, channels in norm.in_groups] == [8, 8]


def test_depthwise_convolution_hands_its_group_on():
    profile = profile_of("mobilenet")
    assert profile.layer("depthwise").out_group == profile.layer("expand").out_group
    assert profile.layer("se_2").out_group == profile.layer("expand").out_group
    assert group_of(profile, "expand").writers == ("expand", "depthwise", "se_2")


def test_grouped_convolution_locks_both_sides_with_a_reason():
    profile = profile_of("grouped")
    for layer in ("conv1", "conv2"):
        assert group_of(profile, layer).reason == "conv2 is a grouped convolution"
    assert group_of(profile, "conv3").prunable


def test_what_attention_does_to_channels_is_told_in_words():
    profile = profile_of("attention")
    qkv = group_of(profile, "blocks_0_attention_qkv")
    assert "cuts the channels apart" in qkv.reason
    assert group_of(profile, "blocks_0_mlp_0").prunable
    assert group_of(profile, "blocks_0_mlp_0").readers == ("blocks_0_mlp_3",)
    trunk = group_of(profile, "blocks_1_mlp_3")
    assert "blocks_0_attention_proj" in trunk.writers
    assert not trunk.prunable


def test_shuffled_channels_are_fixed_and_inner_ones_are_not():
    profile = profile_of("shuffle")
    assert "as a channel shuffle" in group_of(profile, "layer_1_left_1_0").reason
    assert group_of(profile, "layer_2_right_0_0").prunable


def test_transposed_convolution_is_counted_and_passes_through():
    profile = profile_of("unet")
    row = profile.layer("up")
    assert (row.op, row.params, row.macs) == (
        "transposed_conv",
        16 * 8 * 4 + 8,
        16 * 8 * 4 * 64,
    )
    assert "no technique treats it" in row.untouched
    assert "up is a transposed convolution" in group_of(profile, "bottom_0").reason


def test_rows_say_where_their_channels_lie():
    profile = profile_of("attention")
    gelu = next(row for row in profile.layers if row.op == "gelu")
    assert (gelu.in_axis, gelu.out_axis) == (1, 1)
    assert gelu.in_shape == (10, 32)
    narrow = gelu.resized(in_channels=16, out_channels=16)
    assert (narrow.in_shape, narrow.out_shape) == ((10, 16), (10, 16))


def test_layer_that_mixes_stays_as_it_is_when_what_it_reads_does():
    row = next(row for row in profile_of("attention").layers if row.op == "matmul")
    assert row.resized(in_channels=row.in_channels, out_channels=99) == row


class Moving(nn.Module):
    def __init__(self, move):
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3)
        self.second = nn.Conv2d(6, 4, 3)
        self.move = move

    def forward(self, x):
        return self.second(self.move(self.first(x)))


class Roll(nn.Module):
    def forward(self, x):
        return torch.roll(x, 1, 1)


def test_what_nobody_knows_locks_the_channels_it_touches():
    class Leaf(fx.Tracer):
        def is_leaf_module(self, m, module_qualified_name):
            return isinstance(m, Roll) or super().is_leaf_module(m, module_qualified_name)

    module = Moving(Roll()).eval()
    like = traced(Moving(nn.ReLU()), 1, 8, 8)
    profile = profiled(fx.GraphModule(module, Leaf().trace(module)), like)
    assert group_of(profile, "first").reason == "move moves or mixes channels"
    assert profile.layer("move").op == "roll"


def test_plain_activation_locks_nothing():
    assert group_of(traced(Moving(nn.GELU()), 1, 8, 8), "first").prunable


def test_softmax_inside_locks_and_at_the_end_is_the_output():
    inside = traced(nn.Sequential(nn.Linear(4, 8), nn.Softmax(1), nn.Linear(8, 2)), 4)
    assert "weighs the channels" in group_of(inside, "_0").reason
    assert group_of(profile_of("alexnet"), "fc8").reason == "network output"


class Added(nn.Module):
    def __init__(self):
        super().__init__()
        self.one, self.two, self.wide = (nn.Conv2d(1, n, 1) for n in (4, 4, 8))

    def forward(self, x):
        joined = torch.cat([self.one(x), self.two(x)], 1)
        return joined + self.wide(x)


def test_adding_to_a_concat_locks_all_of_it():
    profile = traced(Added(), 1, 6, 6)
    assert not any(group.prunable for group in profile.groups)


# --- profiled -------------------------------------------------------------------------------------


def test_profile_follows_a_change():
    network = import_onnx(lenet())
    module = network.copied_module()
    module.conv2 = nn.Conv2d(6, 8, 5)
    module.fc1 = nn.Linear(200, 120)
    profile = profiled(module, network.profile)
    assert profile.layer("fc1").in_channels == 8
    assert profile.macs == 416_520 - 8 * 150 * 100 - 200 * 120
    assert network.profile.macs == 416_520
    assert (profile.name, profile.batch) == (network.profile.name, network.profile.batch)


def test_profiling_changes_neither_modes_nor_statistics():
    module = fx.symbolic_trace(nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8)).train())
    before = {key: value.clone() for key, value in module.state_dict().items()}
    profiled(module, traced(nn.Sequential(nn.Linear(4, 8)), 4))
    assert module.get_submodule("1").training
    for key, value in module.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[key].numpy())
