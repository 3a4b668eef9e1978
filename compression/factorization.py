"""One layer's weights as the product of smaller ones, nearest for the data that it reads.

Each split takes the weights ``[outputs, inputs, *kernel]`` and ``rows``, what the layer sees, one row
per sample and position (``least_squares.layer_rows``), or ``None`` for the plain decomposition. It
returns the weights of the new layers in order, shaped for torch.
"""

from __future__ import annotations

import torch
from torch import Tensor

from compression.alternation import (
    Goal,
    alternate_depthwise,
    alternate_fire,
    alternate_spatial,
    alternate_terms,
    alternate_tucker,
    sweep_terms,
)
from compression.least_squares import covariance_of, fitted_weights

Factors = tuple[Tensor, ...]

_SWEEPS = 3
_MARGIN = 0.1
"""Above zero, in standard deviations: other data reach a little farther than these."""


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
        top = top_eigenvectors(m.mT @ c @ m, rank)
        first, second = m @ top, top.mT
    else:
        root, inverse = _square_roots(c)
        top = top_eigenvectors(root @ m @ m.mT @ root, rank)
        first, second = inverse @ top, top.mT @ root @ m
    return _balanced(first, second)


def thin_and_wide(rank: int, weight: Tensor, rows: Tensor | None) -> Factors:
    """The layer itself with ``rank`` outputs, then a mixing of those (1x1 for a convolution)."""
    outputs, inputs, *kernel = weight.shape
    covariance = None if rows is None else covariance_of(rows)
    first, second = low_rank_factors(weight.reshape(outputs, -1).T, rank, covariance)
    ones = (1,) * len(kernel)
    return first.T.reshape(rank, inputs, *kernel), second.T.reshape(outputs, rank, *ones)


def hidden_and_mixing(units: int, weight: Tensor, rows: Tensor | None) -> Factors:
    """A hidden layer for a ReLU to follow, and a 1x1 mixing of what that lets through.

    Without data the units come in pairs of opposite sign, whose difference the ReLU leaves as it is:
    half as many directions, no bias needed. With data each unit is a direction of its own, and
    ``hidden_bias`` lifts it above zero.
    """
    if rows is not None:
        return thin_and_wide(units, weight, rows)
    thin, wide = thin_and_wide(units // 2, weight, None)
    return torch.cat([thin, -thin]), torch.cat([wide, -wide], 1)


def hidden_bias(weight: Tensor, rows: Tensor) -> Tensor:
    """A bias ``[units]`` with which a hidden layer puts out no negative value for these rows."""
    values = rows.double() @ weight.double().flatten(1).T
    return _MARGIN * values.std(0, correction=0) - values.amin(0)


def columns_and_rows(rank: int, weight: Tensor, rows: Tensor | None) -> Factors:
    """A 2-D kernel ``(h, w)`` as ``rank`` columns ``(h, 1)``, then rows ``(1, w)``."""
    outputs, inputs, height, width = weight.shape
    covariance = None
    if rows is not None:
        apart = rows.reshape(len(rows), inputs, height, width).permute(0, 3, 1, 2)
        covariance = covariance_of(apart.reshape(len(rows) * width, -1))
    matrix = weight.permute(1, 2, 0, 3).reshape(inputs * height, outputs * width)
    first, second = low_rank_factors(matrix, rank, covariance)
    columns = first.T.reshape(rank, inputs, height)
    across = second.reshape(rank, outputs, width).transpose(0, 1)
    if rows is not None and Goal.is_small(weight, columns.numel()):
        columns, across = alternate_spatial(columns, across, Goal.of(weight, rows))
    return columns[..., None], across[:, :, None, :]


def depthwise_and_pointwise(weight: Tensor, rows: Tensor | None) -> Factors:
    """One filter for each input channel, then a 1x1 convolution over the channels."""
    outputs, inputs, *kernel = weight.shape
    covariance = None
    if rows is not None:
        apart = rows.reshape(len(rows), inputs, -1)
        covariance = torch.stack([covariance_of(apart[:, i]) for i in range(inputs)])
    matrices = weight.reshape(outputs, inputs, -1).permute(1, 2, 0)
    first, second = low_rank_factors(matrices, 1, covariance)
    filters, mixing = first[..., 0], second[:, 0].T
    if rows is not None and Goal.is_small(weight, filters.numel()):
        filters, mixing = alternate_depthwise(filters, mixing, Goal.of(weight, rows))
    ones = (1,) * len(kernel)
    return filters.reshape(inputs, 1, *kernel), mixing.reshape(outputs, inputs, *ones)


def squeeze_and_expand(squeezed: int, weight: Tensor, rows: Tensor | None) -> Factors:
    """A 1x1 squeeze, then 1x1 filters for the first half of the outputs and full ones for the rest.

    Without data a full filter becomes a 1x1 one by the sum of its taps: neighbours look alike in
    feature maps.
    """
    outputs, inputs, *kernel = weight.shape
    taps, half = weight[0, 0].numel(), outputs // 2
    covariance = None
    if rows is not None:
        apart = rows.reshape(len(rows), inputs, taps).transpose(1, 2)
        covariance = covariance_of(apart.reshape(-1, inputs))
    first, second = low_rank_factors(
        weight.transpose(0, 1).reshape(inputs, -1), squeezed, covariance
    )
    expanded = second.reshape(squeezed, outputs, taps).transpose(0, 1)
    squeeze, small, full = first.T, expanded[:half].sum(2), expanded[half:]
    if rows is not None and Goal.is_small(weight, squeeze.numel()):
        squeeze, small, full = alternate_fire(squeeze, small, full, Goal.of(weight, rows))
    ones = (1,) * len(kernel)
    return (
        squeeze.reshape(squeezed, inputs, *ones),
        small.reshape(half, squeezed, *ones),
        full.reshape(outputs - half, squeezed, *kernel),
    )


def reading_core_and_mixing(
    ranks: tuple[int, int], weight: Tensor, rows: Tensor | None
) -> Factors:
    """A 1x1 layer to the first rank, the kernel from it to the second, a 1x1 layer to the outputs.

    The input channels are mixed by higher-order orthogonal iteration, in coordinates in which they
    are uncorrelated; core and output mixing are then the best of their rank for what is left.
    """
    outputs, inputs, *kernel = weight.shape
    inner, outer = ranks
    root, inverse = channel_roots(weight, rows)
    white = torch.einsum("oit,ij->ojt", weight.double().flatten(2), root)
    basis = _input_basis(white, inner, outer)
    reading, wide = basis.T @ inverse, torch.einsum("oit,im->omt", white, basis).flatten(1)
    covariance = None
    if rows is not None:
        wide, covariance = _behind(reading, wide, weight, rows)
    first, second = low_rank_factors(wide.T, outer, covariance)
    core, mixing = first.T.reshape(outer, inner, -1), second.T
    if rows is not None and Goal.is_small(weight, core[0].numel()):
        reading, core, mixing = alternate_tucker(reading, core, mixing, Goal.of(weight, rows))
    narrow, kernels = _balanced(reading.T, core.transpose(0, 1).flatten(1))
    ones = (1,) * len(kernel)
    return (
        narrow.T.reshape(inner, inputs, *ones),
        kernels.reshape(inner, outer, *kernel).transpose(0, 1),
        mixing.reshape(outputs, outer, *ones),
    )


def _behind(
    reading: Tensor, wide: Tensor, weight: Tensor, rows: Tensor
) -> tuple[Tensor, Tensor]:
    """The weights that serve best behind a 1x1 layer, and the covariance of what they see there."""
    apart = rows.double().reshape(len(rows), weight.shape[1], -1)
    seen = torch.einsum("nit,mi->nmt", apart, reading).flatten(1)
    wanted = rows.double() @ weight.double().flatten(1).T
    return fitted_weights(seen, wanted, wide)[0], covariance_of(seen)


def reading_filters_and_mixing(rank: int, weight: Tensor, rows: Tensor | None) -> Factors:
    """A 1x1 layer to ``rank`` channels, one filter for each of these, a 1x1 layer to the outputs."""
    outputs, inputs, *kernel = weight.shape
    root, inverse = channel_roots(weight, rows)
    white = torch.einsum("oit,ij->ojt", weight.double().flatten(2), root)
    reading, filters, mixing = _leading_terms(white, rank)
    reading, filters, mixing = sweep_terms(reading, filters, mixing, white)
    reading = reading @ inverse
    if rows is not None and Goal.is_small(weight, filters.numel()):
        reading, filters, mixing = alternate_terms(
            reading, filters, mixing, Goal.of(weight, rows)
        )
    norms = torch.stack([reading.norm(dim=1), filters.norm(dim=1), mixing.norm(dim=0)])
    level = norms.clamp(1e-6, 1e6).log().mean(0).exp()
    gains = level / norms.clamp(1e-6, 1e6)
    ones = (1,) * len(kernel)
    return (
        (reading * gains[0, :, None]).reshape(rank, inputs, *ones),
        (filters * gains[1, :, None]).reshape(rank, 1, *kernel),
        (mixing * gains[2]).reshape(outputs, rank, *ones),
    )


def _leading_terms(weight: Tensor, rank: int) -> tuple[Tensor, Tensor, Tensor]:
    """A start for ``rank`` terms of weights ``[outputs, inputs, taps]``, and the same at every call.

    What each principal mixture of the inputs feeds is a matrix, outputs by taps, and falls into
    terms that do not overlap; the largest of all of them are taken.
    """
    basis = top_eigenvectors(torch.einsum("oit,ojt->ij", weight, weight), weight.shape[1])
    fed = torch.einsum("oit,ij->jot", weight, basis)
    values, vectors = torch.linalg.eigh(fed.mT @ fed)
    order = values.flatten().sort(descending=True, stable=True).indices[:rank]
    which, part = order // weight.shape[2], order % weight.shape[2]
    filters = vectors[which, :, part]
    mixing = torch.einsum("rot,rt->or", fed[which], filters)
    return basis.T[which], filters, mixing


def _input_basis(weight: Tensor, inner: int, outer: int) -> Tensor:
    """``[inputs, inner]``, orthonormal: the input mixtures that weights ``[outputs, inputs, taps]`` use.

    Each sweep looks at the weights through the best output mixtures for the present basis, and the
    other way round (De Lathauwer et al., SIAM J. Matrix Anal. Appl. 2000, algorithm 4.2).
    """
    basis = top_eigenvectors(torch.einsum("oit,ojt->ij", weight, weight), inner)
    for _ in range(_SWEEPS):
        read = torch.einsum("oit,im->omt", weight, basis).flatten(1)
        mixed = torch.einsum("oit,or->rit", weight, top_eigenvectors(read @ read.T, outer))
        basis = top_eigenvectors(torch.einsum("rit,rjt->ij", mixed, mixed), inner)
    return basis


def channel_roots(weight: Tensor, rows: Tensor | None) -> tuple[Tensor, Tensor]:
    """Square root, and its inverse, of the covariance of the input channels over all taps."""
    inputs = weight.shape[1]
    if rows is None:
        one = torch.eye(inputs, dtype=torch.float64)
        return one, one
    apart = rows.reshape(len(rows), inputs, -1).transpose(1, 2)
    return _square_roots(covariance_of(apart.reshape(-1, inputs)))


def _balanced(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Factors ``(..., rows, rank)`` and ``(..., rank, columns)`` of equal norms, the same product."""
    norms = second.norm(dim=-1) / first.norm(dim=-2).clamp_min(1e-12)
    balance = norms.clamp(1e-6, 1e6).sqrt()
    return first * balance[..., None, :], second / balance[..., :, None]


def top_eigenvectors(symmetric: Tensor, count: int) -> Tensor:
    """``[size, count]``: the eigenvectors of the largest eigenvalues, the largest first."""
    vectors: Tensor = torch.linalg.eigh(symmetric).eigenvectors
    return vectors.flip(-1)[..., :count]


def _square_roots(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    values, vectors = torch.linalg.eigh(symmetric)
    roots = values.clamp_min(float(values.max()) * 1e-9 + 1e-300).sqrt()[..., None, :]
    return (vectors * roots) @ vectors.mT, (vectors / roots) @ vectors.mT
