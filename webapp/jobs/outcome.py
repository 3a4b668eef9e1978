"""What a build is expected to give, and what it gave: the numbers of its "best so far" card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from webapp.jobs.artifacts import report

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webapp.jobs.models import Job

EXPECTED = "expected.json"
"""Written beside the request when the build is asked for: the original, the wishes, and what the recipe is predicted
to give, where it is known already."""


def outcome_json(job: Job) -> dict[str, Any] | None:
    """The prediction, replaced by the measurements as soon as they exist; ``None`` without either."""
    path = job.folder / EXPECTED
    if not path.is_file() or path.is_symlink():
        return None
    expected: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    facts = report(job)
    if facts is None:
        return {**expected, "is_measured": False}
    return {**expected, **measured_outcome(facts), "is_measured": True}


def measured_outcome(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Original and result of a report, each number with its band and how it is known."""
    before, after = facts["baseline"], facts["result"]
    predicted = facts["predicted"]
    latency_ms = _of_target(predicted["latency_ms"])
    latency_base_ms = predicted["latency_ms"]["baseline"]
    if facts["target"] == "this-host":
        latency_ms = _exactly(after["host_latency_ms"]["p50"], "measured")
        latency_base_ms = before["host_latency_ms"]["p50"]
    return {
        "baseline": {
            "accuracy": before["accuracy"],
            "latency_ms": latency_base_ms,
            "energy_mj": predicted["energy_mj"]["baseline"],
            "size_bytes": before["size_bytes"],
        },
        "estimate": {
            "accuracy_drop_points": _exactly(facts["accuracy_drop_points"], "measured"),
            "latency_ms": latency_ms,
            "energy_mj": _of_target(predicted["energy_mj"]),
            "size_bytes": _exactly(after["size_bytes"], "exact"),
        },
    }


def _of_target(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "value": entry["result"],
        "low": entry["low"],
        "high": entry["high"],
        "label": entry["label"],
    }


def _exactly(value: float, label: str) -> dict[str, Any]:
    return {"value": value, "low": value, "high": value, "label": label}
