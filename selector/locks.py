"""What the user fixed about layers, as a mask over the choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from selector.action_space import PRUNING, ActionSpace, same_level
from selector.errors import BadRequestError
from selector.tables import KEEP, BoolArray

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.types import Lock


def locked_mask(space: ActionSpace, locks: Mapping[str, Lock]) -> BoolArray:
    """``[D, A]`` the choices that the locks leave.

    A layer whose channels are tied to those of an earlier layer is narrowed there: a lock about its
    pruning holds for that layer too.

    Raises:
        BadRequestError: for an unknown layer or technique, and when nothing is left to choose.
    """
    mask = space.mask.copy()
    for layer, lock in locks.items():
        _apply(space, mask, layer, lock)
    if space.head >= 0 and not mask[space.vanishing, 0].all():
        mask[space.head] &= ~space.pools
    for decision, left in zip(space.decisions, mask, strict=True):
        if not left.any():
            raise BadRequestError(
                f"The locks leave nothing to choose for layer {decision.layer}. Remove one of them."
            )
    return mask


def _apply(space: ActionSpace, mask: BoolArray, layer: str, lock: Lock) -> None:
    own = next((d for d, x in enumerate(space.decisions) if x.layer == layer), -1)
    width = _width_decision(space, layer, own)
    if own < 0 and width < 0:
        if lock.technique not in (None, KEEP.technique):
            raise BadRequestError(f"Layer {layer} cannot be treated with {lock.technique}.")
        return
    fits = False
    for d in {own, width} - {-1}:
        allowed = np.array([_allows(space, d, i, lock, d == own) for i in _indices(space, d)])
        fits = fits or bool(allowed[1:].any())
        mask[d, : len(allowed)] &= allowed
    if lock.technique not in (None, KEEP.technique) and not fits:
        raise BadRequestError(
            f"Layer {layer} cannot be treated with {lock.technique} at that level."
        )


def _width_decision(space: ActionSpace, layer: str, own: int) -> int:
    """The decision that narrows this layer's output, -1 when it keeps its width."""
    if own >= 0 and space.decisions[own].row < 0:
        return -1
    if layer not in space.tables.layers:
        raise BadRequestError(f"There is no layer called {layer!r} to lock.")
    row = space.tables.layers.index(layer)
    leader = int(space.tables.leader_row[space.tables.out_group[row]])
    found = np.flatnonzero((space.rows == leader) & (space.rows >= 0))
    return int(found[0]) if len(found) else -1


def _indices(space: ActionSpace, decision: int) -> range:
    return range(len(space.decisions[decision].actions))


def _allows(space: ActionSpace, decision: int, index: int, lock: Lock, own: bool) -> bool:  # noqa: FBT001
    """Whether a lock lets an action pass; of another layer's decision only pruning is judged."""
    found = dict(space.techniques(decision, index))
    if not own:
        found = {name: level for name, level in found.items() if name == PRUNING}
    if lock.technique is None:
        return not any(name in lock.exclude for name in found)
    if lock.technique == KEEP.technique:
        return not found
    wanted = {lock.technique} if own or lock.technique == PRUNING else set()
    if set(found) != wanted:
        return False
    return all(same_level(level, lock.params) for level in found.values())
