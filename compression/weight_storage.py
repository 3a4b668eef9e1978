"""How one weight tensor is stored: in which numbers, with or without its zeros, in how many bytes.

The exporter writes what ``stored`` decides, ``rounded`` says which values that stands for, and
``stored_bytes`` foretells the size from shape and density alone. NumPy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from compression.saturation import sums_overflow
from compression.sparse_index import IndexForm, expected_index_bytes, index_bytes
from compression.types import OpSpec, Precision
from compression.weight_codebook import CODES, clustered

if TYPE_CHECKING:
    from collections.abc import Mapping

Weights = NDArray[np.float32]

INT8_OVERHEAD_BYTES = 70
"""What the two nodes and the names of a weight stored in 8 bits cost."""

SPARSE_OVERHEAD_BYTES = 90
"""What a tensor costs in the file when its zeros are left out: its part of the decoding nodes."""

HALF_OVERHEAD_BYTES = 30
"""What the node and the name of a weight stored in 16 bits cost."""

CODEBOOK_MIN_WEIGHTS = 4096
CODEBOOK_MIN_WEIGHTS_PER_OUTPUT = 32
"""Smaller layers stay in 8 bits: they hold few bytes and much of the loss. On a ResNet-20 that halves
the KL divergence (0.035 to 0.020) for 6 % more bytes, on a LeNet-5 it is a third for 5 % more. With few
weights an output (depthwise layers) the factors would take what the indices save."""

_DENSE_SHARE = 31 / 32
"""One bit a weight costs more than it saves when fewer than one in 32 floats are zero."""

HALVED_OVERHEAD_BYTES = 35
"""What it costs to keep a vector of factors or biases in 16 bits: a node and its name."""

_HALF_ERROR = 2.0**-11
"""The relative error that 16 bits have; where one value has more, all stay in 32."""

_WHOLE_FACTORS = frozenset({Precision.FP32, Precision.INT8})
"""What is stored in float stays as it is, and 8-bit arithmetic wants its factors in float."""

_WEIGHTED_OPS = frozenset({"conv", "dense"})


class Coding(StrEnum):
    """The numbers that stand for the weights of one tensor."""

    FLOAT = "float"
    HALF = "half"
    INT8 = "int8"
    CODES = "codes"


_VALUE_BITS: Mapping[Coding, int] = {
    Coding.FLOAT: 32,
    Coding.HALF: 16,
    Coding.INT8: 8,
    Coding.CODES: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredWeights:
    """One tensor as the file holds it.

    ``values`` has the tensor's shape: float32, float16, int8, or indices (uint8) into ``codebook``.
    ``scales`` broadcasts against it (``INT8`` and ``CODES``), float16 where that pays, else float32. Units of ``unit`` neighbouring values
    that are all zero are left out when ``is_sparse``.
    """

    coding: Coding
    values: NDArray[Any]
    scales: NDArray[np.floating] | None = None
    codebook: Weights | None = None
    is_sparse: bool = False
    unit: int = 1

    def floats(self) -> Weights:
        """The weights that the file stands for, float32."""
        values = self.values if self.codebook is None else self.codebook[self.values]
        plain = values.astype(np.float32)
        return plain if self.scales is None else plain * self.scales.astype(np.float32)

    def transposed(self) -> StoredWeights:
        """The same weights with their axes in the opposite order."""
        scales = None if self.scales is None else self.scales.T
        return replace(self, values=self.values.T, scales=scales)

    @property
    def kept(self) -> NDArray[np.bool_]:
        """Which units hold anything but zeros, in memory order."""
        return np.asarray(self.values.reshape(-1, self.unit).any(axis=1))


def stored(values: Weights, precision: Precision) -> StoredWeights:
    """One tensor in the smallest form that the precision allows; small ones keep a larger number.

    Args:
        values: ``[outputs, ...]``, float32.
        precision: of the network; ``INT8`` gives the weights of 8-bit arithmetic.
    """
    coding = _coding(values.size, len(values), precision)
    if coding is Coding.HALF and not np.isfinite(_halved(values)).all():
        coding = Coding.FLOAT
    dense = _coded(values, coding, precision, zero=False)
    if coding is not Coding.CODES:
        return without_zeros(dense)
    if np.count_nonzero(values) > _DENSE_SHARE * values.size:
        return dense
    sparse = without_zeros(_coded(values, coding, precision, zero=True))
    return sparse if sparse.is_sparse and _bytes(sparse) < _bytes(dense) else dense


def without_zeros(dense: StoredWeights) -> StoredWeights:
    """The same values with their zeros left out, one by one or by windows, where that is smaller."""
    if np.count_nonzero(dense.values) > _DENSE_SHARE * dense.values.size:
        return dense
    units = _units(dense.values.shape)
    sparse = min((replace(dense, is_sparse=True, unit=unit) for unit in units), key=_bytes)
    return sparse if _bytes(sparse) < _bytes(dense) else dense


def few_bytes(values: Weights, precision: Precision) -> NDArray[np.floating]:
    """A vector of biases or factors in 16 bits where that pays and loses next to nothing; else as it is.

    Biases are wanted in float by 8-bit arithmetic, and by networks that are stored in float.
    """
    if precision in _WHOLE_FACTORS or not _halves(values.size):
        return values
    short = _halved(values)
    error = np.abs(short.astype(np.float64) - values)
    return short if (error <= _HALF_ERROR * np.abs(values)).all() else values


def rounded(values: Weights, precision: Precision) -> Weights:
    """Exactly the values that the exported file stands for: what fine-tuning has to live with.

    Args:
        values: the weights of one convolution or dense layer, ``[outputs, ...]``, float32.
        precision: of the network; nothing changes for ``FP32``.
    """
    return stored(np.asarray(values, np.float32), precision).floats()


def stored_bytes(op: OpSpec, precision: Precision) -> int:
    """Bytes of one operation's weights, factors and bias in the exported file.

    Zeros are left out, index bits counted, where that is smaller; they are taken to lie anywhere.
    Nodes and names that every layer has in either form are not counted.
    """
    if op.op not in _WEIGHTED_OPS:
        return 4 * op.params
    outputs, count = _weights_of(op)
    bias = _vector_bytes(op.params - count, precision)
    coding = _coding(count, outputs, precision)
    kept = min(count, math.ceil(op.density * count))
    index = min(expected_index_bytes(count, kept, form) for form in IndexForm)
    dense = _value_bytes(count, coding)
    sparse = _value_bytes(kept, coding) + index + SPARSE_OVERHEAD_BYTES
    extra = _factor_bytes(outputs, coding, precision)
    if precision is Precision.INT8:
        extra += bias  # the scales of the bias
    return bias + extra + min(dense, sparse)


def pays_in_int8(count: int, outputs: int) -> bool:
    """Whether storing so many weights in 8 bits with a scale per output saves bytes."""
    return count * 3 > INT8_OVERHEAD_BYTES + 4 * outputs


def largest_integer(precision: Precision) -> int:
    """Of the integers that weights become: half as large where 8-bit arithmetic computes right with 7 bits alone."""
    return 64 if precision is Precision.INT8 and sums_overflow() else 127


def rounded_to_int8(values: Weights, most: int = 127) -> tuple[NDArray[np.int8], Weights]:
    """Weights as int8 and a float scale for each output (first axis), symmetric around zero.

    Args:
        values: ``[outputs, ...]``.
        most: the integer that the largest weight of each output becomes.

    Returns:
        ``stored`` of the same shape, and ``scales`` that broadcast against it;
        ``stored * scales`` differs from ``values`` by at most half a scale.
    """
    axes = tuple(range(1, values.ndim))
    largest = np.abs(values).max(axis=axes, keepdims=True)
    scales = np.where(largest > 0, largest / most, 1.0).astype(np.float32)
    return np.clip(np.rint(values / scales), -most, most).astype(np.int8), scales


def _coding(count: int, outputs: int, precision: Precision) -> Coding:
    if precision is Precision.INT8:
        return Coding.INT8
    if precision is Precision.FP16_WEIGHTS and count * 2 > HALF_OVERHEAD_BYTES:
        return Coding.HALF
    large = count >= max(CODEBOOK_MIN_WEIGHTS, CODEBOOK_MIN_WEIGHTS_PER_OUTPUT * outputs)
    if precision is Precision.CODEBOOK and large:
        return Coding.CODES
    in_bytes = precision in (Precision.INT8_WEIGHTS, Precision.CODEBOOK)
    return Coding.INT8 if in_bytes and pays_in_int8(count, outputs) else Coding.FLOAT


def _coded(
    values: Weights, coding: Coding, precision: Precision, *, zero: bool
) -> StoredWeights:
    if coding is Coding.CODES:
        indices, codebook, factors = clustered(values, zero=zero)
        scales = few_bytes(factors, precision)
        return StoredWeights(coding=coding, values=indices, scales=scales, codebook=codebook)
    if coding is Coding.INT8:
        integers, factors = rounded_to_int8(values, largest_integer(precision))
        scales = few_bytes(factors, precision)
        return StoredWeights(coding=coding, values=integers, scales=scales)
    plain = _halved(values) if coding is Coding.HALF else values
    return StoredWeights(coding=coding, values=plain)


def _halved(values: Weights) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):
        return values.astype(np.float16)


def _units(shape: tuple[int, ...]) -> tuple[int, ...]:
    """What may be dropped as a whole: single weights, or the window of a kernel."""
    window = math.prod(shape[2:])
    return (1, window) if window > 1 else (1,)


def _bytes(weights: StoredWeights) -> int:
    """Without the factors, which are the same in every form of one tensor."""
    if not weights.is_sparse:
        return _value_bytes(weights.values.size, weights.coding)
    kept = weights.kept
    index = min(index_bytes(kept, form) for form in IndexForm)
    values = _value_bytes(int(kept.sum()) * weights.unit, weights.coding)
    return values + index + SPARSE_OVERHEAD_BYTES


def _value_bytes(count: int, coding: Coding) -> int:
    return -(-count * _VALUE_BITS[coding] // 8)


def _factor_bytes(outputs: int, coding: Coding, precision: Precision) -> int:
    codebook = 4 * CODES if coding is Coding.CODES else 0
    has_factors = coding in (Coding.CODES, Coding.INT8)
    return codebook + (_vector_bytes(outputs, precision) if has_factors else 0)


def _vector_bytes(count: int, precision: Precision) -> int:
    """Bytes of a bias, or of one factor for each output."""
    if precision in _WHOLE_FACTORS or not _halves(count):
        return 4 * count
    return 2 * count + HALVED_OVERHEAD_BYTES


def _halves(count: int) -> bool:
    """Whether 16 bits pay for so many values."""
    return 2 * count > HALVED_OVERHEAD_BYTES


def _weights_of(op: OpSpec) -> tuple[int, int]:
    """Outputs and weights of a convolution or dense layer, without its bias."""
    if op.op == "dense":
        outputs = op.out_shape[-1]
        return outputs, min(op.params, op.in_shape[-1] * outputs)
    outputs = op.out_shape[0]
    each = op.in_shape[0] // op.groups * math.prod(op.kernel)
    return outputs, min(op.params, outputs * each)
