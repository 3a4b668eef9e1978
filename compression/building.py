"""A recipe made real: techniques applied in a fixed order, weights fitted after each kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from compression.channel_moments import observed
from compression.errors import TechniqueRefusedError
from compression.reconstruction import fitted, reference_of
from compression.surgery import parts_of
from compression.technique import Scope, get, names
from compression.types import LayerKind

if TYPE_CHECKING:
    import numpy as np

    from compression.graph import Network
    from compression.reconstruction import Reference
    from compression.types import Recipe, RecipeStep

_FITTED_SCOPES = (Scope.BLOCK, Scope.WIDTH, Scope.STRUCTURE, Scope.HEAD, Scope.WEIGHTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """The network, the steps that it holds, and the others with the reason of each."""

    network: Network
    applied: Recipe
    skipped: tuple[tuple[RecipeStep, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workbench:
    """The original and its answers to the calibration samples, for any number of builds."""

    original: Network
    reference: Reference

    @classmethod
    def of(cls, original: Network, x: np.ndarray) -> Workbench:
        """Runs the original on the samples ``x``, float32 ``[samples, *input_shape]``."""
        return cls(original=observed(original, x), reference=reference_of(original, x))

    def build(self, recipe: Recipe, *, fit: bool = True) -> BuildResult:
        """Applies the scopes of techniques in their order, see ``Scope``.

        Within a scope the order of the recipe counts; a step of scope ``WEIGHTS`` treats whatever stands
        for its layer by then. Weights are fitted after each scope that
        changed anything, so that a structure is made from weights that suit the narrowed layer;
        without ``fit`` only the shapes are right, which is all that timing needs.
        A step that a technique refuses is skipped with its reason; one that some of the layers which stand for
        its layer refuse is both applied and, with their reasons, skipped.
        """
        network = self.original
        applied: list[RecipeStep] = []
        skipped = [(s, _unknown(s)) for s in recipe if s.technique not in names()]
        known = [step for step in recipe if step.technique in names()]
        for scope in Scope:
            steps = [step for step in known if get(step.technique).scope is scope]
            before = network
            for step in steps:
                try:
                    network, left_out = _applied(network, step)
                    applied.append(step)
                    skipped += [(step, left_out)] if left_out else []
                except TechniqueRefusedError as refusal:
                    skipped.append((step, _reason(refusal, step, network, tuple(applied))))
            if fit and network is not before and scope in _FITTED_SCOPES:
                ours = network.module is not before.module  # made by a technique just now
                network = fitted(network, self.reference, owned=ours)
        skipped.sort(key=lambda pair: recipe.index(pair[0]))
        return BuildResult(network=network, applied=tuple(applied), skipped=tuple(skipped))


def build(original: Network, recipe: Recipe, x: np.ndarray) -> BuildResult:
    """The network that a recipe describes, fitted to the original but not fine-tuned.

    Args:
        original: The imported network; it stays as it was.
        recipe: Any steps; unknown techniques and layers are skipped with a reason like refusals.
        x: Calibration samples, float32, ``[samples, *input_shape]``.
    """
    return Workbench.of(original, x).build(recipe)


def _applied(network: Network, step: RecipeStep) -> tuple[Network, str]:
    """The network with one step done, and which of the layers that now stand for its layer refused it, with their reasons.

    Raises:
        TechniqueRefusedError: when nothing could be done; the first reason of several.
    """
    technique = get(step.technique)
    technique.check_settings(step.params)
    if technique.scope is not Scope.WEIGHTS:
        return technique.apply(network, step.layer, step.params), ""
    changed, refusals, notes = network, [], []
    with_weights = {r.name for r in network.profile.layers if r.kind is not LayerKind.OTHER}
    for part in parts_of(network, step.layer) or (step.layer,):
        try:
            changed = technique.apply(changed, part, step.params)
        except TechniqueRefusedError as refusal:
            refusals.append(refusal)
            notes += [f"{part}: {refusal}"] if part in with_weights else []
    if changed is network and refusals:
        raise refusals[0]
    return changed, f"only in part. {' '.join(notes)}" if notes else ""


def _reason(
    refusal: TechniqueRefusedError, step: RecipeStep, network: Network, applied: Recipe
) -> str:
    """In the technique's words, with what took the layer's place where that is why: scopes have an order of their own."""
    is_gone = all(row.name != step.layer for row in network.profile.layers)
    before = [get(other.technique).title for other in applied if other.layer == step.layer]
    return (
        f"{refusal} {before[-1]} has taken its place." if is_gone and before else str(refusal)
    )


def _unknown(step: RecipeStep) -> str:
    try:
        get(step.technique)
    except TechniqueRefusedError as refusal:
        return str(refusal)
    return ""
