"""Starting a build: the recipe is chosen here, once, and written down."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import transaction

from selector.request import PROFILE_SUFFIX
from webapp.agents.services import validation_start
from webapp.devices.targets import is_own, own_device_find, profile_text, target_profile
from webapp.jobs.models import Job, JobKind
from webapp.jobs.services import job_create
from webapp.projects import answers
from webapp.projects.quotas import job_quota_check
from webapp.projects.services import checked_settings, job_files, job_request
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.devices.models import OwnDevice
    from webapp.projects.models import Project

NOT_YOURS = "Only a device of your own, connected by its agent, can measure a build."


@transaction.atomic
def build_start(*, project: Project, values: dict[str, Any]) -> Job:
    """Build the recommended recipe, or the one that a person picked (``config``).

    With ``measure_on_device`` the device that it is built for measures it once it is there.
    """
    config = values.pop("config", None)
    measures = values.pop("measure_on_device", False) is True
    job_quota_check(owner=project.owner)
    wanted = checked_settings({**project.settings, **values}, owner=project.owner)
    extra = answers.build_inputs(project, wanted, config)
    project.settings = wanted
    project.save(update_fields=["settings", "updated"])
    target = target_profile(owner=project.owner, name=wanted["target"])
    job = job_create(
        project=project,
        kind=JobKind.BUILD,
        request=job_request(project, {**wanted, "target": _engine_target(wanted["target"])}),
        files=job_files(project),
        extra=extra,
        profile=profile_text(target) if is_own(target.name) else "",
    )
    if measures:
        validation_start(device=_connected(project, target.name), job=job)
    return job


def _connected(project: Project, name: str) -> OwnDevice:
    device = own_device_find(owner=project.owner, name=name)
    if device is None or device.owner_id != project.owner_id:
        raise RequestRefusedError(NOT_YOURS, status=409)
    return device


def _engine_target(name: str) -> str:
    """As the engine is told: a device of its catalogue, or the profile that lies beside the request."""
    return f"{name}{PROFILE_SUFFIX}" if is_own(name) else name
