"""Starting a build: the recipe is chosen here, once, and written down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db import transaction

from selector.jobfolder import CHOSEN_RECIPE
from selector.request import PROFILE_SUFFIX, USUAL
from webapp.agents.services import validation_start
from webapp.devices.targets import is_own, own_device_find, profile_text, target_profile
from webapp.jobs.models import DELIVERED, UNFINISHED, Job, JobKind
from webapp.jobs.services import job_create
from webapp.projects import answers
from webapp.projects.keys import build_key
from webapp.projects.quotas import job_quota_check
from webapp.projects.services import (
    checked_selector,
    checked_settings,
    job_files,
    job_request,
    study_hold,
)
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.devices.models import OwnDevice
    from webapp.projects.models import Project

NOT_YOURS = "Only a device of your own, connected by its agent, can measure a build."


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """The build that was asked for; the note says so where it was there already."""

    job: Job
    note: str = ""


@transaction.atomic
def build_start(*, project: Project, values: dict[str, Any]) -> Asked:
    """Build the recommended recipe, the one that a person picked (``config``), or what ``selector`` finds.

    An equal build that is under way or has a result is not made twice, but with ``again``. With
    ``measure_on_device`` the device that it is built for measures it once it is there.
    """
    config = values.pop("config", None)
    measures = values.pop("measure_on_device", False) is True
    again = values.pop("again", False) is True
    chooser = checked_selector(values.pop("selector", USUAL), values.pop("classic", {}))
    wanted = checked_settings({**project.settings, **values}, owner=project.owner)
    extra = answers.build_inputs(project, wanted, config, chooser)
    target = target_profile(owner=project.owner, name=wanted["target"])
    profile = profile_text(target) if is_own(target.name) else ""
    asked_for = {**wanted, "target": _engine_target(target.name)}
    request = job_request(project, asked_for, chooser)
    key = build_key(request, extra.get(CHOSEN_RECIPE), profile)
    study_hold(project.study)  # of two clicks at once the second finds the build of the first
    asked = None if again else _equal_build(project, key)
    if asked is None:
        job_quota_check(owner=project.owner)
        job = job_create(
            project=project,
            kind=JobKind.BUILD,
            request=request,
            files=job_files(project),
            extra=extra,
            profile=profile,
            key=key,
        )
        asked = Asked(job=job)
    project.settings = wanted
    project.save(update_fields=["settings", "updated"])
    if measures:
        validation_start(device=_connected(project, target.name), job=asked.job)
    return asked


def _equal_build(project: Project, key: str) -> Asked | None:
    """The newest one of the project's study; one that was cut short may be less than what is asked for."""
    equal = Job.objects.filter(study=project.study.job, kind=JobKind.BUILD, key=key)
    whole = equal.filter(state__in=(*UNFINISHED, *DELIVERED), finish_requested=False)
    job = whole.select_related("project").order_by("-created").first()
    return Asked(job=job, note=_note(job, project)) if job else None


def _note(job: Job, project: Project) -> str:
    when = "is being built already" if job.state in UNFINISHED else "was built before"
    home = job.project
    where = f" in the project “{home.name}”" if home and home != project else ""
    return (
        f"Just this {when}{where}: same model, data, device, goals, limits, locks and selector."
    )


def _connected(project: Project, name: str) -> OwnDevice:
    device = own_device_find(owner=project.owner, name=name)
    if device is None or device.owner_id != project.owner_id:
        raise RequestRefusedError(NOT_YOURS, status=409)
    return device


def _engine_target(name: str) -> str:
    """As the engine is told: a device of its catalogue, or the profile that lies beside the request."""
    return f"{name}{PROFILE_SUFFIX}" if is_own(name) else name
