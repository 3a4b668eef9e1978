"""The files that a finished build offers, and under which name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from compression.types import Stage
from webapp.jobs import folders
from webapp.jobs.models import Artifact, Job, JobKind

if TYPE_CHECKING:
    from pathlib import Path

FORMATS = {".onnx": "onnx", ".json": "json", ".html": "html", ".zip": "zip", ".md": "text"}
NOT_OFFERED = frozenset({"package.json", "seconds.json"})
PRIMARY = "model.onnx"


def register(job: Job) -> None:
    """Record the packaged files with size and hash; done twice it changes nothing."""
    if job.kind != JobKind.BUILD:
        return
    for path in offered(job):
        Artifact.objects.update_or_create(
            job=job,
            name=path.name,
            defaults={
                "path": str(path.relative_to(job.folder)),
                "format": FORMATS.get(path.suffix, "text"),
                "size_bytes": path.stat().st_size,
                "sha256": folders.sha256_of(path),
                "primary": path.name == PRIMARY,
            },
        )


def offered(job: Job) -> list[Path]:
    """Regular files of the package; the engine's links are not followed."""
    package = job.folder / Stage.PACKAGE.value
    files = sorted(package.iterdir()) if package.is_dir() else []
    return [
        p for p in files if p.is_file() and not p.is_symlink() and p.name not in NOT_OFFERED
    ]


def report(job: Job) -> dict[str, Any] | None:
    """The job's report, if it has one."""
    path = job.folder / "report.json"
    if not path.is_file() or path.is_symlink():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def download_name(job: Job, artifact: Artifact) -> str:
    """``model@target@latency@accuracy`` before the suffix of models, so that files tell themselves."""
    facts = report(job)
    if artifact.format != "onnx" or facts is None:
        return artifact.name
    stem, _, suffix = artifact.name.partition(".")
    name = job.project.name if job.project else stem
    latency_ms = facts["predicted"]["latency_ms"]["result"]
    accuracy = 100 * facts["result"]["accuracy"]
    return f"{_plain(name)}@{job.target}@{latency_ms:.2g}ms@{accuracy:.1f}.{suffix}"


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
