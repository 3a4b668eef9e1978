"""What the user fixed about layers, as a mask over the choices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from compression.types import NETWORK
from selector.action_space import PRUNING, ActionSpace, same_level, same_treatments
from selector.errors import BadRequestError
from selector.tables import KEPT, BoolArray

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
    mask = space.removals.respecting(mask)
    for decision, left in zip(space.decisions, mask, strict=True):
        if not left.any():
            raise BadRequestError(
                f"The locks leave nothing to choose for layer {decision.layer}. Remove one of them."
            )
    return mask


def _apply(space: ActionSpace, mask: BoolArray, layer: str, lock: Lock) -> None:
    own = {d for d, decision in enumerate(space.decisions) if decision.layer == layer}
    width = _width_decision(space, layer)
    concerned = own if lock.treatments else own | width
    wanted = set(lock.treatments)
    if lock.technique not in (None, KEPT):
        wanted.add(lock.technique)
    found: set[str] = set()
    for d in concerned:
        allowed = np.array([_allows(space, d, i, lock, d in own) for i in _indices(space, d)])
        mask[d, : len(allowed)] &= allowed
        found.update(*(space.techniques(d, int(i)) for i in np.flatnonzero(allowed)))
    names = " and ".join(sorted(wanted))
    if wanted and not concerned:
        raise BadRequestError(f"Layer {layer} cannot be treated with {names}.")
    if wanted - found:
        raise BadRequestError(f"Layer {layer} cannot be treated with {names} at that level.")


def _width_decision(space: ActionSpace, layer: str) -> set[int]:
    """The decision that narrows this layer's output; none when it keeps its width."""
    if layer == NETWORK:
        return set()
    if layer not in space.tables.layers:
        raise BadRequestError(f"There is no layer called {layer!r} to lock.")
    row = space.tables.layers.index(layer)
    leader = int(space.tables.leader_row[space.tables.out_group[row]])
    decisions = enumerate(space.decisions)
    return {d for d, decision in decisions if decision.row == leader >= 0 and decision.narrows}


def _indices(space: ActionSpace, decision: int) -> range:
    return range(len(space.decisions[decision].actions))


def _allows(space: ActionSpace, decision: int, index: int, lock: Lock, own: bool) -> bool:  # noqa: FBT001
    """Whether a lock lets an action pass; of another layer's decision only pruning is judged."""
    found = dict(space.techniques(decision, index))
    if not own:
        found = {name: level for name, level in found.items() if name == PRUNING}
    if lock.treatments:
        here = lock.treatments.keys() & space.offered(decision)
        return same_treatments(found, {name: lock.treatments[name] for name in here})
    if lock.technique is None:
        return not any(name in lock.exclude for name in found)
    if lock.technique == KEPT:
        return not found
    judged = space.offered(decision) if own else {PRUNING}
    if set(found) != {lock.technique} & judged:
        return False
    return all(same_level(level, lock.params) for level in found.values())
