"""The model by itself: its layers, what fits them, and what it costs on every device. Known from INSPECT on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from compression.cost import FEATURES, band, energy_mj, latency_ms, op_features
from compression.suitability import Memory, misfit
from compression.technique import identity_cost
from compression.types import Precision
from webapp.devices.queries import device_json, device_row
from webapp.devices.targets import target_profile, target_profiles
from webapp.jobs import knowledge
from webapp.projects.queries import chosen_target, project_row, study_json
from webapp.projects.studio import layers_json, model_json, targets_json
from webapp.projects.suitability import has_untimed, layer_profile, model_memory, target_notes
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from compression.cost import Array, Band, DeviceProfile
    from selector.surrogate import Surrogate
    from webapp.jobs.models import Job
    from webapp.projects.models import Project

FLOAT = Precision.FP32


class Costs(NamedTuple):
    """What each layer ``[L, 9]`` computes, see ``compression.cost.FEATURES``, and whether it costs time at all."""

    features: Array
    is_priced: tuple[bool, ...]

    @property
    def network(self) -> Array:
        """``[9]`` of all layers together."""
        return np.asarray(self.features.sum(axis=0))


def model_page_json(project: Project, target_name: str | None = None) -> dict[str, Any]:
    """The page's data, times of layers for a target; what is not known yet is empty.

    Raises:
        Http404: when there is no such target.
    """
    job, owner = project.study.job, project.owner
    target = (
        target_profile(owner=owner, name=target_name) if target_name else chosen_target(project)
    )
    inspected = knowledge.inspection(job) if job else None
    found = {"project": project_row(project), "study": study_json(project)}
    if job is None or inspected is None:
        return {**found, "model": None, "layers": [], "devices": []}
    devices = target_profiles(owner=owner)
    surrogate = _surrogate(job)
    costs = _costs(inspected)
    memory = model_memory(inspected)
    return {
        **found,
        "model": model_json(inspected),
        "techniques": knowledge.techniques_json(inspected),
        "targets": targets_json(devices, surrogate),
        "target": device_json(target),
        "target_notes": target_notes(inspected, target),
        "layers": _layers(inspected, costs, surrogate, target),
        "layers_band": _layers_band(inspected, surrogate, target),
        "devices": [_on_device(inspected, costs, device, memory) for device in devices],
    }


def _surrogate(job: Job) -> Surrogate | None:
    """None before the layers were timed here, and where another version of the engine did."""
    try:
        return knowledge.surrogate(job)
    except RequestRefusedError:
        return None


def _costs(inspected: dict[str, Any]) -> Costs:
    """Layers as they came: the same operations that a study prices."""
    ops = [identity_cost(layer_profile(layer)) for layer in inspected["layers"]]
    rows = [sum(map(op_features, each), np.zeros(len(FEATURES))) for each in ops]
    return Costs(np.array(rows), tuple(map(bool, ops)))


def _layers(
    inspected: dict[str, Any], costs: Costs, surrogate: Surrogate | None, target: DeviceProfile
) -> list[dict[str, Any]]:
    """The layers in order with their time on the target: None where that is not known yet."""
    times: list[float | None] = [None] * len(costs.features)
    rows = layers_json(inspected, surrogate if target.measured_here else None, target)
    if not target.measured_here:
        times = latency_ms(costs.features, target, FLOAT).tolist()
    elif surrogate is not None:
        times = [row["ms"] for row in rows]
    return [
        {**row, "ms": ms, "is_priced": is_priced, "untouched": layer.get("untouched", "")}
        for row, ms, is_priced, layer in zip(
            rows, times, costs.is_priced, inspected["layers"], strict=True
        )
    ]


def _layers_band(
    inspected: dict[str, Any], surrogate: Surrogate | None, target: DeviceProfile
) -> list[float]:
    """How far the sum of the layers' times may be off on the target."""
    if surrogate is not None:
        found = surrogate.band(target, "latency", inspected["macs"])
    else:
        found = _band(inspected, target, "latency")
    return [found.low, found.high]


def _on_device(
    inspected: dict[str, Any], costs: Costs, device: DeviceProfile, memory: Memory
) -> dict[str, Any]:
    """The original there: measured on this computer, elsewhere predicted; energy always predicted."""
    measured = inspected["baseline"]["host_latency_ms"] if device.measured_here else None
    features = costs.network
    ms = float(measured["p50"] if measured else latency_ms(features, device, FLOAT))
    latency, energy = (_band(inspected, device, each) for each in ("latency", "energy"))
    return {
        **device_row(device),
        "band": [latency.low, latency.high],
        "energy_band": [energy.low, energy.high],
        "latency_ms": ms,
        "measured": _spread(measured) if measured else None,
        "energy_mj": float(energy_mj(np.asarray(ms), features, device, FLOAT)),
        "misfit": misfit(device, memory),
    }


def _band(inspected: dict[str, Any], device: DeviceProfile, quantity: str) -> Band:
    """Wider where the model is unlike what the device's figures rest on."""
    return band(device, quantity, inspected["macs"], has_untimed=has_untimed(inspected, device))


def _spread(measured: dict[str, Any]) -> dict[str, Any]:
    return {
        "p10": measured.get("p10"),
        "p90": measured.get("p90"),
        "runs": measured.get("rounds", measured.get("runs")),
    }
