"""What people do with projects."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, TypeVar

from django.conf import settings
from django.db import transaction

from compression.preprocessing import Preprocessing
from selector.classic_settings import changed_settings, parse_settings
from selector.request import (
    PUBLISHED,
    USUAL,
    parse_budgets,
    parse_goals,
    parse_locks,
    parse_selector,
)
from webapp.devices.targets import target_profile
from webapp.jobs.models import Job, JobKind, JobState
from webapp.jobs.services import job_create, job_delete
from webapp.projects import formats, storage
from webapp.projects.keys import study_key
from webapp.projects.models import (
    DEFAULT_TARGET,
    Dataset,
    Project,
    Study,
    Upload,
    UploadedModel,
    default_settings,
)
from webapp.projects.quotas import job_quota_check, upload_quota_reserve
from webapp.responses import GONE, RequestRefusedError

if TYPE_CHECKING:
    from pathlib import Path

    from django.contrib.auth.models import User

    from webapp.reservations import Reservation

AnyUpload = TypeVar("AnyUpload", bound=Upload)
NAME_LENGTH = 200


def upload_store(
    kind: type[AnyUpload],
    *,
    owner: User,
    name: str,
    stream: storage.Readable,
    length: int | None,
    reserved: Reservation | None = None,
) -> AnyUpload:
    """Keep an upload whose content is what it should be; its room in the quota is reserved, here if not before.

    Raises:
        RequestRefusedError: when it is not; nothing is left behind.
    """
    reserved = reserved or upload_quota_reserve(owner=owner, length=length or 0)
    try:
        with storage.received(stream, length) as part:
            return upload_keep(kind, owner=owner, name=name, part=part, reserved=reserved)
    finally:
        reserved.give_back()


def upload_keep(
    kind: type[AnyUpload],
    *,
    owner: User,
    name: str,
    part: storage.StoredPart,
    reserved: Reservation | None = None,
) -> AnyUpload:
    """The same for bytes that are here, however they came."""
    if issubclass(kind, Dataset):
        fields = {"format": formats.check_data(part.path)}
    else:
        formats.check_model(part.path)
        fields = {}
    record = kind(
        owner=owner,
        name=plain_name(name),
        sha256=part.sha256,
        size_bytes=part.size_bytes,
        **fields,
    )
    part.share()
    with storage.places_locked():
        part.keep()
        record.save(force_insert=True)
        if reserved:
            # Under the lock: nobody counts the file twice, as one that comes and as one that is here.
            reserved.give_back()
    return record


def upload_from_file(kind: type[AnyUpload], *, owner: User, path: Path, name: str) -> AnyUpload:
    """The same for a file of ours."""
    with path.open("rb") as stream:
        return upload_store(
            kind, owner=owner, name=name, stream=stream, length=path.stat().st_size
        )


@transaction.atomic
def project_create(
    *,
    owner: User,
    model: UploadedModel,
    data: Dataset | None,
    preprocessing: dict[str, Any] | None,
    name: str = "",
) -> Project:
    """Make a project and start its study, unless the same has been studied before."""
    checked = _checked(preprocessing)
    study = _study_held(owner, study_key(model, data, checked))
    project = Project.objects.create(
        owner=owner,
        name=printable(name) or model.name.removesuffix(".onnx"),
        model=model,
        data=data,
        preprocessing=checked,
        study=study,
    )
    study_start(project=project)
    return project


def study_start(*, project: Project) -> None:
    """Start the project's study if it has none that works or is done."""
    study = project.study
    job = study.job
    if job is not None and job.state not in (JobState.FAILED, JobState.CANCELLED):
        return
    job_quota_check(owner=project.owner)
    request = job_request(project, {**default_settings(), "target": DEFAULT_TARGET})
    study.job = job_create(
        project=project, kind=JobKind.STUDY, request=request, files=job_files(project)
    )
    study.save(update_fields=["job"])


@transaction.atomic
def preprocessing_change(*, project: Project, preprocessing: dict[str, Any] | None) -> None:
    """Read the data another way: that is another study."""
    _study_under(project, _checked(preprocessing))


@transaction.atomic
def study_again(*, project: Project) -> None:
    """Study from the start what another version of the engine, or a damaged file, left unreadable."""
    job_quota_check(owner=project.owner)  # first: a deleted folder comes back with no rollback
    job = project.study.job
    Study.objects.filter(job=job).update(job=None)
    if job is not None:
        job_delete(job=job)
    project.study.refresh_from_db()
    _study_under(project, project.preprocessing)


def _study_held(owner: User, key: str) -> Study:
    """The study, found or made, and held."""
    study, _ = Study.objects.get_or_create(owner=owner, key=key)
    return study_hold(study) or study


def study_hold(study: Study) -> Study | None:
    """The study as it is now; until the transaction ends nobody else starts or deletes it."""
    return Study.objects.select_for_update().filter(pk=study.pk).first()


def _study_under(project: Project, preprocessing: dict[str, Any] | None) -> None:
    former = project.study
    key = study_key(project.model, project.data, preprocessing)
    project.study = _study_held(project.owner, key)
    project.preprocessing = preprocessing
    project.save(update_fields=["study", "preprocessing", "updated"])
    study_start(project=project)
    if former != project.study:
        _delete_unused_study(former)


def settings_save(*, project: Project, values: dict[str, Any]) -> dict[str, Any]:
    """Keep goals, limits, target and locks of the project."""
    project.settings = checked_settings(values, owner=project.owner)
    project.save(update_fields=["settings", "updated"])
    return dict(project.settings)


def checked_settings(values: dict[str, Any], *, owner: User) -> dict[str, Any]:
    """What the user wants, complete and checked.

    Raises:
        BadRequestError: naming the value that cannot be taken.
        Http404: for a device that is not there, or is somebody else's.
    """
    wanted = {**default_settings(), **values}
    parse_locks(wanted["locks"])
    return {
        "goals": asdict(parse_goals(wanted["goals"])),
        "budgets": asdict(parse_budgets(wanted["budgets"])),
        "target": target_profile(owner=owner, name=wanted["target"]).name,
        "locks": wanted["locks"],
    }


def job_files(project: Project) -> dict[str, Path]:
    """The files that a job of this project works on, by their names in its folder.

    Raises:
        RequestRefusedError: when one is gone.
    """
    uploads: dict[str, Upload] = {"model.onnx": project.model}
    if project.data:
        uploads[f"data.{project.data.format}"] = project.data
    for upload in uploads.values():
        if not upload.path.is_file():
            raise RequestRefusedError(f"{upload.name} {GONE}", code="gone", status=410)
    return {name: upload.path for name, upload in uploads.items()}


def checked_selector(selector: object, switches: object) -> dict[str, Any]:
    """Who is to choose a build's recipe, and which switches of the published form are turned, if any.

    Raises:
        BadRequestError: naming what cannot be taken.
        RequestRefusedError: where switches are turned of a selector that has none.
    """
    name = parse_selector(selector)
    turned = changed_settings(parse_settings(switches))
    if turned and name != PUBLISHED:
        raise RequestRefusedError(
            f"“classic” turns switches of the selector {PUBLISHED}, and this build asks for {name}. "
            "Name that selector, or leave them out."
        )
    return {"selector": name, **({"classic": turned} if turned else {})}


def job_request(
    project: Project, wanted: dict[str, Any], chooser: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The engine's request for a job of this project; ``chooser`` is what ``checked_selector`` says."""
    return {
        "model": "model.onnx",
        "data": f"data.{project.data.format}" if project.data else None,
        "preprocessing": project.preprocessing,
        **{key: wanted[key] for key in ("target", "goals", "budgets", "locks")},
        **(chooser or {"selector": USUAL}),
        "techniques": None,
        "time_limit_s": settings.BUILD_TIME_LIMIT_S,
        "threads": settings.ENGINE_THREADS,
        "seed": 0,
    }


def project_delete(*, project: Project) -> None:
    """Delete a project with its jobs, its study and its files, as far as no other shares them."""
    study, model, data = project.study, project.model, project.data
    for build in Job.objects.filter(project=project, kind=JobKind.BUILD):
        job_delete(job=build)
    with transaction.atomic():
        # Before the project: two that delete at once would wait for each other.
        study_hold(study)
        project.delete()
        _delete_unused_study(study)
        for upload in filter(None, (model, data)):
            upload_delete_unused(upload)


def uploads_sweep(older_than_s: float) -> None:
    """Delete uploads that no project ever took."""
    from datetime import timedelta

    from django.utils import timezone

    before = timezone.now() - timedelta(seconds=older_than_s)
    for kind in (UploadedModel, Dataset):
        for upload in kind.objects.filter(created__lt=before, project=None):
            upload_delete_unused(upload)


def _delete_unused_study(study: Study) -> None:
    held = study_hold(study)
    if held is None:
        return
    other = Project.objects.filter(study=held).first()
    if other is None:
        job = held.job
        held.delete()
        if job:
            job_delete(job=job)
    elif held.job:
        Job.objects.filter(pk=held.job.pk).update(project=other)


def upload_delete_unused(upload: Upload) -> None:
    """Delete an upload that no project takes, and its bytes once nobody's upload has them."""
    if Project.objects.filter(**{upload.project_field: upload}).exists():
        return
    upload.delete()
    transaction.on_commit(lambda: _delete_bytes(upload.sha256))


def _delete_bytes(sha256: str) -> None:
    with storage.places_locked():
        if not any(k.objects.filter(sha256=sha256).exists() for k in (UploadedModel, Dataset)):
            storage.delete_unused(sha256)


def _checked(preprocessing: dict[str, Any] | None) -> dict[str, Any] | None:
    if not isinstance(preprocessing, dict):
        return None
    # A form leaves empty what it does not want to say.
    said = {key: value for key, value in preprocessing.items() if value not in ([], None)}
    return Preprocessing.from_json(said).to_json() if said else None


def plain_name(name: str) -> str:
    """What a user calls a file, without its folders and control characters."""
    return printable(name.replace("\\", "/").rsplit("/", 1)[-1]) or "unnamed"


def printable(text: str) -> str:
    """As much of the text as can be shown in a line."""
    return "".join(c for c in text if c.isprintable())[:NAME_LENGTH]
