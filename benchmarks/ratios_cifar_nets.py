"""What stacked techniques give on CIFAR-size networks: multiply-adds, file and measured latency.

The weights are random, so accuracy means nothing here: this is the upper limit of the mechanics.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from compression import latency
from compression.building import build
from compression.onnx_export import export_onnx
from compression.onnx_import import import_onnx
from compression.types import LayerKind, Recipe, RecipeStep

if TYPE_CHECKING:
    from compression.graph import Network

INPUT = (3, 32, 32)
VGG_16 = (64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0)


def alexnet(dense: int = 1024) -> nn.Sequential:
    """Five convolutions and three dense layers: 226 M multiply-adds; 30.8 MB with ``dense`` neurons in two of the last."""
    widths, kernels = (64, 192, 384, 256, 256), (5, 5, 3, 3, 3)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for i, (width, kernel) in enumerate(zip(widths, kernels, strict=True), start=1):
        layers[f"conv{i}"] = nn.Conv2d(before, width, kernel, padding=kernel // 2)
        layers[f"relu{i}"] = nn.ReLU()
        if i in (1, 2, 5):
            layers[f"pool{i}"] = nn.MaxPool2d(2)
        before = width
    return nn.Sequential(layers | _head(before * 16, (dense, dense, 10)))


def vgg_16() -> nn.Sequential:
    """Thirteen convolutions and two dense layers: 313 M multiply-adds, 59.9 MB."""
    return chain(VGG_16, 1, (512, 10))


def chain(widths: tuple[int, ...], positions: int, dense: tuple[int, ...]) -> nn.Sequential:
    """3x3 convolutions of those widths on three channels, a pool for each 0, then dense layers.

    ``positions`` are left of each channel where the dense layers begin.
    """
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    before = 3
    for i, width in enumerate(widths):
        if width:
            layers[f"conv{i}"] = nn.Conv2d(before, width, 3, padding=1)
            layers[f"relu{i}"] = nn.ReLU()
            before = width
        else:
            layers[f"pool{i}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers | _head(before * positions, dense))


def _head(features: int, widths: tuple[int, ...]) -> OrderedDict[str, nn.Module]:
    layers: OrderedDict[str, nn.Module] = OrderedDict(flatten=nn.Flatten())
    for i, width in enumerate(widths, start=1):
        layers[f"fc{i}"] = nn.Linear(features, width)
        if i < len(widths):
            layers[f"fc_relu{i}"] = nn.ReLU()
        features = width
    return layers


def as_network(name: str, module: nn.Module) -> tuple[Network, bytes]:
    """The module through ONNX and back: what a user's upload becomes, and the upload itself."""
    torch.manual_seed(0)
    buffer = io.BytesIO()
    example = (torch.zeros(1, *INPUT),)
    axes = {"input": {0: "batch"}, "logits": {0: "batch"}}
    torch.onnx.export(
        module.eval(),
        example,
        buffer,  # type: ignore[arg-type]  # the classic exporter writes to any stream
        dynamo=False,
        opset_version=17,
        input_names=["input"],
        output_names=["logits"],
        dynamic_axes=axes,
    )
    return import_onnx(buffer.getvalue(), name=name), buffer.getvalue()


def recipes(network: Network) -> dict[str, Recipe]:
    """Whole-network recipes by name, each with every step its layers allow."""
    convs = [row.name for row in network.profile.layers if row.kind is LayerKind.CONV]
    dense = [row.name for row in network.profile.layers if row.kind is LayerKind.DENSE]
    hidden = dense[:-1]

    def on(layers: list[str], technique: str, **params: float) -> Recipe:
        return tuple(
            RecipeStep(layer=row, technique=technique, params=params) for row in layers
        )

    int8 = (RecipeStep(layer="*", technique="int8", params={"mode": "full"}),)
    half, three_quarters = (
        on(convs + hidden, "filter_pruning", pruning_ratio=share) for share in (0.5, 0.75)
    )
    low_rank = on(hidden, "svd", rank_ratio=0.125)
    return {
        "int8": int8,
        "prune 50 %": half,
        "prune 75 %": three_quarters,
        "depthwise separable": on(convs[1:], "depthwise_separable"),
        "Fire": on(convs[1:], "fire", squeeze_ratio=0.125),
        "prune 50 % + int8": half + int8,
        "prune 75 % + int8": three_quarters + int8,
        "prune 75 % + SVD + int8": three_quarters + low_rank + int8,
    }


def compare(name: str, module: nn.Module) -> None:
    """One line a recipe."""
    network, original = as_network(name, module)
    x = np.random.default_rng(0).standard_normal((16, *INPUT)).astype(np.float32)
    files, macs = {"base": original}, {"base": network.profile.macs}
    for title, recipe in recipes(network).items():
        built = build(network, recipe, x)
        files[title] = export_onnx(built.network, x)
        macs[title] = built.network.profile.macs
    timed = latency.paired_latency(files, x[:1], rounds=30)
    print(
        f"\n{name}: {len(original) / 1e6:.1f} MB, {network.profile.macs / 1e6:.0f} M multiply-adds"
    )
    for title, data in files.items():
        size, work = len(original) / len(data), macs["base"] / macs[title]
        print(f"| {title} | {work:.1f} | {size:.1f} | {timed[title].ratio:.1f} |")


if __name__ == "__main__":
    torch.set_num_threads(2)
    compare("AlexNet-CIFAR", alexnet())
    compare("VGG-16-CIFAR", vgg_16())
