"""What the agent sees before each decision: exact effects of its choices, running totals, wishes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selector import features
from selector.prospects import Prospects
from selector.reward import Preferences, excess, penalised, potential, quantities, terms

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, BoolArray, IntArray

_SHORT = np.float32
_N_WISHES, _N_TOTALS, _N_AHEAD = 12, 10, 4

N_STATE = (
    *(_N_WISHES, _N_TOTALS, _N_AHEAD, features.N_DEVICE),
    *(features.N_DECISION, 3, features.N_NEIGHBOURS),
)
"""How many numbers of a state are wishes, running totals, what is still ahead, the device, the layer, its
shares of the whole, and its neighbours' choices."""

N_EFFECTS = 13
"""Numbers that say what an action would do, besides ``features.choices``."""


class Observation(NamedTuple):
    """What is known before a decision of ``B`` recipes.

    ``state [B, sum(N_STATE)]`` is the same for all actions, ``actions [B, A', F]`` describes each,
    ``gain [B, A']`` is what it adds to the potential, ``outlook [B, A']`` a first guess at the potential
    that can be reached after it; ``legal [B, A']``, ``value [B]`` the potential now and ``ahead [B, A', 7]``
    the totals after each action.
    """

    state: Array
    actions: Array
    gain: Array
    outlook: Array
    legal: BoolArray
    value: Array
    ahead: Array


class _Parts(NamedTuple):
    """Terms and excess ``[B, 1 + A', 4]``, worth and outlook ``[B, 1 + A']``: now, then after each action."""

    terms: Array
    excess: Array
    worth: Array
    outlook: Array


class Walk(NamedTuple):
    """Which decisions are taken, in order, by whom: ``[T]``; and for each step what is still ahead.

    ``constant [B, n]`` are wishes and device, ``ahead [T, B, 4]`` the shares of latency, energy and storage
    of layers that are still to come, and the share of steps; ``prospects [B, T, K, 7]`` what each decision
    may change, see ``Prospects``.
    """

    decisions: IntArray
    wants: Preferences
    constant: Array
    ahead: Array
    prospects: Array


class Observer:
    """Makes observations of whole recipes at one decision.

    A recipe is whole at any time: it starts as some known one, and the decisions of a walk are taken
    anew one by one. So every action is priced exactly; the network learns what later ones are worth.

    Attributes:
        order: ``[D + 1]`` all decisions in the order in which they are taken: the precision of the whole
            first, because it changes what every layer costs, then the layers, then the precision anew,
            as only now it is known what each would give.
    """

    def __init__(self, surrogate: Surrogate, targets: Sequence[DeviceProfile]) -> None:
        self.surrogate = surrogate
        self.space = surrogate.space
        self.costs = surrogate.costs(tuple(targets))
        self.mask = self.space.mask
        every = range(self.space.n_decisions)
        self.order: IntArray = np.array([every[-1], *every])
        self._device = np.array([features.device(surrogate, target) for target in targets])
        self._shares = np.array([features.shares(surrogate, target) for target in targets])
        self._choices = [features.choices(self.space, d).astype(_SHORT) for d in every]
        self._decision = np.array([features.decision(self.space, d) for d in every])
        self._neighbours = features.Neighbours(surrogate)
        self._prospects = Prospects(self.costs)

    def masked(self, mask: BoolArray) -> Observer:
        """The same observer under other locks; what it looks at is not made again."""
        other = copy.copy(self)
        other.mask = mask
        return other

    def walk(
        self, wants: Preferences, configs: IntArray, decisions: IntArray | None = None
    ) -> Walk:
        """A walk from recipes over decisions in the order of ``order``; over all if none are named."""
        chosen = self.order if decisions is None else decisions
        constant = np.concatenate([*_wishes(wants), self._device[wants.target]], axis=1)
        ahead = np.zeros((len(chosen), len(self._shares), 4))
        ahead[:, :, 3] = np.arange(len(chosen))[::-1, None] / len(chosen)
        counted: set[int] = set()
        for step in range(len(chosen) - 1, 0, -1):
            row = int(self.space.rows[chosen[step]])
            own = 0.0 if row in counted else self._shares[:, chosen[step]]
            ahead[step - 1, :, :3] = ahead[step, :, :3] + own
            counted.add(row)
        prospects = self._prospects.changes(wants, configs, chosen, self.mask)
        return Walk(chosen, wants, constant, ahead[:, wants.target], prospects)

    def reconsidered(self, walk: Walk, configs: IntArray) -> Walk:
        """The walk with other prospects, once the precision is decided: it changes what changes save."""
        decisions, mask = walk.decisions, self.mask
        found = self._prospects.changes(walk.wants, configs, decisions, mask)
        return walk._replace(prospects=found)

    def observe(self, walk: Walk, step: int, configs: IntArray, totals: Array) -> Observation:
        """The situation before a step of a walk, of recipes ``[B, D]`` with their totals ``[B, 7]``."""
        decision, wants = int(walk.decisions[step]), walk.wants
        later = self.costs.lookahead(configs, decision, totals, wants.target)
        legal = self.space.legal(configs, decision, self.mask)
        every = np.concatenate([totals[:, None], later], axis=1)[:, None]
        guessed = self._prospects.completed(
            every[:, 0], self._to_come(walk, step, configs), wants
        )
        values = quantities(self.surrogate, np.concatenate([every, guessed], axis=1))
        found, over = terms(values, wants), excess(values, wants)
        worth = penalised(found, over, wants)
        outlook = worth.max(axis=1)
        parts = _Parts(found[:, 0], over[:, 0], worth[:, 0], outlook)
        return Observation(
            self._state(walk, step, configs, parts),
            self._actions(decision, configs, legal, parts),
            parts.worth[:, 1:] - parts.worth[:, :1],
            outlook[:, 1:],
            legal,
            parts.worth[:, 0],
            later,
        )

    def _to_come(self, walk: Walk, step: int, configs: IntArray) -> Array:
        """``[B, K, 7]`` what later decisions may change; nothing where there is no longer anything to decide."""
        later = walk.prospects[:, step + 1 :]
        if self.space.removals.may_settle:
            settled = self.space.removals.settled(configs)[:, walk.decisions[step + 1 :]]
            later = later * ~settled[:, :, None, None]
        return np.asarray(later.sum(axis=1))

    def _state(self, walk: Walk, step: int, configs: IntArray, parts: _Parts) -> Array:
        decision, count = int(walk.decisions[step]), len(configs)
        state = [
            walk.constant,
            np.maximum(parts.terms[:, 0], -3.0),
            parts.excess[:, 0],
            parts.worth[:, :1],
            parts.outlook[:, :1],
            walk.ahead[step],
            np.broadcast_to(self._decision[decision], (count, features.N_DECISION)),
            self._shares[walk.wants.target, decision],
            *self._neighbours.of(configs, decision),
        ]
        return np.concatenate(state, axis=1).clip(-4.0, 4.0).astype(_SHORT)

    def _actions(
        self, decision: int, configs: IntArray, legal: BoolArray, parts: _Parts
    ) -> Array:
        """``[B, A', F]``, of which the effects are clipped."""
        found = np.empty((*legal.shape, N_EFFECTS + features.N_CHOICE), dtype=_SHORT)
        for column, values in ((0, parts.worth), (2, parts.outlook)):
            gain = values[:, 1:] - values[:, :1]
            best = np.where(legal, gain, -np.inf).max(axis=1, keepdims=True)
            found[..., column], found[..., column + 1] = gain, gain - best
        found[..., 4:8] = parts.terms[:, 1:] - parts.terms[:, :1]
        found[..., 8:12] = parts.excess[:, 1:] - parts.excess[:, :1]
        found[..., 12] = np.arange(legal.shape[1]) == configs[:, [decision]]
        np.clip(found, -4.0, 4.0, out=found)
        found[..., N_EFFECTS:] = self._choices[decision]
        return found

    def potential(self, totals: Array, wants: Preferences) -> Array:
        """``[B]`` the potential of totals ``[B, 7]``."""
        return potential(quantities(self.surrogate, totals), wants)


def _wishes(wants: Preferences) -> list[Array]:
    """Weights, whether each limit is set, and how tight it is: 0 at the baseline, 1 at the best."""
    limited = np.isfinite(wants.limits)
    limits = np.where(limited, wants.limits, 1.0)
    points = np.log2(np.maximum(limits[:, :1], 0.05)) / 3.0
    tight = np.log2(wants.base / np.maximum(limits[:, 1:], 1e-9)) / wants.best_log2
    tightness = np.where(limited, np.concatenate([points, tight], axis=1), 0.0)
    return [wants.weights, limited.astype(np.float64), tightness.clip(-2.0, 2.0)]
