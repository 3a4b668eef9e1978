"""The reward of Classic AdaDeep: accuracy and energy weighed, time and storage as relaxed limits.

``R = mu1 Norm(A - A_min) + mu2 Norm(E_max - E) + lambda1 (T_bgt - T) + lambda2 (S_bgt - S)``; the last
two are the Lagrangian relaxation of ``T <= T_bgt`` and ``S <= S_bgt``. Form and symbols as remembered of
MobiSys 2018; values and what ``Norm`` ranges over are switches (``ClassicSettings``). Every last axis of
four is in the order of the formula: A, E, T, S.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from selector.classic_figures import OF_BUDGETS, UNITS, Figures
from selector.classic_settings import ClassicSettings, Norm

if TYPE_CHECKING:
    from selector.selection import Prepared
    from selector.tables import Array, BoolArray, IntArray

_LEAST_SPAN = 0.01
"""A limit at or beyond the best leaves no room to measure by: then a hundredth of what recipes span."""

_BETTER: Array = np.array([1.0, -1.0, -1.0, -1.0])  # more accuracy, less of everything else


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Demand:
    """What is demanded, in the figures of a view, and how it becomes a reward.

    Attributes:
        weights: ``[4]`` mu1, mu2, lambda1, lambda2.
        limits: ``[4]`` A_min, E_max, T_bgt, S_bgt; the original's own where the request sets none.
        zero: ``[4]`` the figure at which ``Norm`` is 0; ``one`` at which it is 1.
    """

    settings: ClassicSettings
    weights: Array
    limits: Array
    zero: Array
    one: Array

    @classmethod
    def of(
        cls, prepared: Prepared, settings: ClassicSettings, figures: Figures, drawn: IntArray
    ) -> Demand:
        """The demand of a question; ``drawn [N, D]`` are recipes between whose best and worst ``Norm`` lies."""
        base = figures.of(prepared.costs.space.untouched())[0]
        limits, is_hard = _limits(prepared, settings, base)
        found = figures.of(drawn)
        highest = np.maximum(found.max(axis=0), base)
        lowest = np.minimum(found.min(axis=0), base)
        better = _BETTER > 0
        best, worst = np.where(better, highest, lowest), np.where(better, lowest, highest)
        zero = limits if settings.norm is Norm.LIMIT else worst
        span = np.maximum(_BETTER * (best - zero), _LEAST_SPAN * np.abs(best - worst))
        return cls(
            settings=settings,
            weights=_weights(prepared, settings, is_hard),
            limits=limits,
            zero=zero,
            one=zero + _BETTER * np.maximum(span, 1e-9 + 1e-6 * np.abs(zero)),
        )

    def terms(self, figures: Array) -> Array:
        """``[..., 4]`` the four terms of the reward before they are weighed, from figures ``[..., 4]``."""
        settings = self.settings
        found = (figures - self.zero) / (self.one - self.zero)
        if settings.norm_clipped:
            found = np.clip(found, -1.0, 1.0)
        slack = _BETTER * (figures - self.limits)
        if not settings.constraints_normalised:
            found[..., 2:] = slack[..., 2:]
        if not settings.slack_rewarded:
            found[..., 2:] = np.where(slack[..., 2:] >= 0, 0.0, found[..., 2:])
        return np.asarray(found)

    def reward(self, figures: Array) -> Array:
        """``[...]`` R."""
        return np.asarray(self.terms(figures) @ self.weights)

    def tightened(self, figures: Array) -> Demand:
        """Dual ascent: multipliers raised by how far figures ``[4]`` break the limits they stand for."""
        over = np.maximum(_BETTER * (self.limits - figures) / np.abs(self.one - self.zero), 0.0)
        over[:2] = 0.0
        return replace(self, weights=self.weights + self.settings.dual_step * over)

    def to_json(self) -> dict[str, Any]:
        """The demand in the paper's symbols, with the units of its view."""
        names = ("mu1", "mu2", "lambda1", "lambda2", "A_min", "E_max", "T_bgt", "S_bgt")
        values = np.concatenate([self.weights, self.limits]).tolist()
        units = dict(zip(("E_max", "T_bgt", "S_bgt"), UNITS[self.settings.view], strict=True))
        return {
            "view": self.settings.view.value,
            "units": units,
            **dict(zip(names, values, strict=True)),
        }


def _limits(
    prepared: Prepared, settings: ClassicSettings, base: Array
) -> tuple[Array, BoolArray]:
    """``[4]`` each: the limits in the view's figures, and which of them the request sets.

    A limit carries over as its share of the original, so that counts are never compared with
    predictions. What is not limited may be what it was.
    """
    wants = prepared.wants
    asked = wants.limits[0]
    is_hard = np.isfinite(asked)
    points = asked[0] if is_hard[0] else settings.accuracy_margin_points
    shares = np.where(is_hard[1:], asked[1:] / wants.base[0], 1.0)
    order = [index - 1 for index in OF_BUDGETS]
    limits = np.concatenate([[base[0] - points / 100.0], base[1:] * shares[order]])
    return limits, is_hard[[0, *OF_BUDGETS]]


def _weights(prepared: Prepared, settings: ClassicSettings, is_hard: BoolArray) -> Array:
    goals = prepared.wants.weights[0]
    asked = (settings.mu1, settings.mu2, settings.lambda1, settings.lambda2)
    mus = (goals[0], goals[2])
    lambdas = (
        max(goal, float(hard))
        for goal, hard in zip((goals[1], goals[3]), is_hard[2:], strict=True)
    )
    from_goals = (*mus, *lambdas)
    return np.array(
        [found if own is None else own for own, found in zip(asked, from_goals, strict=True)]
    )
