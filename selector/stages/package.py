"""PACKAGE: the files a person takes home, with a report and checksums."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from compression.packaging import write_bundle
from compression.types import BUILD_STAGES, STUDY_STAGES, Stage
from selector.report import check_report

if TYPE_CHECKING:
    from selector.job import Job


def package(job: Job) -> None:
    """Leave the bundle, ``report.json`` in the job folder itself, and ``package.json``."""
    job.folder.require(Stage.MEASURE)
    report = job.folder.read_json(Stage.MEASURE, "measure.json")
    report["stages"] = _stages(job)
    models = {
        row["path"]: job.folder.stage_path(Stage.EXPORT, row["path"]).read_bytes()
        for row in report["artifacts"]
    }
    final = write_bundle(
        job.folder.stage_path(Stage.PACKAGE, "report.json").parent,
        report,
        models,
        input_name=job.network.profile.input_name,
        input_shape=job.network.profile.input_shape,
    )
    check_report(final)
    job.folder.write_root("report.json", final)
    job.folder.write_json(Stage.PACKAGE, "package.json", {"status": final["status"]})


def _stages(job: Job) -> list[dict[str, Any]]:
    """How long each finished stage took."""
    finished = [stage for stage in (*STUDY_STAGES, *BUILD_STAGES) if job.folder.is_done(stage)]
    return [
        {"stage": stage.value, "seconds": job.folder.read_json(stage, "seconds.json")}
        for stage in finished
        if job.folder.stage_path(stage, "seconds.json").is_file()
    ]
