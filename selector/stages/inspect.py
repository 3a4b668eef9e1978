"""INSPECT: what the model and the data are, whether they fit, and how good the original is."""

from __future__ import annotations

import platform
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from compression import technique
from compression.evaluation import evaluate_onnx, is_chance, onnx_logits
from compression.latency import MIN_ROUNDS, paired_latency
from compression.preprocessing_trial import try_preprocessing
from compression.types import Stage
from selector.layout import applicability, probes
from selector.plan import PLAN, Steps, plan

if TYPE_CHECKING:
    import numpy as np

    from compression.data import Dataset
    from compression.evaluation import Evaluation
    from selector.job import Job


def inspect(job: Job) -> None:
    """Leave ``inspect.json`` (last), ``preprocessing.json``, ``baseline.json`` and ``plan.json``."""
    profile = job.network.profile
    job.reporter.log(
        f"{len(profile.layers)} operations, {profile.params:,} parameters, {profile.macs:,} multiply–adds"
    )
    job.reporter.progress(1, 4)
    dataset = _prepared(job)
    job.folder.write_json(Stage.INSPECT, "preprocessing.json", dataset.preprocessing.to_json())
    job.reporter.progress(2, 4)
    baseline = evaluate_onnx(
        job.model_bytes, dataset.test, profile=profile, synthetic=dataset.synthetic
    )
    job.reporter.log(
        f"The original scores {100 * baseline.accuracy:.2f} % {baseline.words} "
        f"on {baseline.n_test:,} test examples"
    )
    facts = _baseline(job, dataset, baseline)
    job.folder.write_json(Stage.INSPECT, "baseline.json", facts)
    job.reporter.progress(3, 4)
    effort = job.effort
    steps = Steps(
        candidate=effort.candidate_steps,
        recovery=effort.recovery_steps,
        recoveries=effort.recoveries,
    )
    planned = plan(
        len(probes(job.layout)), effort.pair_probes, effort.candidates, steps, gpu=job.on_gpu
    )
    job.folder.write_json(Stage.INSPECT, PLAN, planned)
    job.folder.write_json(
        Stage.INSPECT,
        "inspect.json",
        {**describe(job), "warnings": _warnings(job, dataset, baseline)},
    )


def describe(job: Job) -> dict[str, Any]:
    """The model as plain values: its layers, and which technique can treat which of them."""
    profile = job.network.profile
    verdicts = applicability(profile, job.techniques)
    return {
        "name": profile.name,
        "params": profile.params,
        "macs": profile.macs,
        "size_bytes": len(job.model_bytes),
        "opset": profile.opset,
        "input": {"name": profile.input_name, "shape": list(profile.input_shape)},
        "outputs": list(profile.output_names),
        "output_layers": list(profile.output_layers),
        "layers": [
            {**asdict(layer), "applicable": verdicts[layer.name]} for layer in profile.layers
        ],
        "techniques": {name: _facts(name) for name in job.techniques},
    }


def _facts(name: str) -> dict[str, Any]:
    method = technique.get(name)
    return {
        "title": method.title,
        "letter": method.letter,
        "token": method.token,
        "paper": method.paper,
        "scope": method.scope.value,
        "note": method.note,
        "parameters": [asdict(parameter) for parameter in method.parameters],
    }


def _prepared(job: Job) -> Dataset:
    """The data under the preprocessing that makes the original score best on search examples."""
    dataset = job.load_dataset(job.request.preprocessing)
    if len(dataset.candidates) == 1 or not dataset.labelled:
        return dataset
    form = job.form

    def scores(x: np.ndarray) -> np.ndarray:
        return form.of_judged(onnx_logits(job.model_bytes, x))[1]

    best = try_preprocessing(dataset, scores, form=form.parts[form.judged])[0]
    job.reporter.log(
        f"Preprocessing found by trying: the original scores {100 * best.accuracy:.1f} % with it"
    )
    return dataset.with_preprocessing(best.preprocessing)


def _baseline(job: Job, dataset: Dataset, baseline: Evaluation) -> dict[str, Any]:
    x1 = dataset.calibration.take(1).x
    timing = paired_latency({"base": job.model_bytes}, x1, MIN_ROUNDS)["base"]
    return {
        **baseline.to_json(),
        "host_latency_ms": timing.to_json(),
        "n_classes": job.form.n_classes,
        "class_names": list(dataset.class_names),
        "data_sha256": dataset.sha256,
        "model_sha256": job.model_sha256,
        "host": {"machine": platform.machine(), "system": platform.system()},
        "splits": {
            "calibration": len(dataset.calibration),
            "search": len(dataset.search),
            "training": len(dataset.training),
            "test": len(dataset.test),
        },
    }


def _warnings(job: Job, dataset: Dataset, baseline: Evaluation) -> list[str]:
    warnings = [*dataset.notes, *filter(None, [job.form.note(labelled=dataset.labelled)])]
    labels = dataset.test.y
    if labels is not None and is_chance(baseline.accuracy_ci, labels):
        warnings.append(
            f"The original scores {100 * baseline.accuracy:.1f} %, which guessing would reach too. "
            "Most likely the preprocessing is not the one it was trained with, or the labels are "
            "in another order. Set layout, scale, mean and std, then study again."
        )
    return warnings
