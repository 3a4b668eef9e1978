"""Batch norms for the time of fine-tuning: put in as the identity, folded away afterwards."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from compression.surgery import layer_of

_Convolution = nn.Conv1d | nn.Conv2d


def with_batch_norms(module: fx.GraphModule, x: Tensor) -> None:
    """Puts a batch norm behind each convolution that has a bias to fold it into, in place.

    Scale and shift are what the samples show there, so that the module computes the same as before.
    ``batch_norm_folding.fold_batch_norms`` takes them away again.

    Args:
        module: Without batch norms behind its convolutions, as imported ones are.
        x: Samples, ``[samples, *input_shape]``.
    """
    watcher = _Watcher(module)
    with torch.no_grad():
        watcher.run(x)
    for node, (std, mean) in watcher.seen.items():
        norm = _identity(layer_of(module, node), std, mean)
        name = f"{node.name}_norm_"
        module.add_module(name, norm)
        with module.graph.inserting_after(node):
            new = module.graph.create_node("call_module", name, (node,), {}, name=name)
        node.replace_all_uses_with(new)
        new.args = (node,)
    module.recompile()


class _Watcher(fx.Interpreter):
    def __init__(self, module: fx.GraphModule) -> None:
        super().__init__(module, garbage_collect_values=True)
        self.seen: dict[fx.Node, tuple[Tensor, Tensor]] = {}

    def run_node(self, n: fx.Node) -> Any:
        result = super().run_node(n)
        layer = layer_of(self.module, n)
        if isinstance(layer, _Convolution) and layer.bias is not None:
            axes = (0, *range(2, result.ndim))
            self.seen[n] = torch.std_mean(result, dim=axes, correction=0)
        return result


def _identity(layer: nn.Module | None, std: Tensor, mean: Tensor) -> nn.Module:
    kind = nn.BatchNorm1d if isinstance(layer, nn.Conv1d) else nn.BatchNorm2d
    norm = kind(len(mean))
    norm.load_state_dict(
        {
            "weight": (std.square() + norm.eps).sqrt(),
            "bias": mean,
            "running_mean": mean,
            "running_var": std.square(),
            "num_batches_tracked": torch.tensor(0),
        }
    )
    return norm
