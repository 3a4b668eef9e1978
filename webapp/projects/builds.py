"""Starting a build: the recipe is chosen here, once, and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from webapp.jobs.models import Job, JobKind
from webapp.jobs.services import job_create
from webapp.projects import answers
from webapp.projects.services import checked_settings, job_request

if TYPE_CHECKING:
    from webapp.projects.models import Project


@transaction.atomic
def build_start(*, project: Project, values: dict[str, Any]) -> Job:
    """Build the recommended recipe, or the one that a person picked (``config``)."""
    config = values.pop("config", None)
    wanted = checked_settings({**project.settings, **values})
    extra = answers.build_inputs(project, wanted, config)
    project.settings = wanted
    project.save(update_fields=["settings", "updated"])
    files = {"model.onnx": project.model.path}
    if project.data:
        files[f"data.{project.data.format}"] = project.data.path
    return job_create(
        project=project,
        kind=JobKind.BUILD,
        request=job_request(project, wanted),
        files=files,
        extra=extra,
    )
