"""The networks of a project that a browser may time: the original, builds, and candidates of the study."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.urls import reverse

from webapp.devices.browsers import measure_page_json
from webapp.devices.networks import candidate_name, candidate_path, finalist_rows
from webapp.jobs.knowledge import surrogate
from webapp.jobs.models import DELIVERED, Artifact
from webapp.jobs.queries import target_title

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from webapp.jobs.models import Job
    from webapp.projects.models import Project

LARGEST_BYTES = 256 * 1000**2
"""A browser holds a network several times over; what is larger is not offered."""

MOST_CANDIDATES = 8
"""A browser has 45 seconds for the kit and all that is chosen."""


class Network(NamedTuple):
    """A file to time: named as ``webapp.devices.networks`` knows it."""

    name: str
    title: str
    path: Path
    size_bytes: int


def networks(project: Project) -> list[Network]:
    """The original first, then the builds, newest first, then the best candidates that the study built.

    None before the study tells what they compute.
    """
    job = project.study.job
    if job is None or surrogate(job) is None:
        return []
    model = project.model
    original = Network(f"model:{job.id}", "Original", model.path, model.size_bytes)
    files = Artifact.objects.filter(job__project=project, primary=True, format="onnx")
    files = (
        files.filter(job__state__in=DELIVERED).select_related("job").order_by("-job__created")
    )
    found = [original, *map(_built, files), *_candidates(job)]
    return [network for network in found if network.size_bytes <= LARGEST_BYTES]


def project_measure_json(project: Project) -> dict[str, Any]:
    """What the page needs to time a project's networks along with the kit."""
    url = reverse("measure-project", args=[project.id])
    return {
        **measure_page_json(),
        "runs_url": reverse("api-project-browser-runs", args=[project.id]),
        "project": {"name": project.name, "url": reverse("studio", args=[project.id])},
        "networks": [
            {**network_json(network), "url": f"{url}networks/{network.name}"}
            for network in networks(project)
        ],
    }


def network_json(network: Network) -> dict[str, Any]:
    return {key: getattr(network, key) for key in ("name", "title", "size_bytes")}


def _built(file: Artifact) -> Network:
    title = f"Build for {target_title(file.job)}, {file.job.created:%-d %b %H:%M}"
    return Network(f"artifact:{file.pk}", title, file.job.folder / file.path, file.size_bytes)


def _candidates(job: Job) -> Iterator[Network]:
    """Those whose files were kept, the best first."""
    for row in finalist_rows(job, MOST_CANDIDATES):
        path = candidate_path(job, row["id"])
        if path:
            name, title = candidate_name(job, row), _candidate_title(row)
            yield Network(name, title, path, path.stat().st_size)


def _candidate_title(row: dict[str, Any]) -> str:
    points = f"{-row['drop_points']:+.1f}".replace("-", "\N{MINUS SIGN}")
    return (
        f"Candidate {row['id']}: {row['host_ratio']:.1f} times as fast as the original where it was built, "
        f"{points} points"
    )
