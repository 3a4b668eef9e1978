"""Fits the nine numbers of the latency model to measured networks, starting from what is known before.

The logarithms of the coefficients have a Gaussian prior, so one measured network is enough to move a
whole profile, and twenty overrule the prior. The error is judged in logarithms, that is in per cent,
and a measurement far from the rest counts less (Huber). NumPy only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from compression.cost import Array

RESIDUAL_SD = 0.12
"""What an additive model leaves unexplained of one network, in logarithms, chosen on hidden networks."""

_STEPS, _LONGEST_STEP = 8, 1.0
_HUBER = 2.0  # standard deviations beyond which an error counts linearly


class Belief(NamedTuple):
    """Log coefficients ``[..., 9]`` (milliseconds per unit of ``cost.FEATURES``) and their covariance."""

    mean: Array
    covariance: Array

    def log_ms(self, features: Array) -> Array:
        """``[..., N]`` log milliseconds of networks with features ``[N, 9]``."""
        return np.asarray(np.log(np.exp(self.mean) @ features.T))

    def log_sd(self, features: Array) -> Array:
        """``[..., N]`` standard deviation of those: of the coefficients, and of one network about them."""
        shares = _shares(self.mean, features)
        spread = np.einsum("...nj,...jk,...nk->...n", shares, self.covariance, shares)
        return np.asarray(np.sqrt(spread + RESIDUAL_SD**2))


def fitted(prior: Belief, features: Array, log_ms: Array, known: Array) -> Belief:
    """What is believed after measuring.

    Gauss-Newton on the maximum of the posterior; all leading axes are fitted at once.

    Args:
        prior: what was believed; ``mean [..., 9]``, ``covariance [9, 9]``.
        features: ``[N, 9]`` of the measured networks.
        log_ms: ``[..., N]``; anything where nothing is known.
        known: ``[..., N]`` 1 where measured, 0 where not; between, how much it counts.
    """
    precision = np.linalg.inv(prior.covariance)
    weights = known / RESIDUAL_SD**2
    target = np.where(known > 0, log_ms, 0.0)
    mean = prior.mean.copy()
    for _ in range(_STEPS):
        shares = _shares(mean, features)
        errors = target - np.log(np.exp(mean) @ features.T)
        far = np.abs(errors) / (_HUBER * RESIDUAL_SD)
        trusted = weights / np.maximum(far, 1.0)
        curvature = np.einsum("...n,...nj,...nk->...jk", trusted, shares, shares) + precision
        slope = np.einsum("...n,...nj->...j", trusted * errors, shares)
        slope -= (mean - prior.mean) @ precision
        step = np.linalg.solve(curvature, slope[..., None])[..., 0]
        mean = mean + np.clip(step, -_LONGEST_STEP, _LONGEST_STEP)
    return Belief(mean, np.linalg.inv(curvature))


def _shares(mean: Array, features: Array) -> Array:
    """``[..., N, 9]`` which share of a network's time each term is: the derivative of its log time."""
    terms = features * np.exp(mean)[..., None, :]
    return np.asarray(terms / terms.sum(axis=-1, keepdims=True))
