"""Weights and activations as the file will round them, while gradients pass as if nothing were.

The straight-through estimator (Bengio et al., arXiv:1308.3432) with the ranges of Jacob et al., CVPR 2018:
weights in 8 bits are symmetric with a scale for each output, activations have one range a tensor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, fx, nn

from compression.surgery import layer_of
from compression.types import Precision
from compression.weight_storage import largest_integer, rounded

if TYPE_CHECKING:
    from collections.abc import Mapping

_LEVELS = 255
_FOLLOWED_BY = nn.ReLU | nn.ReLU6 | nn.BatchNorm1d | nn.BatchNorm2d
"""What a runtime computes together with the layer before it: nothing is rounded in between."""

_SAME_VALUES = nn.MaxPool1d | nn.MaxPool2d | nn.Flatten | nn.Identity | nn.Dropout
"""Layers that put out values that they read, already rounded."""

_IN_FLOAT = nn.LayerNorm | nn.InstanceNorm1d | nn.InstanceNorm2d | nn.Softmax | nn.LogSoftmax
"""Layers that the exporter leaves in float."""


def stored_values(weight: Tensor, precision: Precision) -> Tensor:
    """The values that the exported file stands for, on the device of the weight.

    Args:
        weight: Of one convolution or dense layer, ``[outputs, ...]``, float32.
        precision: Of the network; nothing changes for one that rounds no weights.
    """
    if precision is Precision.FP32:
        return weight.detach()
    if precision is Precision.INT8:
        return _in_int8(weight.detach())
    values = rounded(weight.detach().cpu().numpy(), precision)
    return torch.from_numpy(values).to(weight.device)


def _in_int8(weight: Tensor) -> Tensor:
    """As ``rounded`` does it, without leaving the device: after every update it would wait for each layer."""
    most = largest_integer(Precision.INT8)
    largest = weight.abs().flatten(1).amax(dim=1).reshape(-1, *[1] * (weight.ndim - 1))
    scales = torch.where(largest > 0, largest / most, 1.0)
    return (weight / scales).round().clamp(-most, most) * scales


def rounding_offsets(module: nn.Module, precision: Precision) -> Mapping[str, Tensor]:
    """What rounding adds to each weight, by the name of the weight; no gradient."""
    return {
        f"{name}.weight": stored_values(layer.weight, precision) - layer.weight.detach()
        for name, layer in module.named_modules()
        if isinstance(layer, nn.Conv1d | nn.Conv2d | nn.Linear)
    }


def rounded_weights(module: nn.Module, offsets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """For ``torch.func.functional_call``: rounded weights by name; gradients reach the real ones."""
    weights = dict(module.named_parameters())
    return {name: weights[name] + offset for name, offset in offsets.items()}


class _StraightThrough(torch.autograd.Function):
    """Rounding whose gradient is that of clipping. As ``torch.fake_quantize_per_tensor_affine``, six times as fast on a CPU."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: float, zero: int) -> Tensor:
        ctx.save_for_backward(x)
        ctx.ends = (-0.5 - zero) * scale, (_LEVELS + 0.5 - zero) * scale
        steps = x.float().mul(1.0 / scale).add_(zero).round_().clamp_(0, _LEVELS)
        return steps.sub_(zero).mul_(scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (x,) = ctx.saved_tensors
        return torch.ops.aten.hardtanh_backward(gradient, x, *ctx.ends), None, None


class RoundedActivation(nn.Module):
    """One tensor in unsigned 8 bits between the least and the largest value that it was seen to take."""

    low: Tensor
    high: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.observing = False
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))
        self._scale, self._zero = 1e-12, 0

    def forward(self, x: Tensor) -> Tensor:
        """The rounded values; while observing, widens the range and changes nothing."""
        if self.observing:
            seen = x.detach().nan_to_num(
                0.0, 0.0, 0.0
            )  # an extreme sample must not set the range
            self.low = torch.minimum(self.low, seen.min())
            self.high = torch.maximum(self.high, seen.max())
            return x
        return _StraightThrough.apply(x, self._scale, self._zero)  # type: ignore[no-untyped-call,no-any-return]

    def observe(self) -> None:
        """Starts a new range; zero always lies in it, so that padding is exact."""
        self.low, self.high = torch.zeros_like(self.low), torch.zeros_like(self.high)
        self.observing = True

    def settle(self) -> None:
        """Rounds from now on, in the range that was seen."""
        low, high = float(self.low), float(self.high)
        self._scale = max((high - low) / _LEVELS, 1e-12)
        self._zero = min(max(round(-low / self._scale), 0), _LEVELS)
        self.observing = False


def round_activations(module: fx.GraphModule) -> tuple[RoundedActivation, ...]:
    """Puts a ``RoundedActivation`` behind the input and every node that a runtime rounds after, in place.

    The output of the network stays in float, as the exporter leaves it.
    """
    inserted = []
    (output,) = (node for node in module.graph.nodes if node.op == "output")
    for node in list(module.graph.nodes):
        if node is output or output in node.users or not _is_rounded(module, node):
            continue
        layer = RoundedActivation()
        name = f"{node.name}_rounded"
        module.add_module(name, layer)
        with module.graph.inserting_after(node):
            new = module.graph.create_node("call_module", name, (node,), {}, name=name)
        node.replace_all_uses_with(new, delete_user_cb=lambda user, new=new: user is not new)
        inserted.append(layer)
    module.recompile()
    return tuple(inserted)


def _is_rounded(module: fx.GraphModule, node: fx.Node) -> bool:
    if isinstance(layer_of(module, node), _SAME_VALUES | _IN_FLOAT):
        return False
    users = [layer_of(module, user) for user in node.users]
    return not (len(users) == 1 and isinstance(users[0], _FOLLOWED_BY | _IN_FLOAT))
