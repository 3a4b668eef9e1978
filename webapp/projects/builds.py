"""Starting a build: the recipe is chosen here, once, and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from selector.request import PROFILE_SUFFIX
from webapp.devices.targets import is_own, profile_text, target_profile
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
    wanted = checked_settings({**project.settings, **values}, owner=project.owner)
    extra = answers.build_inputs(project, wanted, config)
    project.settings = wanted
    project.save(update_fields=["settings", "updated"])
    target = target_profile(owner=project.owner, name=wanted["target"])
    files = {"model.onnx": project.model.path}
    if project.data:
        files[f"data.{project.data.format}"] = project.data.path
    return job_create(
        project=project,
        kind=JobKind.BUILD,
        request=job_request(project, {**wanted, "target": _engine_target(wanted["target"])}),
        files=files,
        extra=extra,
        profile=profile_text(target) if is_own(target.name) else "",
    )


def _engine_target(name: str) -> str:
    """As the engine is told: a device of its catalogue, or the profile that lies beside the request."""
    return f"{name}{PROFILE_SUFFIX}" if is_own(name) else name
