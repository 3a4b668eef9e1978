"""PACKAGE: the files a person takes home, with a report and checksums."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compression.errors import CompressionError, FormatError
from compression.evaluation import onnx_logits
from compression.other_formats import converted, installed_formats
from compression.packaging import write_bundle
from compression.technique_names import title_of
from compression.types import BUILD_STAGES, STUDY_STAGES, Precision, Stage
from compression.usage import Usage
from selector.report import check_report

if TYPE_CHECKING:
    from compression.other_formats import Format, FormatFiles
    from selector.job import Job

COMPARED_SAMPLES = 16
"""Calibration examples on which a file of another format must answer as the ONNX file does."""


def package(job: Job) -> None:
    """Leave the bundle with ``report.json``, and ``package.json``."""
    job.folder.require(Stage.MEASURE)
    report = job.folder.read_json(Stage.MEASURE, "measure.json")
    report["stages"] = _stages(job)
    models = {
        row["path"]: job.folder.stage_path(Stage.EXPORT, row["path"]).read_bytes()
        for row in report["artifacts"]
    }
    models |= _other_formats(job, report, models)
    final = write_bundle(
        job.folder.stage_path(Stage.PACKAGE, "report.json").parent,
        report,
        models,
        usage=Usage.of(job.network.profile, job.dataset.preprocessing, job.dataset.class_names),
    )
    check_report(final)
    job.folder.write_json(Stage.PACKAGE, "package.json", {"status": final["status"]})


def _other_formats(
    job: Job, report: dict[str, Any], models: dict[str, bytes]
) -> dict[str, bytes]:
    """Files for the runtimes whose converters are installed; rows and notes go to the report."""
    files: dict[str, bytes] = {}
    formats = installed_formats()
    for done, form in enumerate(formats):
        job.reporter.progress(done, len(formats) + 1)
        try:
            source = _float_file(report)
            made = _converted(job, form, models, source)
        except CompressionError as error:
            notes = report.setdefault("notes", [])
            if str(error) not in notes:
                notes.append(str(error))
            job.reporter.log(str(error), "warning")
            continue
        files |= made.files
        report["artifacts"] += _rows(made, source)
    return files


def _float_file(report: dict[str, Any]) -> str:
    """The file to convert: the measured one, or its companion where that computes in 8 bits.

    Raises:
        FormatError: when every file computes in 8 bits.
    """
    rows = sorted(report["artifacts"], key=lambda row: not row.get("primary"))
    for row in rows:
        if row["format"] == "onnx" and row.get("precision") != Precision.INT8:
            return str(row["path"])
    raise FormatError(
        "Only the ONNX file is offered: it computes in 8 bits, and the converters to other "
        f"formats take float. Exclude {title_of('int8')} to get them."
    )


def _converted(job: Job, form: Format, models: dict[str, bytes], source: str) -> FormatFiles:
    inputs = job.calibration[:COMPARED_SAMPLES]
    expected = onnx_logits(models[source], inputs)
    return converted(form, models[source], inputs, expected, stem=Path(source).stem)


def _rows(made: FormatFiles, source: str) -> list[dict[str, Any]]:
    return [
        {
            "path": name,
            "format": made.format.name,
            "size_bytes": len(content),
            "sha256": hashlib.sha256(content).hexdigest(),
            "verified": True,
            "made_from": source,
            "runtime": made.runtime,
            "difference": made.difference,
            "agreement": made.agreement,
        }
        for name, content in made.files.items()
    ]


def _stages(job: Job) -> list[dict[str, Any]]:
    """How long each finished stage took."""
    finished = [stage for stage in (*STUDY_STAGES, *BUILD_STAGES) if job.folder.is_done(stage)]
    return [
        {"stage": stage.value, "seconds": job.folder.read_json(stage, "seconds.json")}
        for stage in finished
        if job.folder.stage_path(stage, "seconds.json").is_file()
    ]
