"""Ridge regression, and the rows of data that it is done on."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from scipy.linalg.blas import dsyrk
from torch import Tensor, nn
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable

Unsolvable = torch.linalg.LinAlgError  # type: ignore[attr-defined]
"""What torch, and ``fitted_weights``, raise when there is no finite solution."""

RIDGE = 1e-2
"""Share of the mean diagonal that is added to a Gram matrix (measured: better than 1e-3 and 1e-4)."""

_MOST_STEPS, _LEAST_STEPS = 60, 2
_MOST_PRODUCTS = 1e11
"""Of conjugate gradients on a support: some seconds where the layer is wide."""


def fitted_weights(
    inputs: Tensor,
    targets: Tensor,
    start: Tensor,
    *,
    with_bias: bool = True,
    support: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Weights and bias that turn the inputs into the targets with the least squared error.

    The ridge pulls towards ``start``, not towards zero: with fewer rows than unknowns the inherited
    weights are kept in all directions that the data say nothing about.

    Args:
        inputs: ``(rows, features)``.
        targets: ``(rows, outputs)``.
        start: ``(outputs, features)``, the inherited weights.
        with_bias: Whether a bias takes up the means; else it comes back as zeros.
        support: ``(outputs, features)``, where weights may differ from zero; ``None``: everywhere.

    Returns:
        ``(outputs, features)`` and ``(outputs,)``, both float64.

    Raises:
        Unsolvable: when no finite weights solve it.
    """
    x, y, w = inputs.double(), targets.double(), start.double()
    w = w if support is None else w * support
    x_mean, y_mean = x.mean(0) * with_bias, y.mean(0) * with_bias
    y = y - y_mean
    if x.shape[0] < x.shape[1]:
        change = _change_of_many(x - x_mean, y, w, support)
    else:
        gram = gram_of(inputs, centred=with_bias)
        right = x.T @ y - gram @ w.T  # the targets are centred: the inputs need not be
        change = _change(gram, right, support)
    weights = w + change.T
    bias = y_mean - weights @ x_mean
    if not (weights.isfinite().all() and bias.isfinite().all()):
        raise Unsolvable("the least squares have no finite solution")
    return weights, bias


def solve_on_support(
    effect: Callable[[Tensor], Tensor], right: Tensor, support: Tensor, diagonal: Tensor
) -> Tensor:
    """The rows ``v`` that are zero outside their support and give ``effect(v) = right`` inside it.

    Conjugate gradients with the diagonal as preconditioner, all rows at once, each with steps of its
    own: no system a row is formed, whatever its support. They stop at one part in 1e6, or earlier
    where a step is long.

    Args:
        effect: A symmetric positive matrix times each row, ``(rows, unknowns)`` to the same.
        right: ``(rows, unknowns)``.
        support: ``(rows, unknowns)``, boolean.
        diagonal: ``(unknowns,)``, of the matrix.
    """
    found = torch.zeros_like(right)
    residual = right * support
    direction = residual / diagonal
    left = (residual * direction).sum(1, keepdim=True)
    enough = left * 1e-12 + 1e-300
    steps = int(
        min(_MOST_STEPS, max(_LEAST_STEPS, _MOST_PRODUCTS / right.numel() / len(diagonal)))
    )
    for _ in range(steps):
        active = left > enough
        if not bool(active.any()):
            break
        answer = effect(direction) * support
        length = torch.where(active, left / (direction * answer).sum(1, keepdim=True), 0.0)
        found = found + length * direction
        residual = residual - length * answer
        scaled = residual / diagonal
        before, left = left, (residual * scaled).sum(1, keepdim=True)
        direction = scaled + torch.where(active, left / before, 0.0) * direction
    return found


def output_positions(size: tuple[int, ...], wanted: int) -> Tensor:
    """Up to ``wanted`` positions of an output map, as flat indices, the same at every call."""
    count = math.prod(size)
    if count <= wanted:
        return torch.arange(count)
    chosen = torch.randperm(count, generator=torch.Generator().manual_seed(0))[:wanted]
    return chosen.sort().values


def layer_rows(layer: nn.Module, x: Tensor, positions: Tensor) -> Tensor:
    """What a convolution or dense layer sees at some output positions: one row per sample and position.

    Returns:
        ``(samples * positions, channels * kernel)`` for a convolution (of *all* input channels, also
        when it is grouped), ``(samples * rows, features)`` for a dense layer.
    """
    if isinstance(layer, nn.Linear):
        return x.reshape(-1, x.shape[-1])
    if not isinstance(layer, nn.Conv1d | nn.Conv2d):
        raise TypeError(type(layer).__name__)
    pads = [int(p) for p in layer.padding for _ in range(2)][::-1]
    windows = functional.pad(x, pads)
    for axis in range(len(layer.kernel_size)):
        reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
        windows = windows.unfold(2 + axis, reach, layer.stride[axis])
    spatial = len(layer.kernel_size)
    for axis, step in enumerate(layer.dilation):
        if step > 1:
            taken = torch.arange(0, windows.shape[2 + spatial + axis], step)
            windows = windows.index_select(2 + spatial + axis, taken)
    # not torch.unravel_index: its first call imports sympy, which takes a second
    width = windows.shape[1 + spatial]
    if spatial == 1:
        chosen = windows[:, :, positions]
    else:
        chosen = windows[:, :, positions // width, positions % width]
    return chosen.transpose(1, 2).reshape(x.shape[0] * len(positions), -1)


def output_rows(y: Tensor, positions: Tensor, *, dense: bool) -> Tensor:
    """The outputs of a layer that stand against ``layer_rows``: ``(rows, outputs)``."""
    if dense:
        return y.reshape(-1, y.shape[-1])
    return y.flatten(2)[:, :, positions].transpose(1, 2).reshape(-1, y.shape[1])


@lru_cache(maxsize=2)
def gram_of(rows: Tensor, *, centred: bool) -> Tensor:
    """Second moments of the columns, summed, float64; about their means if ``centred``.

    Those of the latest rows are kept (a tensor is told by identity): a fit and several ways to split
    a layer ask for them. Rows are not to be changed in place.
    """
    x = rows.double()
    x = x - x.mean(0) if centred else x
    # BLAS' own product of a matrix with itself takes little more than half the time of a general one
    upper = torch.from_numpy(dsyrk(1.0, x.numpy().T))
    return upper.triu() + upper.triu(1).T


def covariance_of(rows: Tensor) -> Tensor:
    """Centred second moments of the columns with a small ridge, float64; see ``gram_of``."""
    gram = gram_of(rows, centred=True) / max(1, rows.shape[0])
    return gram + RIDGE * gram.diagonal().mean().clamp_min(1e-12) * torch.eye(len(gram))


def _change(gram: Tensor, right: Tensor, support: Tensor | None) -> Tensor:
    """The change ``(features, outputs)`` of the weights that fits what they leave."""
    ridge = RIDGE * float(gram.diagonal().mean())
    if support is None:
        return _solved(gram, right, ridge)
    ridge = max(ridge, 1e-12)
    diagonal = gram.diagonal() + ridge
    return solve_on_support(lambda v: v @ gram + ridge * v, right.T, support, diagonal).T


def _change_of_many(x: Tensor, y: Tensor, w: Tensor, support: Tensor | None) -> Tensor:
    """``_change`` where there are more features than rows: no matrix of all features is formed."""
    ridge = RIDGE * float(x.square().sum()) / x.shape[1]
    residual = y - x @ w.T
    if support is None:
        return x.T @ _solved(x @ x.T, residual, ridge)
    ridge = max(ridge, 1e-12)
    diagonal = x.square().sum(0) + ridge
    right = residual.T @ x
    return solve_on_support(lambda v: v @ x.T @ x + ridge * v, right, support, diagonal).T


def _solved(gram: Tensor, right: Tensor, ridge: float) -> Tensor:
    matrix = gram + max(ridge, 1e-12) * torch.eye(len(gram), dtype=gram.dtype)
    factor, failed = torch.linalg.cholesky_ex(matrix)
    if not (matrix.isfinite().all() and right.isfinite().all()):
        raise Unsolvable(
            "the examples hold values that are not finite"
        )  # LAPACK aborts on them
    if int(failed):
        solution: Tensor = torch.linalg.lstsq(matrix, right).solution
        return solution
    return torch.cholesky_solve(right, factor)
