"""Block removal: a residual add keeps the path that skips, and loses the layers beside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from compression.layer_paths import ancestries, only_reader
from compression.surgery import Surgeon, node_of
from compression.technique import Scope, Technique
from compression.types import LayerKind

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from compression.graph import Network
    from compression.types import LayerProfile, NetworkProfile, OpSpec, Params

_TWICE_AS_ONCE = frozenset({"relu", "relu6"})
"""Activations that change nothing when they come a second time."""

_WORDS = {
    LayerKind.CONV: "a convolution",
    LayerKind.DENSE: "a dense layer",
    LayerKind.OTHER: "",
}


class BlockRemoval(Technique):
    """Asked about the first convolution or dense layer of the branch; all of the branch goes.

    Reconstruction then fits the nearest layers behind to what they put out before.
    """

    title = "Residual block removal"
    letter = "B"
    token = "tech-drop"  # noqa: S105
    paper = (
        "A. Veit, M. Wilber, S. Belongie, Residual Networks Behave Like Ensembles of Relatively "
        "Shallow Networks, NIPS 2016. We fit the layers behind the block by least squares."
    )
    scope = Scope.BLOCK

    def refusal(self, layer: LayerProfile, network: NetworkProfile, params: Params) -> str:
        """Only the first layer of a branch whose sum keeps the shape of what it is added to."""
        del params
        if layer.kind is LayerKind.OTHER:
            return "a block is named by its first convolution or dense layer."
        block = _block_of(layer.name, network)
        if block is None:
            return _why_no_block(layer.name, network)
        if block.first != layer.name:
            return f"the block is named by its first layer, “{block.first}”."
        shapes = {row.name: row.out_shape for row in network.layers}
        if shapes.get(block.kept, network.input_shape) != shapes[block.sum]:
            return "the block changes the shape of what it is added to."
        return ""

    def removes(self, layer: LayerProfile, network: NetworkProfile) -> tuple[str, ...]:
        """The rest of the branch, the add, and an activation that would only be repeated."""
        block = _block_of(layer.name, network)
        if block is None:
            return ()
        again = _repeated(block, network)
        gone = (*block.branch, block.sum, *([again] if again else []))
        return tuple(name for name in gone if name != layer.name)

    def cost(self, layer: LayerProfile, params: Params) -> tuple[OpSpec, ...]:
        """Nothing."""
        del layer, params
        return ()

    def apply(self, network: Network, layer: str, params: Params) -> Network:
        """Lets the readers of the sum read what skipped the block."""
        row = self.check(network, layer, params)
        block = _block_of(row.name, network.profile)
        if block is None:
            raise ValueError(layer)
        surgeon = Surgeon(network, _repeated(block, network.profile) or block.sum)
        surgeon.fit_behind()
        return surgeon.replace_by(node_of(surgeon.module, block.kept))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Block:
    """``kept`` is the name of what skips the ``branch``; ``first`` is its first layer with weights."""

    kept: str
    branch: tuple[str, ...]
    first: str
    sum: str


def _block_of(layer: str, network: NetworkProfile) -> _Block | None:
    """The smallest residual branch that the layer lies in."""
    found = [block for block in _blocks(network) if layer in block.branch]
    return min(found, key=lambda block: len(block.branch), default=None)


@lru_cache(maxsize=4)
def _blocks(network: NetworkProfile) -> tuple[_Block, ...]:
    """All residual branches with weights that nothing but their sum reads; asked for at each layer."""
    return tuple(_found(network))


def _found(network: NetworkProfile) -> Iterator[_Block]:
    rows = {row.name: row for row in network.layers}
    readers: dict[str, set[str]] = {name: set() for name in rows}
    for row in network.layers:
        for source in set(row.reads) & readers.keys():
            readers[source].add(row.name)
    for row in network.layers:
        if row.op != "add" or len(row.reads) != 2:
            continue
        for kept, end in (row.reads, row.reads[::-1]):
            branch = _branch(kept, end, rows)
            heavy = [n for n in branch if rows[n].kind is not LayerKind.OTHER]
            alone = all(readers[name] <= {*branch, row.name} for name in branch)
            alone = alone and not set(branch).intersection(network.output_layers)
            if heavy and alone:
                yield _Block(kept=kept, branch=branch, first=heavy[0], sum=row.name)


def _branch(kept: str, end: str, rows: Mapping[str, LayerProfile]) -> tuple[str, ...]:
    """The layers from ``kept`` to ``end``, in order; none when something else feeds them."""
    found, open_ = set(), [end]
    while open_:
        name = open_.pop()
        if name == kept or name in found:
            continue
        if name not in rows:
            return ()
        found.add(name)
        if rows[name].op != "constant":
            open_ += rows[name].reads
    return tuple(name for name in rows if name in found)


def _repeated(block: _Block, network: NetworkProfile) -> str:
    """The activation behind the sum, when what is kept has been through the same just before."""
    ops = {row.name: row.op for row in network.layers}
    reader = only_reader(block.sum, network)
    if reader is None or reader.op not in _TWICE_AS_ONCE or ops.get(block.kept) != reader.op:
        return ""
    return reader.name


def _why_no_block(layer: str, network: NetworkProfile) -> str:
    """What the other side of the first sum holds to which the layer contributes on one side only."""
    rows = {row.name: row for row in network.layers}
    all_before = ancestries(network)
    before = all_before[layer]
    for row in network.layers:
        if row.op != "add" or len(row.reads) != 2:
            continue
        sides = [all_before.get(side, frozenset()) | {side} for side in row.reads]
        if (layer in sides[0]) == (layer in sides[1]):
            continue
        beside = sides[0] if layer in sides[1] else sides[1]
        words = [_WORDS[rows[n].kind] for n in rows if n in beside - before]
        if any(words):
            return f"the skip path of “{row.name}” holds {max(words)}: the block changes the shape."
        return f"more than the sum “{row.name}” reads what the block computes."
    return "it is not part of a residual block."
