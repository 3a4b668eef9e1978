"""report.json: everything a build can say about its result, measured and predicted kept apart."""

from __future__ import annotations

import json
import platform
import tomllib
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema

from selector.errors import SelectorError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from compression.comparison import Comparison
    from compression.cost import DeviceProfile
    from compression.evaluation import Evaluation
    from compression.latency import Timing
    from compression.types import Recipe
    from selector.request import Request
    from selector.types import Estimate

SCHEMAS = Path(__file__).parent / "schemas"
_PACKAGES = ("numpy", "onnx", "onnxruntime", "torch")
_DIGITS = 6


_NOTED_DRIFT = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """What the selector expected of the recipe on the target before anything was built."""

    baseline_latency_ms: float
    latency_ms: Estimate
    baseline_energy_mj: float
    energy_mj: Estimate
    accuracy_drop_points: Estimate | None = None
    size_bytes: Estimate | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BuildFacts:
    """What a finished build knows. ``timings`` are of ``baseline`` and ``result`` on this host.

    ``clock_ms`` is what the original took when limits were set: a machine that has slowed down since
    must not count against the result. Without it, limits hold for the times as they are now.
    ``conflict`` says which limits exclude each other, where that was foreseen.
    ``status`` overrides what the limits say (``infeasible``, ``cancelled``); ``layers``, ``search``,
    ``stages`` and ``artifacts`` are passed through as they stand in the report.
    """

    request: Request
    target: DeviceProfile
    model_sha256: str
    data_sha256: str
    baseline: Evaluation
    result: Evaluation
    comparison: Comparison
    baseline_timing: Timing
    result_timing: Timing
    predicted: Predicted
    recipe: Recipe
    artifacts: Sequence[Mapping[str, Any]]
    stages: Sequence[Mapping[str, Any]] = ()
    search: Mapping[str, Any] = field(default_factory=dict)
    layers: Sequence[Mapping[str, Any]] = ()
    skipped: Sequence[Mapping[str, str]] = ()
    class_names: tuple[str, ...] = ()
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()
    status: str | None = None
    conflict: Mapping[str, Any] | None = None
    stopped_by: str | None = None
    clock_ms: float | None = None


def build_report(facts: BuildFacts) -> dict[str, Any]:
    """The report as plain values, checked against its schema.

    Raises:
        SelectorError: when the schema does not accept it.
    """
    limits = check_limits(facts)
    met = all(limit["met"] for limit in limits)
    report = {
        "version": 1,
        # What was thought impossible and was reached all the same is met.
        "status": "met" if met else facts.status or "missed",
        "stopped_by": facts.stopped_by,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        **_identity(facts),
        "baseline": _side(facts.baseline, facts.baseline_timing),
        "result": _side(facts.result, facts.result_timing),
        "accuracy_drop_points": facts.comparison.drop_points,
        "accuracy_drop_ci_points": list(facts.comparison.drop_ci_points),
        "accuracy_drop_chance": facts.comparison.chance,
        "agreement_with_original": facts.comparison.agreement,
        "relative_error": facts.comparison.relative_error,
        "agreement_by_output": [
            {"output": name, "agreement": share}
            for name, share in facts.comparison.agreement_by_output.items()
        ],
        "ratios": ratios(facts),
        "ratio_ranges": {"host_latency": list(facts.result_timing.ratio_ci)},
        "limits": limits,
        "conflict": None if met else facts.conflict,
        "predicted": _predicted(facts.predicted),
        "recipe": [{**asdict(step), "params": dict(step.params)} for step in facts.recipe],
        "skipped": list(facts.skipped),
        "layers": list(facts.layers),
        "per_class": _per_class(facts),
        "flipped": _flipped(facts),
        "stages": list(facts.stages),
        "search": dict(facts.search),
        "artifacts": list(facts.artifacts),
        "notes": [*facts.notes, *_output_notes(facts), *_clock_notes(facts)],
    }
    rounded: dict[str, Any] = _rounded(report)
    check_report(rounded)
    return rounded


def check_report(report: Mapping[str, Any]) -> None:
    """Raise ``SelectorError`` naming the first place where the report breaks its schema."""
    errors = sorted(_validator("report").iter_errors(report), key=lambda e: list(e.path))
    if errors:
        where = ".".join(map(str, errors[0].path)) or "the top level"
        raise SelectorError(f"The report is malformed at {where}: {errors[0].message}")


def check_limits(facts: BuildFacts) -> list[dict[str, Any]]:
    """Each limit that was set, what was reached, and whether that is sure.

    A predicted value that meets its limit while the end of its band does not is met, not ``sure``.
    On the host the engine runs on, latency is the measured ratio, in the clock of the limit.
    """
    budgets, predicted = facts.request.budgets, facts.predicted
    latency = (predicted.latency_ms.value, predicted.latency_ms.high)
    if facts.target.measured_here:
        latency = _host_latency(facts)
    reached = {
        "max_accuracy_drop": (
            facts.comparison.drop_points,
            facts.comparison.drop_ci_points[1],
        ),
        "max_latency_ms": latency,
        "max_energy_mj": (predicted.energy_mj.value, predicted.energy_mj.high),
        "max_size_bytes": (facts.result.size_bytes, facts.result.size_bytes),
    }
    return [
        {
            "name": name,
            "limit": limit,
            "value": reached[name][0],
            "met": reached[name][0] <= limit + 1e-9,
            "sure": reached[name][1] <= limit + 1e-9,
        }
        for name, limit in asdict(budgets).items()
        if limit is not None
    ]


def _host_latency(facts: BuildFacts) -> tuple[float, float]:
    """Milliseconds of the result to hold against a limit, and their slow end."""
    timing = facts.result_timing
    if facts.clock_ms is None:
        return timing.p50, timing.p90
    return facts.clock_ms / timing.ratio, facts.clock_ms / timing.ratio_ci[0]


def _output_notes(facts: BuildFacts) -> list[str]:
    """How each of several outputs fared against the original."""
    shares = facts.comparison.agreement_by_output
    if not shares:
        return []
    each = ", ".join(f"{name} {100 * share:.1f} %" for name, share in shares.items())
    return [f"Agreement with the original on the test examples, output by output: {each}."]


def _clock_notes(facts: BuildFacts) -> list[str]:
    """Why a limit may be met though the milliseconds beside it say otherwise, or the reverse."""
    limited = facts.request.budgets.max_latency_ms is not None and facts.target.measured_here
    if not limited or facts.clock_ms is None:
        return []
    drift = facts.baseline_timing.p50 / facts.clock_ms
    if abs(drift - 1) < _NOTED_DRIFT:
        return []
    return [
        f"This computer ran at {1 / drift:.2f} times the speed of the study while measuring. "
        f"The limit on latency is judged by the measured ratio, at the study's speed: "
        f"{_host_latency(facts)[0]:.3g} ms."
    ]


def ratios(facts: BuildFacts) -> dict[str, float]:
    """Original over result: above 1 is a gain. ``host_latency`` is measured in pairs."""
    before, after, predicted = facts.baseline, facts.result, facts.predicted
    host = facts.result_timing.ratio
    latency = predicted.baseline_latency_ms / max(predicted.latency_ms.value, 1e-12)
    packed = {}
    if before.packed_bytes and after.packed_bytes:
        packed["packed"] = before.packed_bytes / after.packed_bytes
    return {
        "host_latency": host,
        "size": before.size_bytes / after.size_bytes,
        "zip": before.zip_bytes / after.zip_bytes,
        **packed,
        "macs": before.macs / max(1, after.macs),
        "target_latency": host if facts.target.measured_here else latency,
        "target_energy": predicted.baseline_energy_mj / max(predicted.energy_mj.value, 1e-12),
    }


def versions() -> dict[str, str]:
    """What computed the result."""
    found = {"adadeep": _own_version(), "python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def _own_version() -> str:
    """From the project file: AdaDeep runs from its folder and is not installed as a package."""
    project = Path(__file__).parents[1] / "pyproject.toml"
    if not project.is_file():
        return "unknown"
    return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def host() -> dict[str, str]:
    """What the measurements ran on."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        lines = cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines()
        models = [
            line.partition(":")[2].strip() for line in lines if line.startswith("model name")
        ]
        name = models[0] if models else name
    return {"processor": name, "system": f"{platform.system()} {platform.machine()}"}


def _identity(facts: BuildFacts) -> dict[str, Any]:
    request = facts.request
    return {
        "model_name": request.model.stem,
        "data_name": request.data.name if request.data else None,
        "model_sha256": facts.model_sha256,
        "data_sha256": facts.data_sha256,
        "target": facts.target.name,
        "target_title": facts.target.title,
        "target_chip": facts.target.chip,
        "target_note": facts.target.note,
        "seed": request.seed,
        "threads": request.threads,
        "time_limit_s": request.time_limit_s,
        "goals": asdict(request.goals),
        "budgets": asdict(request.budgets),
        "preprocessing": dict(facts.preprocessing),
        "class_names": list(facts.class_names),
        "versions": versions(),
        "host": host(),
    }


def _side(evaluation: Evaluation, timing: Timing) -> dict[str, Any]:
    return {**evaluation.to_json(), "host_latency_ms": timing.to_json()}


def _predicted(predicted: Predicted) -> dict[str, Any]:
    def entry(baseline: float, estimate: Estimate) -> dict[str, Any]:
        return {
            "baseline": baseline,
            "result": estimate.value,
            "low": estimate.low,
            "high": estimate.high,
            "label": estimate.label,
        }

    found = {
        "latency_ms": entry(predicted.baseline_latency_ms, predicted.latency_ms),
        "energy_mj": entry(predicted.baseline_energy_mj, predicted.energy_mj),
    }
    for name in ("accuracy_drop_points", "size_bytes"):
        estimate = getattr(predicted, name)
        if estimate is not None:
            found[name] = asdict(estimate)
    return found


def _per_class(facts: BuildFacts) -> list[dict[str, Any]]:
    return [
        {**asdict(row), "name": _class_name(facts, row.label)}
        for row in facts.comparison.per_class
    ]


def _flipped(facts: BuildFacts) -> dict[str, Any]:
    return {
        "lost": facts.comparison.n_lost,
        "gained": facts.comparison.n_gained,
        "examples": [
            {
                "index": flip.index,
                "truth": _class_name(facts, flip.wanted),
                "before": _class_name(facts, flip.before),
                "after": _class_name(facts, flip.after),
                "confidence_before": flip.confidence_before,
                "confidence_after": flip.confidence_after,
                "fixed": flip.after == flip.wanted,
            }
            for flip in facts.comparison.flips
        ],
    }


def _class_name(facts: BuildFacts, label: int) -> str:
    names = facts.class_names
    return names[label] if label < len(names) else str(label)


def _rounded(value: Any) -> Any:
    """Floats at six significant digits: more would only look precise."""
    if isinstance(value, float):
        return float(f"{value:.{_DIGITS}g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    return value


@cache
def _validator(name: str) -> Any:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return jsonschema.Draft202012Validator(schema)
