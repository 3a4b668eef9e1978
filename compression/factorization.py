"""One layer's weights as the product of two smaller ones, nearest for the data that it reads.

Each split takes ``rows``: what the first of the two new layers sees, one row per sample and position
(``least_squares.layer_rows``), or ``None`` for the plain decomposition of the weights. It returns the
weights of the first layer, then those of the layers behind it, shaped for torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from compression.least_squares import covariance_of


def low_rank_factors(
    matrix: Tensor, rank: int, covariance: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The two thin factors whose product is nearest to the matrix for inputs of that covariance.

    With ``C`` the covariance of the inputs, it minimises ``trace((M - VU)' C (M - VU))``: errors
    count by what the data excite (plain SVD when there is no covariance). Both factors are scaled
    to equal norms so that fine-tuning moves them alike. Leading dimensions are batches.

    Args:
        matrix: ``(..., features, outputs)``.
        rank: Number of inner columns.
        covariance: ``(..., features, features)`` or ``None``.

    Returns:
        ``(..., features, rank)`` and ``(..., rank, outputs)``, both float64.
    """
    m = matrix.double()
    c = torch.eye(m.shape[-2], dtype=m.dtype) if covariance is None else covariance.double()
    if m.shape[-1] <= m.shape[-2]:
        top = _top_eigenvectors(m.mT @ c @ m, rank)
        first, second = m @ top, top.mT
    else:
        root, inverse = _square_roots(c)
        top = _top_eigenvectors(root @ m @ m.mT @ root, rank)
        first, second = inverse @ top, top.mT @ root @ m
    norms = second.norm(dim=-1) / first.norm(dim=-2).clamp_min(1e-12)
    balance = norms.clamp(1e-6, 1e6).sqrt()
    return first * balance[..., None, :], second / balance[..., :, None]


def two_stages(weight: Tensor, rank: int, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """Dense, 1-D and 1x1 kernels: the layer with ``rank`` outputs, then a mixing of those.

    A larger 2-D kernel ``(h, w)``: ``rank`` columns ``(h, 1)``, then rows ``(1, w)``.
    """
    covariance = None if rows is None else covariance_of(rows)
    outputs, inputs, *kernel = weight.shape
    if len(kernel) == 2 and max(kernel) > 1:
        matrix = weight.permute(1, 2, 0, 3).reshape(inputs * kernel[0], outputs * kernel[1])
        first, second = low_rank_factors(matrix, rank, covariance)
        columns = first.T.reshape(rank, inputs, kernel[0], 1)
        return columns, second.reshape(rank, outputs, 1, kernel[1]).transpose(0, 1)
    first, second = low_rank_factors(weight.reshape(outputs, -1).T, rank, covariance)
    ones = (1,) * len(kernel)
    return first.T.reshape(rank, inputs, *kernel), second.T.reshape(outputs, rank, *ones)


def depthwise_stages(weight: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """One filter for each input channel, then a 1x1 convolution over the channels."""
    outputs, inputs, *kernel = weight.shape
    matrices = weight.reshape(outputs, inputs, -1).permute(1, 2, 0)
    covariance = None
    if rows is not None:
        x = rows.double().reshape(len(rows), inputs, -1).transpose(0, 1)
        x = x - x.mean(1, keepdim=True)
        covariance = x.mT @ x / x.shape[1]
        size = covariance.diagonal(dim1=1, dim2=2).mean().clamp_min(1e-12)
        covariance = covariance + 1e-3 * size * torch.eye(covariance.shape[-1])
    first, second = low_rank_factors(matrices, 1, covariance)
    ones = (1,) * len(kernel)
    return first.reshape(inputs, 1, *kernel), second[:, 0].T.reshape(outputs, inputs, *ones)


def fire_stages(weight: Tensor, squeezed: int, rows: Tensor | None) -> tuple[Tensor, ...]:
    """A 1x1 squeeze, then 1x1 filters for the first half of the outputs and full ones for the rest.

    A full filter becomes a 1x1 filter by the sum of its taps: neighbours look alike in feature maps.
    """
    outputs, inputs, *kernel = weight.shape
    covariance = None if rows is None else covariance_of(rows)
    matrix = weight.transpose(0, 1).reshape(inputs, -1)
    first, second = low_rank_factors(matrix, squeezed, covariance)
    ones = (1,) * len(kernel)
    expanded = second.reshape(squeezed, outputs, *kernel).transpose(0, 1)
    small = expanded[: outputs // 2].flatten(2).sum(2)
    return (
        first.T.reshape(squeezed, inputs, *ones),
        small.reshape(outputs // 2, squeezed, *ones),
        expanded[outputs // 2 :],
    )


def _top_eigenvectors(symmetric: Tensor, count: int) -> Tensor:
    vectors: Tensor = torch.linalg.eigh(symmetric).eigenvectors
    return vectors.flip(-1)[..., :count]


def _square_roots(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(symmetric)
    roots = values.clamp_min(float(values.max()) * 1e-9 + 1e-300).sqrt()[..., None, :]
    return (vectors * roots) @ vectors.mT, (vectors / roots) @ vectors.mT
