"""Everything the studio page shows, as far as the study has come."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from selector import recipe_rows
from selector.cell_prices import LATENCY
from selector.selection import prediction_ends
from webapp.devices.queries import device_json, device_row
from webapp.devices.targets import target_profile, target_profiles
from webapp.jobs import knowledge
from webapp.jobs.charts import tradeoff_data, tradeoff_figure
from webapp.jobs.selectors import selectors_json
from webapp.projects import answers
from webapp.projects.models import DEFAULT_TARGET
from webapp.projects.queries import build_rows, chosen_target, project_row, study_json
from webapp.projects.suitability import target_notes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array, IntArray
    from webapp.jobs.models import Job
    from webapp.projects.models import Project

MOST_CANDIDATES = 300
MOST_CHOICES = 150_000
"""Of all candidates together: those of a deep network are fewer."""
MOST_TILES = 9000
"""What comes layer by layer is longer. The best candidates bring it, for the rest the policy tells it when one
is chosen."""
NO_BAND = {"drop_points": None}
"""Of a candidate that was built: its points are measured."""
GONE = "The device that was chosen here is no more, or no longer shared; this computer stands in for it."


def studio_json(project: Project, target_name: str | None) -> dict[str, Any]:
    """The page's data for a target; what is not known yet is empty."""
    job = project.study.job
    target = (
        target_profile(owner=project.owner, name=target_name)
        if target_name
        else chosen_target(project)
    )
    wanted = {**project.settings, "target": target.name}
    inspected = knowledge.inspection(job) if job else None
    surrogate = knowledge.surrogate(job) if job else None
    return {
        **head_json(project, target),
        "layers": layers_json(inspected, surrogate, target) if inspected else [],
        "techniques": knowledge.techniques_json(inspected) if inspected else {},
        **_costs(inspected, surrogate, target),
        **_choice(project, inspected, surrogate, wanted, target),
    }


def head_json(project: Project, target: DeviceProfile) -> dict[str, Any]:
    """What the page shows at once: all but layers, candidates and the choice."""
    job = project.study.job
    inspected = knowledge.inspection(job) if job else None
    surrogate = knowledge.surrogate(job) if job else None
    return {
        "project": {**project_row(project), "settings": project.settings},
        "study": study_json(project),
        "builds": build_rows(project),
        "model": model_json(inspected) if inspected else None,
        "prediction_check": knowledge.check_text(job) if job else "",
        "selectors": selectors_json(),
        "targets": targets_json(target_profiles(owner=project.owner), surrogate),
        "target": device_json(target),
        "target_notes": _target_notes(project, inspected, target),
        "layers": [
            {"kind": layer["kind"]} for layer in (inspected or {"layers": []})["layers"]
        ],
    }


def targets_json(
    devices: Sequence[DeviceProfile], surrogate: Surrogate | None
) -> list[dict[str, Any]]:
    """The devices to choose from; a study may know its own machine better than the profile does."""
    rows = [device_row(device) for device in devices]
    if surrogate is not None:
        bands = [surrogate.band(device) for device in devices]
        rows = [
            {**row, "band": [band.low, band.high]}
            for row, band in zip(rows, bands, strict=True)
        ]
    return rows


def model_json(inspected: dict[str, Any]) -> dict[str, Any]:
    """What the model is and how good."""
    baseline = inspected["baseline"]
    facts = ("accuracy", "accuracy_ci", "accuracy_kind", "n_test")
    return {
        "params": inspected["params"],
        "macs": inspected["macs"],
        "size_bytes": inspected["size_bytes"],
        "n_layers": sum(layer["kind"] != "other" for layer in inspected["layers"]),
        **{name: baseline[name] for name in facts},
        "accuracy_words": baseline.get("accuracy_words", baseline["accuracy_kind"]),
        "latency_ms": _host_latency(baseline["host_latency_ms"]),
        "preprocessing": inspected["preprocessing"],
        "warnings": inspected["warnings"],
        "class_names": baseline["class_names"],
        "splits": baseline["splits"],
    }


def layers_json(
    inspected: dict[str, Any], surrogate: Surrogate | None, target: DeviceProfile
) -> list[dict[str, Any]]:
    """The layers in order, with their time on the target once it is known."""
    times: dict[str, float] = {}
    if surrogate is not None:
        totals = surrogate.costs((target,)).row_totals(surrogate.space.untouched()[0])
        times = dict(zip(surrogate.tables.layers, totals[:, LATENCY].tolist(), strict=True))
    return [
        {
            "name": layer["name"],
            "kind": layer["kind"],
            "text": layer_text(layer),
            "params": layer["params"],
            "macs": layer["macs"],
            "ms": times.get(layer["name"], 0.0),
            "applicable": layer["applicable"],
            "shape": layer["out_shape"],
            "reads": layer["reads"],
        }
        for layer in inspected["layers"]
    ]


def layer_text(layer: dict[str, Any]) -> str:
    """A layer in a few words: ``conv 3x3 · 64 → 64``."""
    kernel = "x".join(map(str, layer["kernel"]))
    words = f"{layer['op'].replace('_', ' ')} {kernel}".strip()
    if layer["kind"] == "dense":
        inputs = layer["in_channels"] * layer["in_multiplier"]
        return f"{words} · {inputs} → {layer['out_channels']}"
    if layer["kind"] == "conv":
        return f"{words} · {layer['in_channels']} → {layer['out_channels']}"
    return words


def candidates_json(
    job: Job, surrogate: Surrogate, target: DeviceProfile
) -> list[dict[str, Any]]:
    """Candidates for the chart: the best known, and those that were built for real."""
    configs = _shown_configs(job, surrogate, target)
    built = {tuple(row["config"]): row for row in knowledge.validated(job)}
    missing = [config for config in built if config not in set(map(tuple, configs.tolist()))]
    if missing:
        configs = np.concatenate([configs, np.array(missing, dtype=np.int64)])
    metrics = surrogate.evaluate(configs, target)
    ends = _ends(prediction_ends(surrogate, configs, metrics, target))
    return [
        {
            "id": number,
            "config": config,
            "drop_points": _measured(built, config, float(metrics.drop_points[number - 1])),
            "latency_ms": float(metrics.latency_ms[number - 1]),
            "energy_mj": float(metrics.energy_mj[number - 1]),
            "size_bytes": float(metrics.size_bytes[number - 1]),
            "tiles": recipe_rows.tiles(surrogate, configs[number - 1])
            if number * len(surrogate.tables.layers) <= MOST_TILES
            else [],
            "validated": tuple(config) in built,
            "ends": ends[number - 1] | (NO_BAND if tuple(config) in built else {}),
        }
        for number, config in enumerate(configs.tolist(), start=1)
    ]


def _target_notes(
    project: Project, inspected: dict[str, Any] | None, target: DeviceProfile
) -> list[str]:
    """What to know of the model on the target, and of a device that was chosen once and is no more."""
    gone = chosen_target(project).name != project.settings["target"]
    notes = [GONE] if gone and target.name == DEFAULT_TARGET else []
    return notes + (target_notes(inspected, target) if inspected else [])


def _costs(
    inspected: dict[str, Any] | None, surrogate: Surrogate | None, target: DeviceProfile
) -> dict[str, Any]:
    if inspected is None or surrogate is None:
        return {"baseline": None, "best_log2": None, "bands": None}
    latency, energy, storage = surrogate.best_log2(target).tolist()
    return {
        "baseline": knowledge.baseline_json(inspected, surrogate, target),
        "best_log2": {"latency": latency, "energy": energy, "storage": storage},
        "bands": knowledge.bands_json(surrogate, target),
    }


def _choice(
    project: Project,
    inspected: dict[str, Any] | None,
    surrogate: Surrogate | None,
    wanted: dict[str, Any],
    target: DeviceProfile,
) -> dict[str, Any]:
    """Candidates and the recommended recipe, from the end of PROBE on."""
    job = project.study.job
    if job is None or inspected is None or surrogate is None:
        return {"candidates": [], "figure": None, "selection": None}
    candidates = candidates_json(job, surrogate, target)
    baseline = knowledge.baseline_json(inspected, surrogate, target)
    return {
        "candidates": candidates,
        "figure": tradeoff_figure(tradeoff_data(candidates, baseline, wanted["budgets"])),
        "selection": answers.selection(project, wanted, quick=True),
    }


def _shown_configs(job: Job, surrogate: Surrogate, target: DeviceProfile) -> IntArray:
    """The policy's best."""
    count = min(MOST_CANDIDATES, MOST_CHOICES // max(1, surrogate.space.n_decisions))
    return knowledge.policy(job).candidates(target, count)


def _ends(found: dict[str, Array]) -> list[dict[str, list[float] | None]]:
    """Those of each candidate, in four digits: bands are known less well, and a page brings hundreds."""
    return [
        {
            name: [float(f"{end:.4g}") for end in ends]
            for name, ends in zip(found, each, strict=True)
        }
        for each in zip(*(pairs.tolist() for pairs in found.values()), strict=True)
    ]


def _measured(
    built: dict[tuple[int, ...], dict[str, Any]], config: list[int], predicted: float
) -> float:
    row = built.get(tuple(config))
    return float(row["drop_points"]) if row else predicted


def _host_latency(timing: dict[str, Any]) -> dict[str, Any]:
    return {
        "p10": timing.get("p10"),
        "p50": timing["p50"],
        "p90": timing["p90"],
        "runs": timing.get("rounds", timing.get("runs")),
    }
