"""MEASURE: the result against the original on examples that no choice has seen, and by the clock."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from compression.comparison import compare
from compression.evaluation import evaluate_onnx
from compression.latency import paired_latency
from compression.pictures import pictures
from compression.suitability import Model, notes
from compression.types import Precision, Stage
from selector.choosing import CHOSEN, question_of, read_recipe
from selector.classic import Classic, published_facts, published_note
from selector.explain import explain
from selector.recipe_rows import rows
from selector.report import BuildFacts, Predicted, build_report
from selector.selection import predict
from selector.stages.export import recovered_network
from selector.study import load_surrogate, prediction_check, validated_candidates

if TYPE_CHECKING:
    from compression.data import Split
    from compression.graph import Network
    from compression.types import Recipe
    from selector.job import Job
    from selector.surrogate import Surrogate
    from selector.tables import IntArray
    from selector.types import Prediction

ROUNDS = 50

NOTED_RECOVERY = 0.5
"""Points won by fine-tuning from which on the report says so."""

MOST_PICTURES = 12
"""Flips of each kind that the report shows as pictures: a few kilobytes each. They are the user's own data."""


def measure(job: Job) -> None:
    """Leave ``measure.json``: the report, but for what packaging adds."""
    job.folder.require(Stage.EXPORT)
    exported = job.folder.read_json(Stage.EXPORT, "export.json")
    primary = next(row for row in exported["files"] if row["primary"])
    data = job.folder.stage_path(Stage.EXPORT, primary["name"]).read_bytes()
    test = job.dataset.test
    synthetic = job.dataset.synthetic
    before = evaluate_onnx(
        job.model_bytes, test, profile=job.network.profile, synthetic=synthetic
    )
    job.reporter.progress(1, 4)
    network = recovered_network(job)
    after = evaluate_onnx(
        data,
        test,
        reference=before.answers,
        profile=network.profile,
        synthetic=synthetic,
    )
    job.reporter.progress(2, 4)

    def keep_on(done: int, rounds: int) -> bool:
        job.reporter.progress(2 * rounds + 2 * done, 4 * rounds)
        return True

    files = {"baseline": job.model_bytes, "result": data}
    timings = paired_latency(files, test.take(1).x, ROUNDS, keep_on=keep_on)
    job.reporter.log(
        f"Measured on {after.n_test:,} test examples: {100 * after.accuracy:.2f} % "
        f"{after.words}, "
        f"{timings['result'].ratio:.2f}× as fast, {before.size_bytes / after.size_bytes:.1f}× smaller"
    )
    report = build_report(
        BuildFacts(
            comparison=compare(before, after, test),
            baseline=before,
            result=after,
            baseline_timing=timings["baseline"],
            result_timing=timings["result"],
            artifacts=_artifacts(job, exported["files"]),
            **_facts(job, _built(network, primary, len(data))),
        )
    )
    _picture(report["flipped"]["examples"], test)
    job.folder.write_json(Stage.MEASURE, "measure.json", report)


def _picture(flips: list[dict[str, Any]], test: Split) -> None:
    """Add what the first flips of each kind look like."""
    for fixed in (False, True):
        shown = [flip for flip in flips if flip["fixed"] == fixed][:MOST_PICTURES]
        seen = pictures(test, [flip["index"] for flip in shown])
        for flip, each in zip(shown, seen, strict=True):
            if each is not None:
                flip["input"] = each


def _built(network: Network, primary: dict[str, Any], file_bytes: int) -> Model:
    """The result as a device has to hold it."""
    precision, in_float = Precision(primary["precision"]), primary.get("in_float", ())
    return Model.of(network.profile, file_bytes, precision, in_float)


def _facts(job: Job, built: Model) -> dict[str, Any]:
    """What is known without measuring."""
    surrogate = load_surrogate(job.folder)
    recovered = job.folder.read_json(Stage.RECOVER, "recover.json")
    config = np.array(recovered["config"], dtype=np.int64)
    recipe = read_recipe(job.folder.stage_path(Stage.RECOVER, "recover.json"))
    expected = predict(surrogate, config, job.target)
    baseline = surrogate.baseline(job.target)
    inspected = job.folder.read_json(Stage.INSPECT, "baseline.json")
    return {
        "clock_ms": float(inspected["host_latency_ms"]["p50"]),
        "request": job.request,
        "target": job.target,
        "model_sha256": job.model_sha256,
        "data_sha256": job.dataset.sha256,
        "predicted": Predicted(
            baseline_latency_ms=float(baseline.latency_ms),
            latency_ms=expected.latency_ms,
            baseline_energy_mj=float(baseline.energy_mj),
            energy_mj=expected.energy_mj,
            accuracy_drop_points=expected.accuracy_drop_points,
            size_bytes=expected.size_bytes,
        ),
        "recipe": recipe,
        "layers": _layers(job, surrogate, config, recipe),
        "skipped": recovered["skipped"],
        "search": _search(job, recovered) | _published(job, recovered, surrogate, config),
        "class_names": job.dataset.class_names,
        "preprocessing": job.dataset.preprocessing.to_json(),
        "notes": (
            *job.network.notes,
            *notes(job.target, built),
            *recovered["notes"],
            *_recovery_notes(recovered, expected),
            *job.dataset.notes,
            *filter(None, [job.form.note(labelled=job.dataset.labelled)]),
            *_published_notes(job, recovered),
            *_export_notes(job),
        ),
        "status": "infeasible" if recovered["infeasible"] else None,
        "conflict": recovered["conflict"],
        "stopped_by": job.reporter.stopped_by or recovered["stopped_by"],
    }


def _recovery_notes(recovered: dict[str, Any], expected: Prediction) -> list[str]:
    """How much of what the recipe is worth is due to fine-tuning."""
    before, after = recovered["untuned_points"], recovered["drop_points"]
    if before - after < NOTED_RECOVERY:
        return []
    foreseen = expected.untuned_drop_points
    predicted = f" ({foreseen.value:.1f} were predicted)" if foreseen else ""
    return [
        f"Without fine-tuning the recipe loses {before:.1f} points on the search examples{predicted}, "
        f"with it {after:.1f} ({expected.accuracy_drop_points.value:.1f} were predicted)."
    ]


def _export_notes(job: Job) -> list[str]:
    """What was said about the files that are offered."""
    files = job.folder.read_json(Stage.EXPORT, "export.json")["files"]
    return list(dict.fromkeys(note for row in files for note in row.get("notes", [])))


def _layers(
    job: Job, surrogate: Surrogate, config: IntArray, recipe: Recipe
) -> list[dict[str, Any]]:
    """Each layer before and after on the target, with the reason for what was done to it."""
    explained = {
        reason.layer: {
            "undo": reason.to_json()["undo"],
            "alternatives": reason.to_json()["alternatives"],
        }
        for reason in explain(question_of(job, surrogate), config)
    }
    return [
        {**row, "why": "; ".join(_reasons(recipe, row["layer"]))}
        | explained.get(row["layer"], {})
        for row in rows(surrogate, config, job.target)
    ]


def _reasons(recipe: Recipe, layer: str) -> list[str]:
    """The reasons given for the steps of a layer, each once."""
    return list(dict.fromkeys(s.why for s in recipe if s.layer == layer and s.why))


def _published(
    job: Job, recovered: dict[str, Any], surrogate: Surrogate, config: IntArray
) -> dict[str, Any]:
    """What the report adds when the published form chose the recipe."""
    if not _is_published(job, recovered):
        return {}
    question = question_of(job, surrogate)
    return {"published": published_facts(question, job.request.classic, config)}


def _published_notes(job: Job, recovered: dict[str, Any]) -> list[str]:
    return [published_note(job.request.classic)] if _is_published(job, recovered) else []


def _is_published(job: Job, recovered: dict[str, Any]) -> bool:
    return job.request.selector == Classic.name and recovered["answered_by"] != CHOSEN


def _search(job: Job, recovered: dict[str, Any]) -> dict[str, Any]:
    check = prediction_check(job.folder)
    return {
        "selector": job.request.selector,
        "candidates_scored": recovered.get("scored") or _scored(job),
        "candidates_built": len(validated_candidates(job.folder)) + len(recovered["attempts"]),
        "answered_by": recovered["answered_by"],
        "gap_to_best_found": recovered["gap_to_best_found"],
        "gap_bound": recovered["gap_bound"],
        "prediction_check": check.to_json() if check else None,
    }


def _scored(job: Job) -> int:
    """Recipes that the selector has looked at while it learnt."""
    if not job.folder.is_done(Stage.SEARCH):
        return 0
    curve = job.folder.read_json(Stage.SEARCH, "search.json")["curve"]
    return int(curve[-1]["episode"]) if curve else 0


def _artifacts(job: Job, files: list[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = []
    for row in files:
        data = job.folder.stage_path(Stage.EXPORT, row["name"]).read_bytes()
        rows.append(
            {
                "path": row["name"],
                "format": "onnx",
                "precision": row["precision"],
                "size_bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
                "verified": True,
                "primary": row["primary"],
                "in_float": row.get("in_float", []),
            }
        )
    return rows
