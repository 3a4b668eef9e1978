"""A transpose before a flatten only orders a dense layer's inputs: its weights can carry the order.

Converters from TensorFlow leave one between the last convolution and the head. Without it the head
reads channels again, so that they can be pruned, and the runtime copies nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import fx, nn

from compression.shape_modules import Permute

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import Shape


def fold_transposes(module: fx.GraphModule, shapes: Mapping[str, Shape]) -> None:
    """Fold each transpose that only a flatten and a dense layer read into that layer, in place.

    Args:
        module: the network.
        shapes: output shape of each node, without the batch.
    """
    for node in list(module.graph.nodes):
        head = _layer(module, node)
        if not isinstance(head, nn.Linear):
            continue
        flatten = node.all_input_nodes[0]
        if not isinstance(_layer(module, flatten), nn.Flatten) or len(flatten.users) > 1:
            continue
        transpose = flatten.all_input_nodes[0]
        permute = _layer(module, transpose)
        if not isinstance(permute, Permute) or len(transpose.users) > 1:
            continue
        source = transpose.all_input_nodes[0]
        _reorder(head, shapes[source.name], permute.axes)
        transpose.replace_all_uses_with(source)
        module.graph.erase_node(transpose)
    module.delete_all_unused_submodules()
    module.recompile()


def _layer(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _reorder(head: nn.Linear, shape: Shape, axes: tuple[int, ...]) -> None:
    """Column ``j`` of the weights moves to where the untransposed input keeps that value."""
    positions = torch.arange(head.in_features).reshape(shape)
    order = positions.permute([axis - 1 for axis in axes[1:]]).reshape(-1)
    with torch.no_grad():
        weight = torch.empty_like(head.weight)
        weight[:, order] = head.weight
        head.weight.copy_(weight)
