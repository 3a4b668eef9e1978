"""Batch norms put back for training into networks whose norms were folded at export.

Each starts as the identity on calibration samples and is folded again into its layer (Ioffe and Szegedy,
ICML 2015). Measured with half of all channels pruned, 200 steps: behind 2-D convolutions they gain (ResNet-20:
0.9 points, LeNet-5: 0.1), behind 1-D ones nothing (motion: 3 % more divergence together with features).
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compression.batch_norm_folding import carry
from compression.surgery import layer_of

if TYPE_CHECKING:
    from collections.abc import Mapping

_Norms = nn.BatchNorm1d | nn.BatchNorm2d


def insert_norms(module: fx.GraphModule, x: Tensor) -> dict[str, str]:
    """Puts a batch norm behind each 2-D convolution that has a bias and no norm, in place.

    A bias is what folding a norm leaves behind; the layer that ends the network is left alone. In
    evaluation mode the module computes what it did before.

    Args:
        module: A network's module, in evaluation mode.
        x: Calibration samples, ``[samples, *input_shape]``.

    Returns:
        The name of the norm behind each layer, by the layer's name.
    """
    nodes = [node for node in module.graph.nodes if _takes_norm(module, node)]
    recorder = _Moments(module, nodes)
    with torch.no_grad():
        recorder.run(x)
    inserted = {}
    for node in nodes:
        if not all(bool(values.isfinite().all()) for values in recorder.found[node]):
            continue  # an extreme calibration sample
        norm = _identity(*recorder.found[node])
        name = f"{node.name}_norm"
        module.add_module(name, norm)
        with module.graph.inserting_after(node):
            new = module.graph.create_node("call_module", name, (node,), {}, name=name)
        node.replace_all_uses_with(new, delete_user_cb=lambda user, new=new: user is not new)
        inserted[str(node.target)] = name
    module.recompile()
    return inserted


def takes_norms(module: fx.GraphModule) -> bool:
    """Whether ``insert_norms`` would put any."""
    return any(_takes_norm(module, node) for node in module.graph.nodes)


def fold_norms(plain: fx.GraphModule, trained: nn.Module, inserted: Mapping[str, str]) -> None:
    """Lets the layers of the plain module carry the norms of the trained one, in place."""
    for layer, norm in inserted.items():
        carry(_layer(plain, layer), copy.deepcopy(_norm(trained, norm)).cpu())


def _layer(module: nn.Module, name: str) -> nn.Conv2d:
    found = module.get_submodule(name)
    if not isinstance(found, nn.Conv2d):
        raise TypeError(type(found).__name__)
    return found


def _norm(module: nn.Module, name: str) -> _Norms:
    found = module.get_submodule(name)
    if not isinstance(found, _Norms):
        raise TypeError(type(found).__name__)
    return found


def _takes_norm(module: fx.GraphModule, node: fx.Node) -> bool:
    layer = layer_of(module, node)
    if not isinstance(layer, nn.Conv2d) or layer.bias is None:
        return False
    return not any(
        user.op == "output" or isinstance(layer_of(module, user), _Norms) for user in node.users
    )


class _Moments(fx.Interpreter):
    """Mean and variance of what some nodes put out."""

    def __init__(self, module: fx.GraphModule, nodes: list[fx.Node]) -> None:
        super().__init__(module, garbage_collect_values=True)
        self._nodes = set(nodes)
        self.found: dict[fx.Node, tuple[Tensor, Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        y = super().run_node(n)
        if n in self._nodes:
            axes = (0, *range(2, y.ndim))
            variance, mean = torch.var_mean(y, dim=axes, correction=0)
            self.found[n] = mean, variance
        return y


def _identity(mean: Tensor, variance: Tensor) -> nn.Module:
    norm = nn.BatchNorm2d(len(mean))
    with torch.no_grad():
        norm.running_mean.copy_(mean)  # type: ignore[union-attr]
        norm.running_var.copy_(variance)  # type: ignore[union-attr]
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)
    return norm
