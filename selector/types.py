"""What a person wants and what the selector answers: frozen, plain, free of torch and NumPy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from compression.types import Params, Recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Goals:
    """Four weights; ``normalised`` makes them sum to 1 (all zero means equal shares)."""

    accuracy: float = 0.25
    latency: float = 0.25
    energy: float = 0.25
    storage: float = 0.25

    def normalised(self) -> Goals:
        """The same goals with shares that sum to 1."""
        values = [max(0.0, v) for v in (self.accuracy, self.latency, self.energy, self.storage)]
        total = sum(values)
        if total <= 0:
            return Goals()
        accuracy, latency, energy, storage = (v / total for v in values)
        return Goals(accuracy=accuracy, latency=latency, energy=energy, storage=storage)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budgets:
    """Hard limits; ``None`` means no limit. Accuracy in percentage points lost, size of the file."""

    max_accuracy_drop: float | None = None
    max_latency_ms: float | None = None
    max_energy_mj: float | None = None
    max_size_bytes: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """What the user fixed about a layer: one technique (with its level), all that is done to it, or some excluded.

    ``technique`` ``"keep"`` leaves the layer as it is. An empty ``params`` allows any level. ``treatments`` are the
    techniques, with their levels, that the layer itself gets, and no others; that its channels are pruned with
    those of an earlier layer is not their business.
    """

    technique: str | None = None
    params: Params = field(default_factory=dict)
    treatments: Mapping[str, Params] = field(default_factory=dict)
    exclude: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A predicted value with the ends of its band and the label that says how it is known.

    Labels: ``measured``, ``calibrated``, ``same chip``, ``similar chip``, ``rough``, ``exact``.
    """

    value: float
    low: float
    high: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """What a recipe is expected to give on a target.

    ``untuned_drop_points`` is what it would lose without fine-tuning; None before enough candidates were built.
    """

    accuracy_drop_points: Estimate
    latency_ms: Estimate
    energy_mj: Estimate
    size_bytes: Estimate
    macs: int
    params: int
    untuned_drop_points: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Why no recipe meets all limits, as far as the search found.

    Attributes:
        sets: each a smallest set of budgets that cannot be met together: without any one of its members
            the others can.
        alone: what each budget would have to become if it alone were loosened and all others kept; a
            budget that is not named cannot help alone.
        proven: whether it is proven of each set that it cannot be met, not only not found; even if all
            recipes lose as little as the predictions of accuracy leave possible.
        unsure: whether a recipe was found that keeps all limits if it does lose that little.
    """

    sets: tuple[tuple[str, ...], ...]
    alone: Mapping[str, float] = field(default_factory=dict)
    proven: bool = False
    unsure: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The answer to goals and budgets: a recipe, what it is expected to give, and how good it is.

    ``config`` is the row of action indices the surrogate scores. ``violated`` names the budgets that
    the prediction does not meet; empty when it meets all. ``answered_by`` says which method found it.
    ``gap_to_best_found`` is the score missing to the best known answer, as a share of what compression
    wins at all: 1 for an answer that misses a limit which others keep, None where nobody keeps all or no other
    method was asked. ``gap_bound`` is the most that it can be, whatever method one tries, and None where that
    was not worked out. When nothing meets all budgets this is the nearest recipe, and ``nearest`` says what
    the missed budgets would have to become together; ``conflict``, where it was worked out, says which
    budgets exclude each other and what each would have to become alone. ``scored`` counts the recipes
    looked at for this answer alone, where the method counts them. ``first_look_gap`` is how far what a quick look
    found stays behind this answer; None of a quick answer.
    """

    recipe: Recipe
    config: tuple[int, ...]
    prediction: Prediction
    score: float
    violated: tuple[str, ...]
    answered_by: str
    gap_to_best_found: float | None = None
    gap_bound: float | None = None
    first_look_gap: float | None = None
    nearest: Mapping[str, float] = field(default_factory=dict)
    conflict: Conflict | None = None
    scored: int = 0
