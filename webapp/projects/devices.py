"""The studio's comparison of devices: one recipe everywhere, and the best for each."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.suitability import misfit
from selector.device_comparison import Wish, on_devices
from selector.request import parse_budgets, parse_goals
from webapp.devices.queries import device_row
from webapp.devices.targets import target_profiles
from webapp.jobs import knowledge
from webapp.projects import answers
from webapp.projects.suitability import recipe_memory

if TYPE_CHECKING:
    from collections.abc import Callable

    from compression.cost import DeviceProfile
    from compression.suitability import Memory
    from selector.device_comparison import OnDevice, Priced
    from webapp.projects.models import Project


def devices_compared(
    project: Project, wanted: dict[str, Any], config: object
) -> list[dict[str, Any]]:
    """A row for each device, the owner's own first: the recipe on it, and the best known for it.

    Raises:
        RequestRefusedError: before the study can answer, or for a recipe of another study.
    """
    policy = answers.policy_of(project)
    chosen = answers.config_of(project, policy, wanted, config)
    job = project.study.job
    inspected = knowledge.inspection(job) if job else None
    wish = Wish(parse_goals(wanted["goals"]), parse_budgets(wanted["budgets"]))
    devices = target_profiles(owner=project.owner)
    pool = answers.known_recipes(project, policy, wanted)
    surrogate = policy.surrogate

    # Few recipes are the best of many devices: each is looked at once.
    @cache
    def memory(config: tuple[int, ...]) -> Memory:
        return recipe_memory(inspected, surrogate, np.array(config))

    def misfit_of(device: DeviceProfile, priced: Priced) -> str:
        return misfit(device, memory(priced.config)._replace(file_bytes=priced.size_bytes))

    def fits(device: DeviceProfile, priced: Priced) -> bool:
        return not misfit_of(device, priced)

    found = on_devices(surrogate, pool, np.array(chosen), wish, devices, fits)
    return [_row(row, misfit_of) for row in found]


def _row(found: OnDevice, misfit_of: Callable[[DeviceProfile, Priced], str]) -> dict[str, Any]:
    recipe, best = (
        _against(priced, found.original) | {"misfit": misfit_of(found.device, priced)}
        for priced in (found.recipe, found.best)
    )
    fit_alike = bool(recipe["misfit"]) == bool(best["misfit"])
    return {
        **device_row(found.device),
        "band": found.latency[:2],
        "energy_band": found.energy[:2],
        "original": found.original._asdict(),
        "recipe": recipe,
        "best": best,
        "tie": found.tie and fit_alike,
    }


def _against(priced: Priced, original: Priced) -> dict[str, Any]:
    """A recipe's costs, and how many times less they are than the original's."""
    return {
        **priced._asdict(),
        "times_faster": original.latency_ms / priced.latency_ms,
        "times_less_energy": original.energy_mj / priced.energy_mj,
        "times_smaller": original.size_bytes / priced.size_bytes,
    }
