"""How many percentage points a recipe costs, from what single changes cost: a model of four numbers.

The damage of a recipe is the square of the sum of sqrt(KL) over its changes, which ranks recipes
better than the sum of KL and does not over-predict threefold; after a short recovery the capacity
that is left tells about as much. So ``log raw = a + b1 log damage + b2 log(MACs ratio)
+ b3 log(parameter ratio)`` with no negative slope, and ``raw`` saturates where guessing begins.

Predicted is what is lost after a full recovery. A candidate that was fine-tuned for a share of its steps tells of
``log raw - c log share``: what is lost falls with a power ``c`` of the steps. ``c`` is fitted along with
the rest, from a prior, and a candidate counts the less the shorter it was trained.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    from selector.tables import Array, BoolArray

PRIOR = (0.25, 0.5, 0.05, 0.4)
"""Intercept and slopes before anything was validated: between those of LeNet-5 and a motion CNN."""

PRIOR_POWER = 0.5
"""How fast losses fall with the steps of fine-tuning before a study has shown it: with their square root."""

_PRIOR = (*PRIOR, PRIOR_POWER)
_PRIOR_SPREAD = np.array([1.5, 0.35, 0.3, 0.3, 0.25])
_LOWEST = np.array([-8.0, 0.2, 0.0, 0.0, 0.0])
_HIGHEST = np.array([6.0, 1.6, 1.5, 1.5, 1.5])
_NOISE = 0.3  # of log(points + FLOOR): what neither damage nor capacity explains
_OWN_NOISE = 0.15  # of the same where the very recipe was built
_HASTE_NOISE = 0.25  # of the power: some recipes recover faster than others
_PRIOR_BAND = 1.2
_LEAST_BAND = 0.15
TWO_SIDED_90 = 1.645

LEAST_VALIDATED = 6
"""Built candidates from which on a prediction counts as calibrated."""

FAR = 5.0
"""Points lost after a full recovery from which on a candidate tells the less of losses that anyone would accept."""

_COUNTS = 0.05  # of one candidate's weight: with less it is not among those that a prediction rests on

FLOOR = 0.3
"""Points below which differences are noise of a search split of about a thousand samples."""


class Lessons(NamedTuple):
    """Built candidates that a model is fitted to.

    Attributes:
        features: ``[N, 3]``, see ``features``.
        drop_points: ``[N]`` points that each lost.
        trained: ``[N]`` share of a full recovery's steps that each was fine-tuned for, above 0 and at most 1.
        weights: ``[N]`` how many candidates each counts for.
    """

    features: Array
    drop_points: Array
    trained: Array | float = 1.0
    weights: Array | float = 1.0

    def where(self, keep: BoolArray) -> Lessons:
        """Some of them."""
        shape = self.drop_points.shape
        trained, weights = (np.broadcast_to(each, shape) for each in self[2:])
        return Lessons(
            self.features[keep], self.drop_points[keep], trained[keep], weights[keep]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AccuracyModel:
    """Predicts points lost after a full recovery; ``band`` is the half-width of ``log(points + FLOOR)`` that holds 9 in 10.

    Attributes:
        cap: the most that can be lost: the accuracy of the original minus that of guessing, in points.
        coefficients: intercept and slopes of the three features.
        band: grows with how far short trials had to be extrapolated.
        n_validated: the built candidates that the coefficients rest on.
        covariance: how unsure they leave the coefficients (Laplace's approximation of the posterior).
        power: by which losses fall with the steps of fine-tuning.
        stretch: how many times the steps of what was built a full recovery has, on geometric average; 1
            where all were recovered in full.
    """

    cap: float
    coefficients: tuple[float, float, float, float] = PRIOR
    band: float = _PRIOR_BAND
    n_validated: int = 0
    covariance: tuple[tuple[float, ...], ...] = tuple(
        map(tuple, np.diag(_PRIOR_SPREAD[:4] ** 2))
    )
    stretch: float = 1.0
    power: float = PRIOR_POWER

    @property
    def standard_error(self) -> float:
        """Of a prediction, in the logarithm of the points lost."""
        return self.band / TWO_SIDED_90

    def predict(self, features: Array) -> Array:
        """``[...]`` points lost, at least 0, by features ``[..., 3]`` (see ``features``)."""
        slopes = np.array(self.coefficients[1:])
        return _points(features @ slopes + self.coefficients[0], self.cap)

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

    def kept_at_best(self, limit: float) -> float:
        """The most points that may be predicted of a recipe that keeps a limit on points after all."""
        return float(np.exp(np.log(max(limit, 0.0) + FLOOR) + self.band)) - FLOOR

    def fitted(self, lessons: Lessons, far: float = FAR) -> AccuracyModel:
        """The model refitted to built candidates.

        Ridge towards ``PRIOR``, so that few points move it little; the band comes from leaving one out, and
        from how unsure the power is by which losses fall with training. A candidate that gained counts as
        one that lost nothing. From ``far`` points on, expected after a full recovery, a candidate counts the less.
        """
        rows = self._usable(lessons, far)
        if not len(rows.drop_points):
            return AccuracyModel(cap=self.cap)
        weights = _fit(rows, self.cap)
        covariance = _covariance(rows, weights, self.cap)
        precision = 1.0 / _variances(rows)
        longer = -float(np.average(np.log(rows.trained), weights=precision))
        return AccuracyModel(
            cap=self.cap,
            coefficients=_as_tuple(weights[:4]),
            band=self._band(rows, longer * float(np.sqrt(covariance[-1, -1]))),
            n_validated=int(
                np.sum(np.broadcast_to(rows.weights, rows.drop_points.shape) > _COUNTS)
            ),
            covariance=tuple(map(tuple, covariance[:4, :4].tolist())),
            stretch=float(np.exp(longer)),
            power=float(weights[4]),
        )

    def _usable(self, lessons: Lessons, far: float) -> Lessons:
        finite = np.isfinite(lessons.features).all(axis=-1) & np.isfinite(lessons.drop_points)
        return _weighed(self._clipped(lessons.where(finite)), far)

    def _clipped(self, lessons: Lessons) -> Lessons:
        return lessons._replace(drop_points=np.clip(lessons.drop_points, 0.0, 0.98 * self.cap))

    def _band(self, rows: Lessons, extrapolation: float) -> float:
        """The half-width, from errors of what is left out and the standard error of extrapolating."""
        errors = np.log(self.left_out(rows) + FLOOR) - np.log(rows.drop_points + FLOOR)
        # Two candidates say little about the spread: the prior's band counts as two more.
        squares = (
            float(rows.weights @ np.square(errors)) + 2 * (_PRIOR_BAND / TWO_SIDED_90) ** 2
        )
        spread = squares / (float(np.sum(rows.weights)) + 2) + extrapolation**2
        return max(_LEAST_BAND, TWO_SIDED_90 * float(np.sqrt(spread)))

    def left_out(self, lessons: Lessons, alone: Array | None = None) -> Array:
        """``[N]`` points predicted of each built candidate after its own training, by a fit to all the others.

        ``alone`` ``[N, 3]`` takes the place of the features that are predicted from; all are finite. The lessons' weights are those of the fit.
        """
        rows = self._clipped(lessons)
        every = np.arange(len(rows.drop_points))
        design = _design(rows if alone is None else rows._replace(features=alone))
        fits = [_fit(rows.where(every != i), self.cap) for i in every]
        return np.array(
            [_points(design[i] @ fit, self.cap) for i, fit in zip(every, fits, strict=True)]
        )

    def hoped(self, features: Array, drop_points: Array, trained: Array) -> Array:
        """``[N]`` points that built candidates will lose after a full recovery.

        Between what is predicted of each and its own loss extrapolated, by the precision of both.
        """
        longer = np.log(np.minimum(trained, 1.0))
        own = np.log(np.maximum(drop_points, 0.0) * np.exp(self.power * longer) + FLOOR)
        predicted = np.log(self.predict(features) + FLOOR)
        variances = (
            _OWN_NOISE**2 + (_HASTE_NOISE * longer) ** 2,
            self.standard_error**2,
        )
        share = variances[1] / (variances[0] + variances[1])
        return np.asarray(
            np.maximum(0.0, np.exp(predicted + share * (own - predicted)) - FLOOR)
        )

    def drawn(self, rng: np.random.Generator) -> AccuracyModel:
        """One of the models that the built candidates leave possible."""
        weights = rng.multivariate_normal(self.coefficients, np.array(self.covariance))
        return replace(
            self, coefficients=_as_tuple(np.clip(weights, _LOWEST[:4], _HIGHEST[:4]))
        )

    def hopeful(self, errors: float) -> AccuracyModel:
        """The model under which all recipes lose less, by so many standard errors of a prediction."""
        first, *slopes = self.coefficients
        shifted = first - errors * self.standard_error
        return replace(self, coefficients=_as_tuple(np.array([shifted, *slopes])))

    def to_json(self) -> dict[str, Any]:
        """Plain values that ``from_json`` reads back."""
        return {
            "cap": self.cap,
            "coefficients": list(self.coefficients),
            "band": self.band,
            "n_validated": self.n_validated,
            "covariance": [list(row) for row in self.covariance],
            "stretch": self.stretch,
            "power": self.power,
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
            stretch=float(values.get("stretch", 1.0)),
            power=float(values.get("power", PRIOR_POWER)),
        )


def features(damage: Array, macs_ratio: Array, params_ratio: Array) -> Array:
    """``[..., 3]`` log squared damage (minus infinity for none), log of MACs and parameter ratios.

    Ratios are original to compressed; a recipe that grows the network is taken as one that kept it.
    """
    found = np.empty((*np.shape(damage), 3))
    with np.errstate(divide="ignore"):
        found[..., 0] = np.log(np.maximum(damage, 0.0))
    found[..., 0] *= 2.0
    np.log(np.maximum(macs_ratio, 1.0), out=found[..., 1])
    np.log(np.maximum(params_ratio, 1.0), out=found[..., 2])
    return found


def relevant(lessons: Lessons) -> Lessons:
    """Candidates with the weights that a fit gives them: one that will lose ``n`` times ``FAR`` is off the law by as much, and counts ``n ** 2`` times less."""
    return _weighed(lessons, FAR)


def _weighed(rows: Lessons, far: float) -> Lessons:
    expected = np.maximum(rows.drop_points, 0.0) * np.power(rows.trained, PRIOR_POWER)
    relevance = (
        np.ones_like(expected) if np.isinf(far) else np.square(far / np.maximum(expected, far))
    )
    return rows._replace(weights=rows.weights * relevance)


def _design(rows: Lessons) -> Array:
    """``[N, 5]`` what the weights multiply: 1, the features, how much longer a full recovery is."""
    longer = -np.log(np.broadcast_to(rows.trained, rows.drop_points.shape))
    ones = np.ones(len(rows.drop_points))
    return np.concatenate([ones[:, None], rows.features, longer[:, None]], axis=1)


def _variances(rows: Lessons) -> Array:
    """``[N]`` of what nothing explains; it grows with what a trial leaves to extrapolate."""
    longer = np.log(rows.trained)
    return (_NOISE**2 + (_HASTE_NOISE * longer) ** 2) / rows.weights


def _fit(rows: Lessons, cap: float) -> Array:
    """Damped Gauss-Newton on ``log(points + FLOOR)`` inside the box of sane slopes: the five weights."""
    design, noise = _design(rows), np.sqrt(_variances(rows))
    prior, wanted = np.array(_PRIOR), np.log(rows.drop_points + FLOOR)

    def loss_of(weights: Array) -> float:
        error = (wanted - _response(design @ weights, cap)[0]) / noise
        drift = (weights - prior) / _PRIOR_SPREAD
        return float(error @ error + drift @ drift)

    best, best_loss, damping = prior, loss_of(prior), 1.0
    for _ in range(40):
        predicted, slope = _response(design @ best, cap)
        jacobian = design * (slope / noise)[:, None]
        hessian = jacobian.T @ jacobian + np.diag(1 / _PRIOR_SPREAD**2)
        pull = jacobian.T @ ((wanted - predicted) / noise)
        gradient = pull + (prior - best) / _PRIOR_SPREAD**2
        step = np.linalg.solve(hessian + damping * np.diag(np.diag(hessian)), gradient)
        weights = np.clip(best + step, _LOWEST, _HIGHEST)
        loss = loss_of(weights)
        damping = damping * 0.3 if loss < best_loss else damping * 4.0
        if loss < best_loss:
            best, best_loss = weights, loss
    return best


def _covariance(rows: Lessons, weights: Array, cap: float) -> Array:
    """``[5, 5]`` inverse Hessian at the fit: how far the weights may lie elsewhere."""
    design = _design(rows)
    _, slope = _response(design @ weights, cap)
    jacobian = design * (slope / np.sqrt(_variances(rows)))[:, None]
    return np.asarray(np.linalg.inv(jacobian.T @ jacobian + np.diag(1 / _PRIOR_SPREAD**2)))


def _points(z: Array, cap: float) -> Array:
    """Points lost by the linear part: they saturate where guessing begins."""
    return np.asarray(cap * -np.expm1(np.exp(np.minimum(z, 40.0)) / -cap))


def _response(z: Array, cap: float) -> tuple[Array, Array]:
    """``log(points + FLOOR)`` of the linear part, and its slope."""
    raw = np.exp(np.clip(z, -30.0, 30.0))
    points = cap * -np.expm1(-raw / cap)
    return np.log(points + FLOOR), raw * np.exp(-raw / cap) / (points + FLOOR)


def _as_tuple(values: Array) -> tuple[float, float, float, float]:
    a, b, c, d = (float(value) for value in values)
    return a, b, c, d
