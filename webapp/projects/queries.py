"""Projects as the pages see them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from django.http import Http404
from django.urls import reverse

from compression.cost import load_device
from webapp.devices.targets import target_profile
from webapp.jobs.artifacts import report
from webapp.jobs.knowledge import has_policy
from webapp.jobs.models import DELIVERED, STOPPED, Job, JobKind, JobState
from webapp.jobs.queries import stages_json, target_title
from webapp.jobs.selectors import selector_json
from webapp.projects.models import DEFAULT_TARGET, Project, Upload
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from compression.cost import DeviceProfile

AnyUpload = TypeVar("AnyUpload", bound=Upload)


def upload_get(kind: type[AnyUpload], *, owner: User, upload_id: object) -> AnyUpload:
    """The owner's upload; a stranger gets 404.

    Raises:
        RequestRefusedError: when that is no name of an upload at all.
    """
    try:
        key = UUID(str(upload_id))
    except ValueError as error:
        raise RequestRefusedError(f"{upload_id!r} names no upload.") from error
    upload = kind._default_manager.filter(pk=key, owner=owner).first()
    if upload is None:
        raise Http404("There is no such upload. Send the file again.")
    return upload


def upload_json(upload: Upload) -> dict[str, Any]:
    return {
        "id": str(upload.id),
        "kind": upload.project_field,
        "name": upload.name,
        "size_bytes": upload.size_bytes,
        "sha256": upload.sha256,
    }


def project_get(*, owner: User, project_id: UUID) -> Project:
    """The owner's project; a stranger gets 404."""
    projects = Project.objects.select_related("owner", "study__job", "model", "data")
    project = projects.filter(pk=project_id, owner=owner).first()
    if project is None:
        raise Http404("There is no such project.")
    return project


def project_rows(*, owner: User) -> list[dict[str, Any]]:
    """The owner's projects for the table, newest first."""
    related = ("owner", "study__job", "model", "data")
    projects = Project.objects.filter(owner=owner).select_related(*related)
    return [project_row(project) for project in projects]


def project_row(project: Project) -> dict[str, Any]:
    """One line of the projects table."""
    job = _current_job(project)
    target = chosen_target(project)
    return {
        "id": str(project.id),
        "name": project.name,
        "data_name": project.data.name if project.data else None,
        "url": reverse("studio", args=[project.id]),
        "model_url": reverse("model", args=[project.id]),
        "target": {"name": target.name, "title": target.title},
        "updated": project.updated.isoformat(timespec="seconds"),
        "size_bytes": project.model.size_bytes
        + (project.data.size_bytes if project.data else 0),
        **_progress(job),
        "job": {"id": str(job.id), "url": reverse("job", args=[job.id])} if job else None,
        **_last_result(project),
    }


def chosen_target(project: Project) -> DeviceProfile:
    """The device that the project is for; this computer where that device is no more."""
    try:
        return target_profile(owner=project.owner, name=project.settings["target"])
    except Http404:
        return load_device(DEFAULT_TARGET)


def build_rows(project: Project) -> list[dict[str, Any]]:
    """The project's builds for the studio's list, newest first."""
    builds = Job.objects.filter(project=project, kind=JobKind.BUILD).order_by("-created")
    return [
        {
            "id": str(job.id),
            "url": job_url(job),
            "state": job.state,
            "stage": job.stage,
            "target": target_title(job),
            "selector": selector_json(job.selector),
            "created": job.created.isoformat(timespec="seconds"),
            "best": _reached(job) if job.state in DELIVERED else None,
        }
        for job in builds
    ]


def job_url(job: Job) -> str:
    """The page to look at: the report, once there is one."""
    return reverse("job-result" if job.state in DELIVERED else "job", args=[job.id])


def study_json(project: Project) -> dict[str, Any]:
    """State of the project's study; it is ready as soon as the policy answers."""
    job = project.study.job
    if job is None:
        return {
            "job": None,
            "state": "failed",
            "stage": "",
            "stages": [],
            "message": "",
            "reference": "",
        }
    return {
        "job": str(job.id),
        "state": study_state(job),
        "stage": job.stage,
        "stages": stages_json(job),
        "message": job.message,
        "reference": job.reference,
        "finished": job.state == JobState.DONE,
        "stopped": job.state if job.state in STOPPED else "",
    }


def study_state(job: Job) -> str:
    """``queued``, ``running``, ``ready``, ``failed`` or ``cancelled``."""
    if job.state == JobState.DONE or (job.state != JobState.FAILED and has_policy(job)):
        return "ready"
    return str(job.state)


def _current_job(project: Project) -> Job | None:
    """The last build, else the study."""
    builds = Job.objects.filter(project=project, kind=JobKind.BUILD)
    return builds.order_by("-created").first() or project.study.job


def _progress(job: Job | None) -> dict[str, Any]:
    """What the project is at: a finished study means that it is ready to build."""
    if job is None:
        return {"state": "failed", "stage": "", "done": None, "message": ""}
    stages = stages_json(job)
    is_study_done = job.kind == JobKind.STUDY and job.state == JobState.DONE
    return {
        "state": "ready" if is_study_done else job.state,
        "stage": job.stage,
        "done": sum(stage["state"] == "done" for stage in stages) / len(stages),
        "message": job.message,
    }


def _last_result(project: Project) -> dict[str, Any]:
    """What the newest finished build reached, measured."""
    builds = Job.objects.filter(project=project, kind=JobKind.BUILD, state__in=DELIVERED)
    job = builds.order_by("-finished").first()
    best = _reached(job) if job else None
    if job is None or best is None:
        return {"best": None, "result_url": None}
    return {"best": best, "result_url": reverse("job-result", args=[job.id])}


def _reached(job: Job) -> dict[str, Any] | None:
    facts = report(job)
    if facts is None:
        return None
    return {
        "latency_ratio": facts["ratios"]["host_latency"],
        "size_ratio": facts["ratios"]["size"],
        "accuracy_points": -facts["accuracy_drop_points"],
        "label": "measured",
        "measured": True,
    }
