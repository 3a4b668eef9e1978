"""Arithmetic with constants that no layer of torch carries; the constants are not trained."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ARITHMETIC: Mapping[str, Callable[[Any, Any], torch.Tensor]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": torch.pow,
    "maximum": torch.maximum,
    "minimum": torch.minimum,
    "matmul": torch.matmul,
}
"""What a ``ConstantOperand`` can do, by the word of the layer table."""


class ConstantOperand(nn.Module):
    """``x op value``, or ``value op x`` when ``reverse``; ``value`` broadcasts, its batch axis is 1."""

    value: torch.Tensor

    def __init__(self, kind: str, value: torch.Tensor, *, reverse: bool = False) -> None:
        super().__init__()
        self.kind = kind
        self.reverse = reverse
        self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``[batch, ...]`` to the broadcast shape."""
        operate = ARITHMETIC[self.kind]
        return operate(self.value, x) if self.reverse else operate(x, self.value)


class Repeated(nn.Module):
    """A constant ``[1, ...]`` for every sample of the batch: a class token, a learnt query."""

    value: torch.Tensor

    def __init__(self, value: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Of ``x`` only the size of the batch is read."""
        return self.value.expand(x.shape[0], *self.value.shape[1:])


class Masked(nn.Module):
    """``x`` where ``keep``, ``value`` elsewhere; both broadcast against ``x``."""

    keep: torch.Tensor
    value: torch.Tensor

    def __init__(self, keep: torch.Tensor, value: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("keep", keep)
        self.register_buffer("value", value)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The broadcast shape of the three."""
        return torch.where(self.keep, x, self.value)


class Einsum(nn.Module):
    """``torch.einsum`` with some of the operands constant; ``constants`` maps positions to them."""

    def __init__(self, equation: str, constants: Mapping[int, torch.Tensor]) -> None:
        super().__init__()
        self.equation = equation
        self.positions = tuple(constants)
        for position, value in constants.items():
            self.register_buffer(f"constant_{position}", value)

    def operands(self, tensors: list[Any]) -> list[Any]:
        """``tensors`` with the constants in their places."""
        for position in sorted(self.positions):
            tensors.insert(position, getattr(self, f"constant_{position}"))
        return tensors

    def forward(self, *tensors: torch.Tensor) -> torch.Tensor:
        """What the equation says."""
        return torch.einsum(self.equation, *self.operands(list(tensors)))
