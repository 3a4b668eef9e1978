"""Sparse coding: a dense layer becomes a small dictionary and a code with few entries."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from torch import nn

from compression.op_costs import dense_op
from compression.sparse_factorization import dictionary_and_code
from compression.sparsity import thin_out
from compression.surgery import INHERITED, Inherited, Surgeon, dense, layer_of
from compression.technique import Parameter, Scope, Technique
from compression.types import LayerKind, kept_width

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

_CODE_DENSITY = 1 / 3


class SparseCoding(Technique):
    """``W = A B``: ``k`` atoms ``B [k, inputs]``, dense, and a code ``A [outputs, k]``, sparse.

    ``k m`` weights and a third of ``k n`` are stored of ``m n``. Each output uses a third of the atoms on
    average, where the source allows each at most a third: shared, the same number of entries came
    nearer (7 and 15 % less error on two dense layers of a LeNet). Both are fitted to what the layer
    reads, weighted by its covariance. Dense runtimes multiply the zeros of the code. There, a plain
    decomposition of as many weights came nearer still (error 0.061 to 0.077).
    """

    title = "Sparse coding"
    letter = "K"
    token = "tech-coding"  # noqa: S105
    note = "The sparse half saves bytes, not time: a dense runtime multiplies zeros too."
    paper = (
        "S. Bhattacharya, N. Lane, SparseSep, SenSys 2016, with AdaDeep's default of k = n/6 atoms. "
        "Dictionary and code are fitted in turns (Engan et al., ICASSP 1999), weighted by data."
    )
    scope = Scope.STRUCTURE
    parameters = (
        Parameter(
            name="dictionary_ratio",
            unit="share of the outputs",
            levels=(1 / 3, 1 / 6),
            help="Size of the dictionary, as a share of the layer's outputs.",
        ),
    )

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only dense layers, and only where fewer weights are stored."""
        del network
        if layer.kind is not LayerKind.DENSE:
            return (
                "only dense layers are rows of one matrix to be put together from a dictionary."
            )
        atoms = _atoms(layer, params)
        if not self.saves(layer, params):
            return f"a dictionary of {atoms} and its code would not be smaller than the layer."
        return ""

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """A dense layer to the atoms, and one from them of which a third is stored."""
        atoms, rows = _atoms(layer, params), layer.in_shape[:-1]
        dictionary = dense_op(
            in_features=layer.in_shape[-1], out_features=atoms, bias=False, rows=rows
        )
        code = dense_op(
            in_features=atoms, out_features=layer.out_channels, bias=layer.bias, rows=rows
        )
        density = _entries(layer, params) / (atoms * layer.out_channels)
        return dictionary, replace(code, density=density)

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Learns the dictionary of the layer's weights."""
        row = self.check(network, layer, params)
        surgeon = Surgeon(network, layer)
        old = layer_of(surgeon.module, surgeon.old)
        if not isinstance(old, nn.Linear):
            raise TypeError(type(old).__name__)
        split = partial(dictionary_and_code, _atoms(row, params), _entries(row, params))
        atoms, entries = split(old.weight.detach(), None)
        dictionary = surgeon.insert(f"{layer}_dictionary", dense(atoms, None))
        sparse = dense(entries, old.bias)
        thin_out(sparse, entries != 0)
        code = surgeon.insert(f"{layer}_code", sparse, dictionary)
        dictionary.meta[INHERITED] = Inherited(old, split, (code.name,))
        surgeon.fits(code, 0, row.out_channels)
        return surgeon.replace_by(code)


def _atoms(layer: LayerProfile, params: Params) -> int:
    wanted = kept_width(layer.out_channels, 1.0 - float(params["dictionary_ratio"]))
    return min(wanted, layer.in_shape[-1])


def _entries(layer: LayerProfile, params: Params) -> int:
    """Of the code; one for each output at least."""
    share = _CODE_DENSITY * _atoms(layer, params) * layer.out_channels
    return max(layer.out_channels, round(share))
