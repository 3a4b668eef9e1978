"""Activations and layer norms that an exporter wrote as arithmetic become one layer again.

They are known by what they compute, not by how they are written: exporters differ in order and detail.
One layer is what a person expects in the table, trains faster, and its scale and shift can be learnt.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import fx, nn

from compression.channel_rules import ELEMENTWISE, JOINING_FUNCTIONS, UNARY_FUNCTIONS
from compression.constant_modules import ConstantOperand
from compression.shape_modules import Reduced

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from compression.types import Shape

_MOST_NODES = 10
_TOLERANCE = 1e-5
_ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "silu": nn.SiLU,
    "hard_swish": nn.Hardswish,
    "gelu": nn.GELU,
    "tanh_gelu": lambda: nn.GELU(approximate="tanh"),
    "mish": nn.Mish,
}


def fold_patterns(module: fx.GraphModule, shapes: Mapping[str, Shape]) -> None:
    """Replace arithmetic that amounts to an activation or a layer norm, in place.

    Args:
        module: the network; it computes the same afterwards.
        shapes: output shape of each node, without the batch.
    """
    order = {node: index for index, node in enumerate(module.graph.nodes)}
    for node in reversed(list(order)):
        if node not in order:  # part of what was replaced
            continue
        layer = _layer_norm(module, node, order, shapes) or _activation(module, node, order)
        if layer is not None:
            made = _replaced(module, node, *layer)
            order[made] = order[node]
            _erase(module, node, order)
    module.delete_all_unused_submodules()
    module.recompile()


def _activation(
    module: fx.GraphModule, node: fx.Node, order: Mapping[fx.Node, int]
) -> tuple[fx.Node, str, nn.Module] | None:
    """What the node computes from a single other one, when that is a known activation."""
    grid = torch.linspace(-12.0, 12.0, 481)
    for source, inside in _cones(module, node, order, _is_elementwise):
        found = _computed(module, inside, source, grid)
        for word, make in _ACTIVATIONS.items():
            if torch.allclose(found, make()(grid), rtol=0, atol=_TOLERANCE):
                return source, word.removeprefix("tanh_"), make()
    return None


def _layer_norm(
    module: fx.GraphModule,
    node: fx.Node,
    order: Mapping[fx.Node, int],
    shapes: Mapping[str, Shape],
) -> tuple[fx.Node, str, nn.Module] | None:
    """A norm over the last axis with the scale and shift behind it, when the node ends in that."""
    scale, shift, end = _affine(module, node)
    for source, inside in _cones(module, end, order, _is_part_of_norm):
        shape = shapes[source.name]
        kinds = [_module(module, part) for part in inside]
        epsilons = [small for kind in kinds for small in _small_summands(kind)]
        if len(epsilons) != 1 or not any(_is_mean(kind) for kind in kinds) or not shape:
            continue
        sample = torch.randn(2, *shape, generator=torch.Generator().manual_seed(0))
        norm = nn.LayerNorm(shape[-1], eps=epsilons[0])
        found = _computed(module, inside, source, sample)
        if not torch.allclose(found, norm(sample), rtol=0, atol=1e-4):
            continue
        for value, weight in ((scale, norm.weight), (shift, norm.bias)):
            if value is not None and value.numel() not in (1, shape[-1]):
                return None
            if value is not None:
                weight.data.copy_(value.reshape(-1).expand(shape[-1]))
        return source, "norm", norm
    return None


def _affine(
    module: fx.GraphModule, node: fx.Node
) -> tuple[torch.Tensor | None, torch.Tensor | None, fx.Node]:
    """Scale, shift and what they are applied to, where a node ends in a constant of the last axis."""
    values: dict[str, torch.Tensor | None] = {"add": None, "multiply": None}
    for kind in values:
        layer = _module(module, node)
        last = isinstance(layer, ConstantOperand) and layer.value.shape[-1:].numel()
        if isinstance(layer, ConstantOperand) and layer.kind == kind:
            before = node.all_input_nodes[0]
            if last == layer.value.numel() and len(before.users) == 1:
                values[kind], node = layer.value, before
    return values["multiply"], values["add"], node


def _cones(
    module: fx.GraphModule,
    node: fx.Node,
    order: Mapping[fx.Node, int],
    belongs: Callable[[object], bool],
) -> Iterator[tuple[fx.Node, list[fx.Node]]]:
    """Ever larger sets of nodes behind a node that read a single other one and that nobody else reads."""
    inside = {node}
    if not belongs(_kind(module, node)):
        return
    while len(inside) < _MOST_NODES:
        outside = {source for part in inside for source in part.all_input_nodes} - inside
        if len(outside) == 1 and len(inside) > 1:
            yield next(iter(outside)), sorted(inside, key=order.__getitem__)
        last = max(outside, key=order.__getitem__)
        if not belongs(_kind(module, last)) or not inside.issuperset(last.users):
            return
        inside.add(last)


def _computed(
    module: fx.GraphModule, inside: list[fx.Node], source: fx.Node, values: torch.Tensor
) -> torch.Tensor:
    """What the last of the nodes makes of the values of the source."""
    known: dict[fx.Node, torch.Tensor] = {source: values}
    with torch.no_grad():
        for node in inside:
            arguments = fx.map_arg(node.args, known.__getitem__)
            layer = _module(module, node)
            if isinstance(layer, ConstantOperand) and layer.value.numel() == 1:
                layer = ConstantOperand(
                    layer.kind, layer.value.reshape(()), reverse=layer.reverse
                )
            function: Any = node.target if layer is None else layer
            known[node] = function(*arguments)
    return known[inside[-1]]


def _replaced(
    module: fx.GraphModule, node: fx.Node, source: fx.Node, word: str, layer: nn.Module
) -> fx.Node:
    taken = {other.name for other in module.graph.nodes}
    name = stem = node.name if node.name.endswith(word) else f"{node.name}_{word}"
    number = 0
    while name in taken or hasattr(module, name):
        number += 1
        name = f"{stem}_{number}"
    module.add_module(name, layer.eval())
    with module.graph.inserting_before(node):
        made = module.graph.create_node("call_module", name, (source,), name=name)
    node.replace_all_uses_with(made)
    return made


def _erase(module: fx.GraphModule, node: fx.Node, order: dict[fx.Node, int]) -> None:
    """Take out a node that nobody reads, and what only it read."""
    if node.users or node.op == "placeholder":
        return
    sources = node.all_input_nodes
    module.graph.erase_node(node)
    del order[node]
    for source in sources:
        _erase(module, source, order)


def _module(module: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return module.get_submodule(str(node.target)) if node.op == "call_module" else None


def _kind(module: fx.GraphModule, node: fx.Node) -> object:
    return _module(module, node) or (node.target if node.op == "call_function" else None)


def _is_elementwise(kind: object) -> bool:
    if isinstance(kind, ConstantOperand):
        return kind.kind != "matmul" and kind.value.numel() == 1
    return isinstance(kind, ELEMENTWISE) or kind in UNARY_FUNCTIONS | JOINING_FUNCTIONS


def _is_part_of_norm(kind: object) -> bool:
    return _is_mean(kind) or _is_elementwise(kind)


def _is_mean(kind: object) -> bool:
    """A mean along the last axis that keeps it."""
    if isinstance(kind, Reduced):
        return kind.kind == "mean" and kind.keep_axes and len(kind.axes) == 1
    return isinstance(kind, nn.AdaptiveAvgPool1d)


def _small_summands(kind: object) -> list[float]:
    """What a layer adds, when that is a small positive number: the epsilon of a norm."""
    if not isinstance(kind, ConstantOperand) or kind.kind != "add" or kind.value.numel() != 1:
        return []
    return [kind.value.item()] if 0 < kind.value.item() < 1e-2 else []
