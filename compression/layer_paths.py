"""Which layers lie before and behind one another, told from the layer table alone."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from compression.types import LayerKind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from compression.types import LayerProfile, NetworkProfile

POOLS = frozenset({"max_pool", "average_pool"})
_RISING = frozenset(
    {
        *("relu", "relu6", "clip", "sigmoid", "tanh", "leaky_relu", "hard_sigmoid", "elu"),
        *("selu", "celu", "softplus", "softsign", "hard_swish", "silu", "gelu", "mish"),
        *("batch_norm", "dropout", "identity"),
    }
)
"""Layers between a convolution and its pool that keep larger values larger (the last four nearly)."""


def readers_of(name: str, network: NetworkProfile) -> tuple[LayerProfile, ...]:
    """The layers that read what the layer (or the network's input) of that name puts out."""
    return tuple(row for row in network.layers if name in row.reads)


def only_reader(name: str, network: NetworkProfile) -> LayerProfile | None:
    """The layer that alone reads another; ``None`` when there are several, or it is an output too."""
    readers = readers_of(name, network)
    return readers[0] if len(readers) == 1 and name not in network.output_layers else None


@lru_cache(maxsize=4)
def ancestries(network: NetworkProfile) -> Mapping[str, frozenset[str]]:
    """For each layer all that its answer depends on, by name, the network's input included."""
    found: dict[str, frozenset[str]] = {}
    for row in network.layers:
        before = (found.get(source, frozenset()) for source in row.reads)
        found[row.name] = frozenset(row.reads).union(*before)
    return found


def path_to(
    layer: LayerProfile,
    network: NetworkProfile,
    ends: Collection[str],
    through: Collection[str],
) -> tuple[LayerProfile, ...]:
    """The layers behind one, each the only reader of the one before, up to the first of some kind.

    Args:
        layer: where to start; it is not part of the answer.
        network: the network that it is a layer of.
        ends: operations at which the path ends; that layer is its last.
        through: operations that may lie between.

    Returns:
        Nothing when there is no such path.
    """
    path: list[LayerProfile] = []
    row = only_reader(layer.name, network)
    while row is not None and row.op not in ends and row.op in through:
        path.append(row)
        row = only_reader(row.name, network)
    return (*path, row) if row is not None and row.op in ends else ()


def pool_behind(layer: LayerProfile, network: NetworkProfile) -> tuple[LayerProfile, ...]:
    """What lies between a convolution and the pool that sums it up, and that pool; else nothing."""
    if layer.kind is not LayerKind.CONV:
        return ()
    return path_to(layer, network, POOLS, _RISING)
