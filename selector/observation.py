"""What the agent sees before each decision: exact effects of its choices, running state, wishes."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from selector.pricing import LATENCY
from selector.reward import Preferences, excess, potential, quantities, terms
from selector.tables import PRECISIONS, Array, BoolArray, IntArray

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate

_SHORT = np.float32


class Observation(NamedTuple):
    """What is known before a decision.

    ``vector [B, n]`` is for the network, ``gain [B, A]`` what each action adds to the potential if
    the rest stays as expected, ``legal [B, A]``, ``value [B]`` the potential now.
    """

    vector: Array
    gain: Array
    legal: BoolArray
    value: Array


class Observer:
    """Makes observations of partly decided configurations.

    The precision of the whole network is decided first, because it changes what every layer costs;
    then the layers in order. What is not decided yet is expected to be as in the anchor that
    completes the recipe best. Because any action is priced exactly, its gain is part of what the
    agent sees, and the network learns the rest.

    Attributes:
        anchors: ``[K, D]`` recipes to complete beginnings with.
        order: ``[D]`` the decisions in the order in which they are taken.
        size: length of ``Observation.vector``.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        targets: Sequence[DeviceProfile],
        anchors: IntArray,
    ) -> None:
        self.surrogate = surrogate
        self.space = surrogate.space
        self.costs = surrogate.costs(tuple(targets))
        self.mask = self.space.mask
        self.anchors = anchors
        last = self.space.n_decisions - 1
        self.order: IntArray = np.array([last, *range(last)])
        self._condition = np.array([_condition(surrogate, target) for target in targets])
        actions = self.mask.shape[1]
        known = self._condition.shape[1] + len(anchors)
        self.size = len(self.order) + 21 + known + 5 * actions

    def masked(self, mask: BoolArray) -> Observer:
        """The same observer under other locks; what it looks at is not made again."""
        other = copy.copy(self)
        other.mask = mask
        allowed = mask[np.arange(mask.shape[0]), self.anchors]
        other.anchors = np.where(allowed, self.anchors, mask.argmax(axis=1))
        return other

    def observe(self, configs: IntArray, step: int, wants: Preferences) -> Observation:
        """The situation before the decision ``order[step]``; later ones of ``configs`` are 0."""
        decision = int(self.order[step])
        completed, anchor, totals = self._completed(configs, step, wants)
        ahead = self.costs.lookahead(completed, decision, totals, wants.target)
        legal = self.space.legal(completed, decision, self.mask)
        now, then = quantities(self.surrogate, totals), quantities(self.surrogate, ahead)
        now_terms, then_terms = terms(now, wants), terms(then, wants)
        here = potential(now, wants, now_terms)
        gain = potential(then, wants, then_terms) - here[:, None]
        effects = then_terms - now_terms[:, None]
        every = self.mask.shape[1]
        position = np.zeros((len(configs), len(self.order)))
        position[:, step] = 1.0
        parts = [
            position,
            *_wishes(wants),
            np.maximum(now_terms, -3.0),
            excess(now, wants),
            here[:, None],
            self._condition[wants.target],
            anchor,
            _padded(np.where(legal, gain, 0.0), every),
            *(_padded(np.where(legal, effects[..., k], 0.0), every) for k in range(4)),
        ]
        vector = np.concatenate(parts, axis=1).clip(-4.0, 4.0)
        return Observation(
            vector.astype(_SHORT), _padded(gain, every), _padded(legal, every), here
        )

    def _completed(
        self, configs: IntArray, step: int, wants: Preferences
    ) -> tuple[IntArray, Array, Array]:
        """The best completions ``[B, D]``, which anchor each took ``[B, K]``, their totals."""
        count, n_anchors = len(configs), len(self.anchors)
        every = np.repeat(configs[:, None], n_anchors, axis=1)
        undecided = self.order[step:]
        every[:, :, undecided] = self.anchors[:, undecided]
        every = self.space.canonical(every)
        flat = every.reshape(count * n_anchors, -1)
        totals = self.costs.totals(flat, np.repeat(wants.target, n_anchors))
        totals = totals.reshape(count, n_anchors, -1)
        best = potential(quantities(self.surrogate, totals), wants).argmax(axis=1)
        rows = np.arange(count)
        return every[rows, best], np.eye(n_anchors)[best], totals[rows, best]


def _padded(values: Array | BoolArray, width: int) -> Any:
    """``[B, A']`` made ``[B, width]`` with zeros."""
    full = np.zeros((len(values), width), dtype=values.dtype)
    full[:, : values.shape[1]] = values
    return full


def _wishes(wants: Preferences) -> list[Array]:
    """Weights, whether each limit is set, and how tight it is: 0 at the baseline, 1 at the best."""
    limited = np.isfinite(wants.limits)
    limits = np.where(limited, wants.limits, 1.0)
    points = np.log2(np.maximum(limits[:, :1], 0.05)) / 3.0
    tight = np.log2(wants.base / np.maximum(limits[:, 1:], 1e-9)) / wants.best_log2
    tightness = np.where(limited, np.concatenate([points, tight], axis=1), 0.0)
    return [wants.weights, limited.astype(np.float64), tightness.clip(-2.0, 2.0)]


def _condition(surrogate: Surrogate, target: DeviceProfile) -> Array:
    """A few numbers that tell targets apart: attainable ratios, int8's factor, shares of latency."""
    space, costs = surrogate.space, surrogate.costs((target,))
    base = costs.totals(space.untouched())[0]
    whole = space.untouched(len(PRECISIONS))
    whole[:, -1] = np.minimum(np.arange(len(PRECISIONS)), int(space.mask[-1].sum()) - 1)
    by_precision = np.log2(costs.totals(whole)[:, LATENCY] / base[LATENCY])
    shares = costs.row_totals(space.untouched()[0])[:, LATENCY] / base[LATENCY]
    return np.concatenate([surrogate.best_log2(target) / 5.0, by_precision[1:] / 2.0, shares])
