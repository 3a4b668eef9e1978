"""EXPORT: write the files, load them again, compare, and keep 8-bit arithmetic only where it pays."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from safetensors.torch import load

from compression.errors import VerificationError
from compression.int8_fallback import export_int8
from compression.latency import MIN_ROUNDS, paired_latency
from compression.onnx_export import export_onnx, opset_note, verify_export
from compression.saturation import exactness_note
from compression.technique_names import title_of
from compression.types import Precision, Stage
from selector.choosing import read_recipe
from selector.trial import TrialRun

if TYPE_CHECKING:
    from compression.graph import Network
    from compression.latency import Timing
    from selector.job import Job

PAYS = 1.03
"""8-bit arithmetic is kept where it is measurably faster: timings repeat to 2 %."""

NAMES = {**dict.fromkeys(Precision, "model.onnx"), Precision.INT8: "model.int8.onnx"}


def export(job: Job) -> None:
    """Leave the files and ``export.json``: which there are and which one is the result."""
    network = recovered_network(job)
    trials = TrialRun(job)
    files: dict[Precision, bytes] = {}
    differences: dict[Precision, float] = {}
    fallbacks: dict[Precision, dict[str, Any]] = {}
    for precision in _precisions(network.precision):
        variant = replace(network, precision=precision)
        try:
            data, fallbacks[precision] = _exported(job, variant, trials)
            differences[precision] = verify_export(data, variant, trials.x[:64])
        except VerificationError as error:
            job.reporter.log(f"{precision.value} is withheld: {error}", "warning")
            continue
        files[precision] = data
        job.reporter.progress(len(files), 4)
    timings = _timings(job, files)
    result = _decided(job, network.precision, timings)
    offered = {p: data for p, data in files.items() if p in (result, _companion(result, files))}
    for precision, data in offered.items():
        job.folder.write(Stage.EXPORT, NAMES[precision], data)
    rows = [
        _row(
            precision,
            data,
            differences[precision],
            timings[precision],
            trials,
            primary=precision is result,
        )
        | fallbacks[precision]
        for precision, data in offered.items()
    ]
    job.folder.write_json(
        Stage.EXPORT, "export.json", {"files": rows, "precision": result.value}
    )


def _exported(job: Job, network: Network, trials: TrialRun) -> tuple[bytes, dict[str, Any]]:
    """A file, which layers compute in float though the network computes in 8 bits, and what to say of it."""
    if network.precision is not Precision.INT8:
        data = export_onnx(network)
        return data, {"notes": _said(opset_note(data, network))}
    found = export_int8(network, job.calibration, trials.x)
    if found.sentence:
        job.reporter.log(found.sentence, "info" if found.holds else "warning")
    said = _said(found.sentence, exactness_note(), opset_note(found.data, network))
    return found.data, {"in_float": list(found.in_float), "notes": said}


def _said(*sentences: str) -> list[str]:
    return [sentence for sentence in sentences if sentence]


def recovered_network(job: Job) -> Network:
    """The network that RECOVER left, with its weights."""
    job.folder.require(Stage.RECOVER)
    recipe = read_recipe(job.folder.stage_path(Stage.RECOVER, "recover.json"))
    network = job.workbench.build(recipe).network
    weights = load(job.folder.stage_path(Stage.RECOVER, "recovered.safetensors").read_bytes())
    module = network.copied_module()
    module.load_state_dict(weights)
    return replace(network, module=module.eval())


def _precisions(wanted: Precision) -> tuple[Precision, ...]:
    """What to export: 8-bit arithmetic always with the float file that it must beat."""
    if wanted is Precision.INT8:
        return (Precision.INT8_WEIGHTS, Precision.INT8)
    return (wanted,)


def _timings(job: Job, files: dict[Precision, bytes]) -> dict[Precision, Timing]:
    if not files:
        names = ", ".join(map(title_of, ("int8", "half_precision", "weight_clustering")))
        raise VerificationError(
            "No exported file computes what the network computes, so none is offered. "
            f"Exclude {names}, or build another recipe."
        )
    named = {"base": job.model_bytes, **{p.value: data for p, data in files.items()}}
    timed = paired_latency(named, job.calibration[:1], MIN_ROUNDS)
    return {precision: timed[precision.value] for precision in files}


def _decided(job: Job, wanted: Precision, timings: dict[Precision, Timing]) -> Precision:
    """The precision of the result: what was asked for, unless measuring speaks against it."""
    if wanted not in timings:
        return next(iter(timings))
    if wanted is not Precision.INT8 or Precision.INT8_WEIGHTS not in timings:
        return wanted
    gain = timings[wanted].ratio / timings[Precision.INT8_WEIGHTS].ratio
    if gain >= PAYS or not job.target.measured_here:
        return wanted
    job.reporter.log(
        f"8-bit arithmetic runs {gain:.2f}× as fast as float here; only the weights stay in 8 bits."
    )
    return Precision.INT8_WEIGHTS


def _companion(result: Precision, files: dict[Precision, bytes]) -> Precision | None:
    """The float file goes along with an 8-bit result: every runtime can read it."""
    return Precision.INT8_WEIGHTS if result is Precision.INT8 and len(files) > 1 else None


def _row(
    precision: Precision,
    data: bytes,
    difference: float,
    timing: Timing,
    trials: TrialRun,
    *,
    primary: bool,
) -> dict[str, Any]:
    return {
        "name": NAMES[precision],
        "precision": precision.value,
        "size_bytes": len(data),
        "largest_difference": difference,
        "search_drop_points": trials.loss(data).points,
        "host_ratio": timing.ratio,
        "primary": primary,
    }
