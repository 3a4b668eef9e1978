"""A question (goals, budgets, target, locks) put to the surrogate, and how an answer is written down."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from selector import reward
from selector.accuracy import LEAST_VALIDATED
from selector.cell_prices import N_COLUMNS
from selector.local_search import climb
from selector.locks import locked_mask
from selector.reward import BUDGET_NAMES, Preferences
from selector.types import Budgets, Estimate, Goals, Lock, Prediction, Selection

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.cost import DeviceProfile
    from selector.pricing import CostTables, Priced
    from selector.surrogate import Metrics, Surrogate
    from selector.tables import Array, BoolArray, IntArray

_SIZE_BAND = 0.03  # names and attributes in the file vary a little with the recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked of which surrogate. All configurations are on ``target``."""

    surrogate: Surrogate
    target: DeviceProfile
    goals: Goals = field(default_factory=Goals)
    budgets: Budgets = field(default_factory=Budgets)
    locks: Mapping[str, Lock] = field(default_factory=dict)

    def prepared(self) -> Prepared:
        """The same question with everything looked up.

        Raises:
            BadRequestError: when the locks name what is not there or leave nothing.
        """
        costs = self.surrogate.costs((self.target,))
        wants = reward.preferences(self.surrogate, (self.target,), self.goals, self.budgets)
        mask = locked_mask(self.surrogate.space, self.locks)
        return Prepared(question=self, costs=costs, wants=wants, mask=mask)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prepared:
    """A question ready to judge many configurations."""

    question: Question
    costs: CostTables
    wants: Preferences
    mask: BoolArray

    def utility(self, configs: IntArray) -> Array:
        """``[B]`` the order in which configurations ``[B, D]`` answer the question."""
        return self.totals_utility(self.costs.totals(configs))

    def totals_utility(self, totals: Array) -> Array:
        """``[...]`` the same from totals ``[..., 7]``."""
        flat = totals.reshape(1, -1, N_COLUMNS)
        values = reward.quantities(self.question.surrogate, flat)
        return reward.utility(values, self.wants).reshape(totals.shape[:-1])

    def allowed(self, configs: IntArray) -> IntArray:
        """Those of the configurations that the locks allow."""
        return configs[self.costs.space.is_legal(configs, self.mask)]

    def polished(self, configs: IntArray, sweeps: int = 8) -> IntArray:
        """Each configuration improved by single changes until none helps."""
        return climb(self.costs, configs, self.mask, self.totals_utility, 0, sweeps)

    def softened(
        self, configs: IntArray, count: int, strangers: int, sweeps: int = 2
    ) -> IntArray:
        """The ``count`` most promising and some random recipes, improved as if limits only cost.

        Recipes a little beyond a limit lead to places that no path inside it reaches.
        """
        worth = self._totals_potential(self.costs.totals(configs))
        start = configs[np.argsort(-worth, kind="stable")[:count]]
        drawn = self.costs.space.sample(self.mask, strangers, np.random.default_rng(0))
        start = np.concatenate([start, drawn])
        return climb(self.costs, start, self.mask, self._totals_potential, 0, sweeps)

    def _totals_potential(self, totals: Array) -> Array:
        flat = totals.reshape(1, -1, N_COLUMNS)
        values = reward.quantities(self.question.surrogate, flat)
        return reward.potential(values, self.wants).reshape(totals.shape[:-1])

    @property
    def is_limited(self) -> bool:
        """Whether any budget is set."""
        return bool(np.isfinite(self.wants.limits).any())

    def start(self) -> IntArray:
        """``[1, D]`` the least change that the locks allow."""
        first = self.mask.argmax(axis=1)[None]
        return self.costs.space.canonical(first)

    def best(self, configs: IntArray) -> IntArray:
        """The best ``[D]`` of them; of equals the one that changes less, then the earlier."""
        return np.asarray(self.best_of(self.costs.priced(configs)).configs[0])

    def best_of(self, found: Priced) -> Priced:
        """The same one ``[1, D]`` of what is priced already."""
        utility = self.totals_utility(found.totals)
        changes = (found.configs > 0).sum(axis=1)
        return found.take(np.lexsort((changes, -utility))[:1])

    def answer(self, config: IntArray, answered_by: str) -> Selection:
        """Write a configuration down; its gap is for others to say."""
        surrogate, space = self.question.surrogate, self.costs.space
        found = self.costs.priced(config[None])
        values = reward.quantities(surrogate, found.totals[None])
        excess = reward.violations(values, self.wants)[0, 0]
        return Selection(
            recipe=space.decode(config),
            config=tuple(int(index) for index in config),
            prediction=_predicted(surrogate, found, self.question.target),
            score=float(reward.score(values, self.wants)[0, 0]),
            violated=tuple(
                name for name, over in zip(BUDGET_NAMES, excess, strict=True) if over > 0
            ),
            nearest={
                name: float(value)
                for name, over, value in zip(BUDGET_NAMES, excess, values[0, 0], strict=True)
                if over > 0
            },
            answered_by=answered_by,
        )


def predict(surrogate: Surrogate, config: IntArray, target: DeviceProfile) -> Prediction:
    """What a configuration ``[D]`` is expected to give, with bands and how each is known."""
    return _predicted(surrogate, surrogate.costs((target,)).priced(config[None]), target)


def prediction_ends(
    surrogate: Surrogate, configs: IntArray, metrics: Metrics, target: DeviceProfile
) -> dict[str, Array]:
    """``[B, 2]`` the ends of the bands that ``predict`` gives, by quantity and in its unit.

    Args:
        surrogate: of the study.
        configs: ``[B, D]``.
        metrics: what the surrogate evaluates them to on the target.
        target: the device.
    """
    latency, energy = (
        np.array([surrogate.band(target, quantity, macs)[:2] for macs in metrics.macs.tolist()])
        for quantity in ("latency", "energy")
    )
    width = np.where(configs.any(axis=1), _SIZE_BAND, 0.0)
    return {
        "drop_points": np.stack(surrogate.model.ends(metrics.drop_points), axis=1),
        "latency_ms": metrics.latency_ms[:, None] * latency,
        "energy_mj": metrics.energy_mj[:, None] * energy,
        "size_bytes": metrics.size_bytes[:, None] * (1 + np.outer(width, [-1, 1])),
    }


def _predicted(surrogate: Surrogate, found: Priced, target: DeviceProfile) -> Prediction:
    metrics = surrogate.metrics(found.totals)
    touched = bool(found.configs.any())
    return Prediction(
        accuracy_drop_points=_points(surrogate, metrics),
        latency_ms=_on_device(surrogate, metrics, target, "latency"),
        energy_mj=_on_device(surrogate, metrics, target, "energy"),
        size_bytes=_size(float(metrics.size_bytes[0]), touched=touched),
        macs=round(float(metrics.macs[0])),
        params=round(float(metrics.params[0])),
        untuned_drop_points=_untuned(surrogate, found),
    )


def _untuned(surrogate: Surrogate, found: Priced) -> Estimate | None:
    """Points lost without fine-tuning, where enough built candidates say."""
    model = surrogate.untuned
    if model is None:
        return None
    points = model.predict(surrogate.features(found.totals))
    low, high = model.ends(points)
    label = "calibrated" if points[0] else "exact"
    return Estimate(value=float(points[0]), low=float(low[0]), high=float(high[0]), label=label)


def _points(surrogate: Surrogate, metrics: Metrics) -> Estimate:
    value = float(metrics.drop_points[0])
    low, high = surrogate.model.ends(metrics.drop_points)
    validated = surrogate.model.n_validated >= LEAST_VALIDATED
    label = "exact" if value == 0 else "calibrated" if validated else "rough"
    return Estimate(value=value, low=float(low[0]), high=float(high[0]), label=label)


def _on_device(
    surrogate: Surrogate, metrics: Metrics, target: DeviceProfile, quantity: str
) -> Estimate:
    value = float((metrics.latency_ms if quantity == "latency" else metrics.energy_mj)[0])
    ends = surrogate.band(target, quantity, float(metrics.macs[0]))
    return Estimate(value=value, low=value * ends.low, high=value * ends.high, label=ends.label)


def _size(value: float, *, touched: bool) -> Estimate:
    width = _SIZE_BAND if touched else 0.0
    label = "calibrated" if touched else "exact"
    return Estimate(value=value, low=value * (1 - width), high=value * (1 + width), label=label)
