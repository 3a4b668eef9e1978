"""How many percentage points a recipe costs, from what single changes cost: a model of four numbers.

The damage of a recipe is the square of the sum of sqrt(KL) over its changes, which ranks recipes
better than the sum of KL and does not over-predict threefold; after a short recovery the capacity
that is left tells about as much. So ``log raw = a + b1 log damage + b2 log(MACs ratio)
+ b3 log(parameter ratio)`` with no negative slope, and ``raw`` saturates where guessing begins.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.tables import Array

PRIOR = (0.25, 0.5, 0.05, 0.4)
"""Intercept and slopes before anything was validated: between those of LeNet-5 and a motion CNN."""

_PRIOR_SPREAD = np.array([1.5, 0.35, 0.3, 0.3])
_LOWEST = np.array([-8.0, 0.2, 0.0, 0.0])
_HIGHEST = np.array([6.0, 1.6, 1.5, 1.5])
_NOISE = 0.3  # of log(points + FLOOR): what neither damage nor capacity explains
_PRIOR_BAND = 1.2
_LEAST_BAND = 0.15
_TWO_SIDED_90 = 1.645

LEAST_VALIDATED = 6
"""Built candidates from which on a prediction counts as calibrated."""

FLOOR = 0.3
"""Points below which differences are noise of a search split of about a thousand samples."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyModel:
    """Predicts points lost; ``band`` is the half-width of ``log(points + FLOOR)`` that holds 9 in 10.

    ``cap`` is the most that can be lost: the accuracy of the original minus that of guessing, in
    points. ``n_validated`` counts the built candidates that the coefficients rest on; ``covariance`` says
    how unsure they leave the coefficients (Laplace's approximation of the posterior).
    """

    cap: float
    coefficients: tuple[float, float, float, float] = PRIOR
    band: float = _PRIOR_BAND
    n_validated: int = 0
    covariance: tuple[tuple[float, ...], ...] = tuple(map(tuple, np.diag(_PRIOR_SPREAD**2)))

    def predict(self, features: Array) -> Array:
        """``[...]`` points lost, at least 0, by features ``[..., 3]`` (see ``features``)."""
        slopes = np.array(self.coefficients[1:])
        raw = np.exp(np.minimum(features @ slopes + self.coefficients[0], 40.0))
        return np.asarray(self.cap * -np.expm1(raw / -self.cap))

    def slopes(self, features: Array) -> Array:
        """``[..., 3]`` what the points lost gain for one more unit of each feature."""
        by = np.array(self.coefficients[1:])
        raw = np.exp(np.minimum(features @ by + self.coefficients[0], 40.0))
        return np.asarray((raw * np.exp(-raw / self.cap))[..., None] * by)

    def ends(self, drop_points: Array) -> tuple[Array, Array]:
        """The ends of the band around predictions; nothing lost for certain stays nothing lost."""
        middle = np.log(drop_points + FLOOR)
        low = np.maximum(0.0, np.exp(middle - self.band) - FLOOR)
        high = np.minimum(self.cap, np.exp(middle + self.band) - FLOOR)
        return low, np.where(drop_points > 0, np.maximum(high, drop_points), 0.0)

    def fitted(self, features: Array, drop_points: Array) -> AccuracyModel:
        """The model refitted to built candidates ``[N, 3]`` and the points ``[N]`` they lost.

        Ridge towards ``PRIOR``, so that few points move it little; the band comes from leaving one
        out. A candidate that gained counts as one that lost nothing.
        """
        usable = np.isfinite(features).all(axis=-1) & np.isfinite(drop_points)
        x, y = features[usable], np.clip(drop_points[usable], 0.0, 0.98 * self.cap)
        if not len(y):
            return AccuracyModel(cap=self.cap)
        errors = np.log(self.left_out(x, y) + FLOOR) - np.log(y + FLOOR)
        weights = _fit(x, y, self.cap)
        # Two candidates say little about the spread: the prior's band counts as two more.
        squares = float(np.sum(np.square(errors))) + 2 * (_PRIOR_BAND / _TWO_SIDED_90) ** 2
        return AccuracyModel(
            cap=self.cap,
            coefficients=_as_tuple(weights),
            band=max(_LEAST_BAND, _TWO_SIDED_90 * float(np.sqrt(squares / (len(y) + 2)))),
            n_validated=len(y),
            covariance=_covariance(x, weights, self.cap),
        )

    def left_out(
        self, features: Array, drop_points: Array, alone: Array | None = None
    ) -> Array:
        """``[N]`` points predicted of each built candidate, from ``alone [N, 3]``, by a fit to all the others."""
        x, y = features, np.clip(drop_points, 0.0, 0.98 * self.cap)
        rows = np.arange(len(y))
        fits = [_as_tuple(_fit(x[rows != i], y[rows != i], self.cap)) for i in rows]
        return np.array(
            [
                AccuracyModel(cap=self.cap, coefficients=fit).predict(
                    (x if alone is None else alone)[i]
                )
                for i, fit in enumerate(fits)
            ]
        )

    def drawn(self, rng: np.random.Generator) -> AccuracyModel:
        """One of the models that the built candidates leave possible."""
        weights = rng.multivariate_normal(self.coefficients, np.array(self.covariance))
        return replace(self, coefficients=_as_tuple(np.clip(weights, _LOWEST, _HIGHEST)))

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {
            "cap": self.cap,
            "coefficients": list(self.coefficients),
            "band": self.band,
            "n_validated": self.n_validated,
            "covariance": [list(row) for row in self.covariance],
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> AccuracyModel:
        """Read what ``to_json`` wrote."""
        return cls(
            cap=float(values["cap"]),
            coefficients=_as_tuple(np.array(values["coefficients"], dtype=np.float64)),
            band=float(values["band"]),
            n_validated=int(values["n_validated"]),
            covariance=tuple(tuple(map(float, row)) for row in values["covariance"]),
        )


def features(damage: Array, macs_ratio: Array, params_ratio: Array) -> Array:
    """``[..., 3]`` log squared damage (minus infinity for none), log of MACs and parameter ratios.

    Ratios are original to compressed; a recipe that grows the network is taken as one that kept it.
    """
    with np.errstate(divide="ignore"):
        log_damage = 2.0 * np.log(np.maximum(damage, 0.0))
    grown = np.maximum(macs_ratio, 1.0), np.maximum(params_ratio, 1.0)
    return np.stack([log_damage, np.log(grown[0]), np.log(grown[1])], axis=-1)


def _fit(x: Array, y: Array, cap: float) -> Array:
    """Damped Gauss-Newton on ``log(points + FLOOR)`` inside the box of sane slopes."""
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    prior, wanted = np.array(PRIOR), np.log(y + FLOOR)
    weights = prior.copy()
    best, best_loss = weights, _loss(design, wanted, cap, weights)
    damping = 1.0
    for _ in range(40):
        predicted, slope = _response(design @ weights, cap)
        jacobian = design * slope[:, None]
        hessian = jacobian.T @ jacobian / _NOISE**2 + np.diag(1 / _PRIOR_SPREAD**2)
        pull = jacobian.T @ (wanted - predicted) / _NOISE**2
        gradient = pull + (prior - weights) / _PRIOR_SPREAD**2
        step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
        weights = np.clip(best + step, _LOWEST, _HIGHEST)
        loss = _loss(design, wanted, cap, weights)
        damping = damping * 0.3 if loss < best_loss else damping * 4.0
        if loss < best_loss:
            best, best_loss = weights, loss
        weights = best
    return best


def _covariance(x: Array, weights: Array, cap: float) -> tuple[tuple[float, ...], ...]:
    """Inverse Hessian at the fit: how far the coefficients may lie elsewhere."""
    design = np.concatenate([np.ones((len(x), 1)), x], axis=1)
    _, slope = _response(design @ weights, cap)
    jacobian = design * slope[:, None]
    hessian = jacobian.T @ jacobian / _NOISE**2 + np.diag(1 / _PRIOR_SPREAD**2)
    return tuple(map(tuple, np.linalg.inv(hessian).tolist()))


def _loss(design: Array, wanted: Array, cap: float, weights: Array) -> float:
    error = (wanted - _response(design @ weights, cap)[0]) / _NOISE
    drift = (weights - np.array(PRIOR)) / _PRIOR_SPREAD
    return float(error @ error + drift @ drift)


def _response(z: Array, cap: float) -> tuple[Array, Array]:
    """``log(points + FLOOR)`` of the linear part, and its slope."""
    raw = np.exp(np.clip(z, -30.0, 30.0))
    points = cap * -np.expm1(-raw / cap)
    return np.log(points + FLOOR), raw * np.exp(-raw / cap) / (points + FLOOR)


def _as_tuple(values: Array) -> tuple[float, float, float, float]:
    a, b, c, d = (float(value) for value in values)
    return a, b, c, d
