"""What a network computes up to the first node that a change touches: done once, not once a change.

All changes of one layer share everything before it. A cache holds the tensors that are alive at one
cut through the original's graph; a changed network goes on from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn

MOST_BYTES = 256 * 2**20
"""What the tensors at one cut may hold; past that a changed network starts from the samples."""


class PrefixCache:
    """The tensors alive at one cut through a network, for one set of samples.

    The cut moves to where the latest changed network differs: cheap when networks come in the order
    of the layers that were changed, right in any order.

    Args:
        original: The module that all changed ones come from.
        x: Samples, ``[samples, *input_shape]``.
        most_bytes: What the tensors at the cut may hold together.
    """

    def __init__(
        self, original: fx.GraphModule, x: Tensor, *, most_bytes: int = MOST_BYTES
    ) -> None:
        self.x = x
        self._original = original
        self._most_bytes = most_bytes
        self._cut = 0
        self._alive: dict[str, Tensor] = {}

    def values_for(self, module: fx.GraphModule) -> dict[fx.Node, Any]:
        """What an ``fx.Interpreter`` of the changed module need not compute (``initial_env``).

        Values are the very ones that the changed module would compute; a value that nothing reads any
        more is ``None``. Empty where the tensors at the cut would hold too much.
        """
        nodes = list(module.graph.nodes)
        cut = _first_difference(self._original, module)
        behind = set(nodes[cut:])
        needed = {n.name for n in nodes[:cut] if not behind.isdisjoint(n.users)}
        if not self._moved_to(cut, needed):
            return {}
        return {node: self._alive.get(node.name) for node in nodes[:cut]}

    def _moved_to(self, cut: int, needed: set[str]) -> bool:
        """Whether the tensors needed behind the cut are at hand now."""
        if cut < self._cut or (cut == self._cut and not needed <= self._alive.keys()):
            self._cut, self._alive = 0, {}
        if cut > self._cut:
            with torch.inference_mode():
                self._alive = self._computed(cut, needed)
            self._cut = cut
        if sum(tensor.nbytes for tensor in self._alive.values()) > self._most_bytes:
            self._cut, self._alive = 0, {}
        return needed <= self._alive.keys()

    def _computed(self, cut: int, needed: set[str]) -> dict[str, Tensor]:
        """Goes on from the present cut; keeps what somebody reads behind the new one."""
        nodes = list(self._original.graph.nodes)
        last = {source: node for node in nodes for source in node.all_input_nodes}
        position = {node: i for i, node in enumerate(nodes)}
        interpreter = fx.Interpreter(self._original, garbage_collect_values=False)
        interpreter.args_iter = iter((self.x,))
        interpreter.env = {n: self._alive[n.name] for n in nodes if n.name in self._alive}
        for i in range(self._cut, cut):
            interpreter.env[nodes[i]] = interpreter.run_node(nodes[i])
            for node in list(interpreter.env):
                read_until = position[last[node]] if node in last else i
                if read_until <= i and node.name not in needed:
                    del interpreter.env[node]
        return {node.name: value for node, value in interpreter.env.items()}


def _first_difference(original: fx.GraphModule, changed: fx.GraphModule) -> int:
    """How many nodes at the start of both graphs are the same, weights included."""
    pairs = zip(original.graph.nodes, changed.graph.nodes, strict=False)
    for index, (first, second) in enumerate(pairs):
        if first.op == "output" or not _same_node(original, first, changed, second):
            return index
    return 0


def _same_node(
    original: fx.GraphModule, first: fx.Node, changed: fx.GraphModule, second: fx.Node
) -> bool:
    if (first.op, first.name, first.target) != (second.op, second.name, second.target):
        return False
    if _by_name((first.args, first.kwargs)) != _by_name((second.args, second.kwargs)):
        return False
    if first.op == "call_module":
        target = str(first.target)
        return _same_layer(original.get_submodule(target), changed.get_submodule(target))
    return first.op in {"placeholder", "call_function"}


def _by_name(arguments: Any) -> Any:
    return fx.node.map_arg(arguments, lambda node: node.name)


def _same_layer(first: nn.Module, second: nn.Module) -> bool:
    """Whether two layers compute the same: weights, and settings such as a stride."""
    pairs = list(zip(first.modules(), second.modules(), strict=False))
    return (
        len(list(first.modules())) == len(list(second.modules()))
        and all(type(a) is type(b) and _equal(_settings(a), _settings(b)) for a, b in pairs)
        and _equal(dict(first.state_dict()), dict(second.state_dict()))
    )


def _settings(layer: nn.Module) -> dict[str, Any]:
    return {name: value for name, value in vars(layer).items() if not name.startswith("_")}


def _equal(first: Any, second: Any) -> bool:
    """Equality that looks into mappings of arrays."""
    if type(first) is not type(second):
        return False
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(_equal(first[k], second[k]) for k in first)
    if isinstance(first, Tensor):
        return torch.equal(first, second)
    if isinstance(first, np.ndarray):
        return np.array_equal(first, second)
    return bool(first == second)
