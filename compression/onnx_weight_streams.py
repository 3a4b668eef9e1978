"""Weights packed below a byte or without their zeros, unpacked in the graph by plain operators.

All tensors of one kind share one stream of values, one index and one chain of nodes, so that a
network of many small layers pays for the chain once. Everything the chain reads is constant: ONNX
Runtime computes it while it loads the file and then runs at the speed of float. (``NonZero`` would
be shorter and is not folded; ``DequantizeLinear`` neither.)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from onnx import TensorProto, numpy_helper

from compression.sparse_index import (
    CODE_BITS,
    IndexForm,
    gap_codes,
    index_bytes,
    packed_index,
    packed_nibbles,
    skip_code,
)
from compression.weight_storage import Coding, StoredWeights

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from compression.onnx_nodes import OnnxNodes

STREAM_OPSET = 11
"""The oldest opset with ``CumSum`` and ``ScatterElements``."""

_CHAIN_BYTES = {IndexForm.BITS: 140, IndexForm.NIBBLES: 330, IndexForm.BYTES: 270}
"""About what the nodes of one index take."""


Tensors = list[tuple[str, StoredWeights]]


class _Kind(NamedTuple):
    """Tensors that can share a stream of values; ``in_float`` says what comes out."""

    coding: Coding
    is_sparse: bool
    unit: int
    in_float: bool


@dataclass(slots=True)
class WeightStreams:
    """Tensors that wait for their decoding; ``write`` appends all chains to the nodes."""

    _waiting: dict[_Kind, Tensors] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self._waiting)

    def take(self, weights: StoredWeights, out: str) -> None:
        """Have the weights decoded into the tensor ``out``.

        Integers without scales come out as int8 (for nodes that dequantise), all else as float.
        """
        in_float = weights.coding is not Coding.INT8 or weights.scales is not None
        kind = _Kind(weights.coding, weights.is_sparse, weights.unit, in_float)
        self._waiting.setdefault(kind, []).append((out, weights))

    def write(self, nodes: OnnxNodes) -> None:
        """Append initializers and nodes that decode everything taken so far."""
        for kind, tensors in self._waiting.items():
            if not kind.is_sparse:
                _write_dense(nodes, tensors)
                continue
            for form, chosen in _by_form(tensors).items():
                _write_sparse(nodes, kind, form, chosen)
        self._waiting = {}


def is_streamed(weights: StoredWeights) -> bool:
    """Whether the weights are packed into a stream rather than stored as a tensor of their own."""
    return weights.is_sparse or weights.coding is Coding.CODES


def _by_form(tensors: Tensors) -> dict[IndexForm, Tensors]:
    """Tensors by the index they use: each its smallest, among as few forms as pay for their chains."""
    sizes = [{form: index_bytes(w.kept, form) for form in IndexForm} for _, w in tensors]
    subsets = [s for n in (1, 2, 3) for s in itertools.combinations(IndexForm, n)]
    allowed = min(
        subsets,
        key=lambda forms: (
            sum(min(size[form] for form in forms) for size in sizes)
            + sum(_CHAIN_BYTES[form] for form in forms)
        ),
    )
    found: dict[IndexForm, Tensors] = {}
    for tensor, size in zip(tensors, sizes, strict=True):
        found.setdefault(min(allowed, key=size.__getitem__), []).append(tensor)
    return found


def _write_dense(nodes: OnnxNodes, tensors: Tensors) -> None:
    codes = np.concatenate([w.values.reshape(-1) for _, w in tensors])
    flat = _unpacked(nodes, packed_nibbles(codes), 4, (-1,))
    sizes = [w.values.size for _, w in tensors]
    _write_parts(nodes, flat, sizes, len(codes) + len(codes) % 2, tensors)


def _write_sparse(nodes: OnnxNodes, kind: _Kind, form: IndexForm, tensors: Tensors) -> None:
    kept = np.concatenate([w.kept for _, w in tensors])
    mask, length = _mask(nodes, kept, form)
    places = nodes.add("Mul", [nodes.add("CumSum", [mask, _zero(nodes)]), mask])
    rows = np.concatenate([w.values.reshape(-1, kind.unit) for _, w in tensors])[kept]
    flat = nodes.add("Gather", [_values(nodes, rows, kind), places])
    sizes = [w.values.size // kind.unit for _, w in tensors]
    _write_parts(nodes, flat, sizes, length, tensors)


def _write_parts(
    nodes: OnnxNodes, flat: str, sizes: Sequence[int], length: int, tensors: Tensors
) -> None:
    """Cut the decoded stream of ``length`` units into tensors; padding is a part that nobody reads."""
    rest = length - sum(sizes)
    parts = nodes.add_split(flat, [*sizes, rest] if rest else sizes)
    for part, (out, weights) in zip(parts, tensors, strict=False):
        shape, scales = nodes.integers(weights.values.shape), weights.scales
        shaped = nodes.add("Reshape", [part, shape], "" if scales is not None else out)
        if weights.codebook is not None:
            shaped = nodes.add("Gather", [nodes.constant(weights.codebook), shaped])
        if scales is not None:
            nodes.add("Mul", [shaped, nodes.in_float(scales)], out)


def _mask(nodes: OnnxNodes, kept: np.ndarray, form: IndexForm) -> tuple[str, int]:
    """A tensor of ones for kept units and zeros for others, int32, and its length (some padding)."""
    packed = packed_index(kept, form)
    if form is IndexForm.BITS:
        return _unpacked(nodes, packed, 1, (-1,)), 8 * len(packed)
    skip = skip_code(form)
    codes = _unpacked(nodes, packed, CODE_BITS[form], (-1,))
    keeps = nodes.add("Less", [codes, nodes.constant(np.array(skip, np.int32))])
    keeps = nodes.add("Cast", [keeps], to=TensorProto.INT32)
    ends = nodes.add("CumSum", [nodes.add("Add", [codes, keeps]), _zero(nodes)])
    places = nodes.add("Sub", [ends, nodes.constant(np.array(1, np.int32))])
    reach = _reach(gap_codes(kept, skip), skip, form)
    length = max(len(kept), reach)
    blank = nodes.add(
        "ConstantOfShape",
        [nodes.integers([length])],
        value=numpy_helper.from_array(np.zeros(1, np.int32)),
    )
    return nodes.add("ScatterElements", [blank, places, keeps], axis=0), length


def _reach(codes: np.ndarray, skip: int, form: IndexForm) -> int:
    """How far the codes move in all; an odd nibble is filled up by one that skips."""
    filled = len(codes) % 2 * skip if form is IndexForm.NIBBLES else 0
    return int(np.minimum(codes.astype(np.int64) + 1, skip).sum()) + filled


def _values(nodes: OnnxNodes, rows: np.ndarray, kind: _Kind) -> str:
    """The kept units behind one of zeros, which stands for all that were left out."""
    values = np.concatenate([np.zeros((1, kind.unit), rows.dtype), rows])
    if kind.coding is Coding.CODES:
        odd = values.size % 2  # filled up by a row that nothing points to
        codes = np.concatenate([values, values[:odd]]).reshape(-1)
        return _unpacked(
            nodes, packed_nibbles(codes), 4, (-1,) if kind.unit == 1 else (-1, kind.unit)
        )
    stored = nodes.constant(values[:, 0] if kind.unit == 1 else values)
    if kind.coding is Coding.FLOAT or not kind.in_float:
        return stored
    return nodes.add("Cast", [stored], to=TensorProto.FLOAT)


def _unpacked(nodes: OnnxNodes, packed: np.ndarray, bits: int, shape: Iterable[int]) -> str:
    """Codes of so many bits, the high ones first, as int32 of that shape."""
    each = 8 // bits
    if each == 1:
        return nodes.add("Cast", [nodes.constant(packed)], to=TensorProto.INT32)
    places = 1 << (bits * np.arange(each - 1, -1, -1, dtype=np.int32))
    whole = nodes.add("Cast", [nodes.constant(packed[:, None])], to=TensorProto.INT32)
    shifted = nodes.add("Div", [whole, nodes.constant(places.astype(np.int32))])
    codes = nodes.add("Mod", [shifted, nodes.constant(np.array(1 << bits, np.int32))])
    return nodes.add("Reshape", [codes, nodes.integers([*shape])])


def _zero(nodes: OnnxNodes) -> str:
    """The axis that ``CumSum`` reads."""
    return nodes.constant(np.array(0, np.int32))
