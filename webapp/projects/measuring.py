"""The networks of a project that a browser may time: the original, and what was built of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from django.urls import reverse

from webapp.devices.browsers import measure_page_json
from webapp.jobs.knowledge import surrogate
from webapp.jobs.models import DELIVERED, Artifact
from webapp.jobs.queries import target_title

if TYPE_CHECKING:
    from pathlib import Path

    from webapp.projects.models import Project

LARGEST_BYTES = 256 * 1000**2
"""A browser holds a network several times over; what is larger is not offered."""


class Network(NamedTuple):
    """A file to time: named as ``webapp.devices.networks`` knows it."""

    name: str
    title: str
    path: Path
    size_bytes: int


def networks(project: Project) -> list[Network]:
    """The original first, then the builds, newest first; none before the study tells what they compute."""
    job = project.study.job
    if job is None or surrogate(job) is None:
        return []
    model = project.model
    original = Network(f"model:{job.id}", "Original", model.path, model.size_bytes)
    files = Artifact.objects.filter(job__project=project, primary=True, format="onnx")
    files = (
        files.filter(job__state__in=DELIVERED).select_related("job").order_by("-job__created")
    )
    found = [original, *map(_built, files)]
    return [network for network in found if network.size_bytes <= LARGEST_BYTES]


def project_measure_json(project: Project) -> dict[str, Any]:
    """What the page needs to time a project's networks along with the kit."""
    url = reverse("measure-project", args=[project.id])
    return {
        **measure_page_json(),
        "runs_url": reverse("api-project-browser-runs", args=[project.id]),
        "project": {"name": project.name, "url": reverse("studio", args=[project.id])},
        "networks": [
            {
                "name": network.name,
                "title": network.title,
                "size_bytes": network.size_bytes,
                "url": f"{url}networks/{network.name}",
            }
            for network in networks(project)
        ],
    }


def _built(file: Artifact) -> Network:
    title = f"Build for {target_title(file.job)}, {file.job.created:%-d %b %H:%M}"
    return Network(f"artifact:{file.pk}", title, file.job.folder / file.path, file.size_bytes)
