"""What may be timed on a device: graphs of the kit, and networks of the owner's projects.

What a network computes is looked up in what its study recorded; a client only names it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

import numpy as np

from compression.cost import latency_coefficients, precision_of
from compression.types import Precision, Stage
from selector.jobfolder import CANDIDATE_FILE, JobFolder
from webapp.devices.kit import kit_graphs
from webapp.jobs import knowledge
from webapp.jobs.artifacts import report
from webapp.jobs.models import Artifact, Job, JobKind
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User

    from compression.cost import DeviceProfile
    from selector.surrogate import Surrogate
    from selector.tables import Array

MODEL = re.compile(r"model:([0-9a-f-]{32,36})")
"""The original of a study, by the study's job."""

CANDIDATE = re.compile(r"candidate:([0-9a-f-]{32,36}):(\d{1,4})")
"""What a study built on its way, by the study's job and the candidate's number."""

MOST_CHOICES = 50

ARTIFACT = re.compile(r"artifact:(\d{1,15})")
"""A file of a build."""


class Timed(NamedTuple):
    """Something that can be timed: its name for people, its file, and its nine features."""

    title: str
    path: Path
    features: Array


def timed(*, owner: User, name: str, prior: DeviceProfile) -> Timed:
    """A graph of the kit (``conv3x3-64``), or a network of the owner's.

    An original is ``model:JOB``, a candidate ``candidate:JOB:NUMBER``, a build's file ``artifact:ID``.

    Where the device computes in 8 bits all that is timed there does, also what came as float. Elsewhere
    features of a file in 8-bit arithmetic are those of a float network that takes as long on ``prior``.

    Raises:
        RequestRefusedError: when the owner has nothing of that name, or its study cannot tell what it computes.
    """
    if graph := kit_graphs().get(name):
        return Timed(name, graph.path, np.array(graph.features))
    if found := MODEL.fullmatch(name):
        return _original(owner, found[1])
    if found := CANDIDATE.fullmatch(name):
        return _candidate(owner, found[1], int(found[2]), prior)
    if found := ARTIFACT.fullmatch(name):
        return _artifact(owner, int(found[1]), prior)
    raise _unknown(name)


def is_network(name: str) -> bool:
    """Whether it has the form of a network's name."""
    return any(form.fullmatch(name) for form in (MODEL, CANDIDATE, ARTIFACT))


def finalists(job: Job, most: int) -> list[str]:
    """Names of the best candidates that a study built and kept, the best first."""
    return [candidate_name(job, row) for row in finalist_rows(job, most)]


def finalist_rows(job: Job, most: int) -> list[dict[str, Any]]:
    """What VALIDATE found of the candidates that a study built and kept, those that fewest others beat first.

    Beaten is who loses more points and is slower on the machine that built them.
    """
    rows = [row for row in knowledge.validated(job) if row.get("kept")]

    def beaten_by(row: dict[str, Any]) -> int:
        return sum(
            other["drop_points"] < row["drop_points"]
            and other["host_ratio"] > row["host_ratio"]
            for other in rows
        )

    return sorted(rows, key=lambda row: (beaten_by(row), row["id"]))[:most]


def candidate_name(job: Job, row: dict[str, Any]) -> str:
    """As ``timed`` knows it."""
    return f"candidate:{job.id}:{row['id']}"


def candidate_path(job: Job, number: int) -> Path | None:
    """The file of a candidate that a study built; nothing where it kept none."""
    path = job.folder / Stage.VALIDATE.value / CANDIDATE_FILE.format(number)
    # A link that the engine left may lead to files of others.
    return None if path.is_symlink() or not path.is_file() else path


def network_choices(owner: User) -> list[dict[str, str]]:
    """Name and title of the owner's networks that can be timed, newest first."""
    studies = Job.objects.filter(owner=owner, kind=JobKind.STUDY, project__isnull=False)
    originals = [
        {"name": f"model:{job.id}", "title": f"{_project(job)}, original"}
        for job in studies.select_related("project").order_by("-created")[:MOST_CHOICES]
        if knowledge.is_done(job, Stage.PROBE)
    ]
    files = Artifact.objects.filter(job__owner=owner, format="onnx")
    files = files.select_related("job__project").order_by("-job__created", "-primary", "name")
    built = [
        {"name": f"artifact:{file.pk}", "title": _title(file)} for file in files[:MOST_CHOICES]
    ]
    return [*originals, *built]


def _original(owner: User, key: str) -> Timed:
    job, surrogate = _study(owner, key, f"model:{key}")
    features = surrogate.network_features(surrogate.space.untouched()[0])
    return Timed(f"{_project(job)}, original", job.folder / "model.onnx", features)


def _candidate(owner: User, key: str, number: int, prior: DeviceProfile) -> Timed:
    name = f"candidate:{key}:{number}"
    job, surrogate = _study(owner, key, name)
    rows = [row for row in knowledge.validated(job) if row["id"] == number and row.get("kept")]
    path = candidate_path(job, number)
    if not rows or path is None:
        raise _unknown(name)
    features = surrogate.network_features(np.array(rows[0]["config"], dtype=np.int64))
    title = f"{_project(job)}, candidate {number}"
    return Timed(title, path, _as_timed(features, rows[0]["precision"], prior))


def _study(owner: User, key: str, name: str) -> tuple[Job, Surrogate]:
    """The owner's study and what it predicts.

    Raises:
        RequestRefusedError: when there is none, or it cannot tell yet.
    """
    try:
        job_id = UUID(key)
    except ValueError as error:
        raise _unknown(name) from error
    jobs = Job.objects.select_related("project").filter(owner=owner, kind=JobKind.STUDY)
    job = jobs.filter(pk=job_id).first()
    surrogate = knowledge.surrogate(job) if job else None
    if job is None or surrogate is None:
        raise _unknown(name)
    return job, surrogate


def _artifact(owner: User, number: int, prior: DeviceProfile) -> Timed:
    files = Artifact.objects.select_related("job__project").filter(format="onnx")
    file = files.filter(pk=number, job__owner=owner).first()
    # A build's folder holds what its study found, also when the study is gone.
    surrogate = knowledge.surrogate(file.job) if file else None
    config = _config(file.job) if file else None
    if file is None or surrogate is None or config is None:
        raise _unknown(f"artifact:{number}")
    features = surrogate.network_features(np.array(config, dtype=np.int64))
    features = _as_timed(features, _precision(file), prior)
    return Timed(_title(file), file.job.folder / file.path, features)


def _as_timed(features: Array, precision: str, prior: DeviceProfile) -> Array:
    """Features of a network in the device's own arithmetic that takes as long as the file of that precision."""
    if precision != Precision.INT8 or precision_of(prior) is Precision.INT8:
        return features
    eight, full = (latency_coefficients(prior, p) for p in (Precision.INT8, Precision.FP32))
    return np.asarray(features * eight / full)


def _config(job: Job) -> list[int] | None:
    """The recipe that a build made real; nothing where it does not say."""
    if not knowledge.is_done(job, Stage.RECOVER):
        return None
    found: list[int] | None = (
        JobFolder(job.folder).read_json(Stage.RECOVER, "recover.json").get("config")
    )
    return found


def _precision(file: Artifact) -> str:
    rows = (report(file.job) or {}).get("artifacts", [])
    return next((row.get("precision", "") for row in rows if row["path"] == file.name), "")


def _title(file: Artifact) -> str:
    return f"{_project(file.job)}, {file.name} of build {file.job.id.hex[:6]}"


def _project(job: Job) -> str:
    return job.project.name if job.project else "A deleted project"


def _unknown(name: str) -> RequestRefusedError:
    return RequestRefusedError(
        f"There is no graph or network {name[:60]!r} of yours. The kit lists its graphs; networks are "
        "named model:ID, candidate:ID:NUMBER and artifact:ID, as on the page of the device.",
        code="unknown_network",
        status=422,
    )
