"""The files that a finished build offers, and under which name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from django.db import transaction

from compression.cost import device_names
from compression.types import Stage
from webapp.jobs import folders
from webapp.jobs.models import Artifact, Job, JobKind

if TYPE_CHECKING:
    from pathlib import Path

    from webapp.jobs.lease import Lease

FORMATS = {
    ".onnx": "onnx",
    ".json": "json",
    ".html": "html",
    ".zip": "zip",
    ".xz": "xz",
    ".md": "text",
}
WHOLE = ("bundle.zip", "report.html", "report.json", "SHA256SUMS")
"""What every package has besides the files that its report lists."""


def register(job: Job, lease: Lease) -> None:
    """Record the packaged files with size and hash; done twice it changes nothing.

    Raises:
        LeaseLostError: when the job belongs to another attempt; nothing is recorded then.
    """
    if job.kind != JobKind.BUILD:
        return
    # Read before the transaction: large files would hold up whoever writes meanwhile.
    found = {path.name: _facts(job, path) for path in offered(job)}
    with transaction.atomic():
        lease.beat()
        for name, facts in found.items():
            Artifact.objects.update_or_create(job=job, name=name, defaults=facts)


def offered(job: Job) -> list[Path]:
    """The package's files; the engine's links are not followed."""
    package = job.folder / Stage.PACKAGE.value
    listed = [row["path"] for row in (report(job) or {}).get("artifacts", [])]
    files = [package / name for name in (*listed, *WHOLE)]
    # Resolved, so that neither a name nor a link leads out of the package.
    home = job.folder.resolve() / Stage.PACKAGE.value
    return [path for path in files if path.is_file() and path.resolve().parent == home]


def measured_file(job: Job) -> str:
    """The model that the report's numbers are about."""
    rows = (report(job) or {}).get("artifacts", [])
    return next((str(row["path"]) for row in rows if row.get("primary")), "")


def report(job: Job) -> dict[str, Any] | None:
    """The job's report, if it has one."""
    path = job.folder / Stage.PACKAGE / "report.json"
    if not path.is_file() or path.is_symlink():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def download_name(job: Job, artifact: Artifact) -> str:
    """``model@target@latency@accuracy`` for the measured model, so that the file tells itself."""
    facts = report(job)
    if not artifact.primary or facts is None:
        return artifact.name
    stem, _, suffix = artifact.name.partition(".")
    name = job.project.name if job.project else stem
    latency_ms = (
        facts["result"]["host_latency_ms"]["p50"]
        if job.target == "this-host"
        else facts["predicted"]["latency_ms"]["result"]
    )
    accuracy = 100 * facts["result"]["accuracy"]
    target = job.target if job.target in device_names() else _plain(facts["target_title"])
    return f"{_plain(name)}@{target}@{latency_ms:.2g}ms@{accuracy:.1f}.{suffix}"


def _facts(job: Job, path: Path) -> dict[str, Any]:
    return {
        "path": str(path.relative_to(job.folder)),
        "format": FORMATS.get(path.suffix, "text"),
        "size_bytes": path.stat().st_size,
        "sha256": folders.sha256_of(path),
        "primary": path.name == measured_file(job),
    }


def _plain(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_." else "-" for c in name)
