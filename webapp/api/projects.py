"""Uploads, projects, their answers and their builds."""

from typing import Any, Literal
from uuid import UUID

from django.conf import settings as conf
from django.http import HttpResponse
from ninja import Router, Status
from ninja.params.functions import Query

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.api import schemas
from webapp.jobs.queries import job_json
from webapp.projects import answers, builds, queries, services
from webapp.projects.device_tables import model_table, recipe_table
from webapp.projects.devices import devices_compared
from webapp.projects.model import model_page_json
from webapp.projects.models import UPLOAD_KINDS, Dataset, UploadedModel
from webapp.projects.quotas import coming_bytes, used_bytes
from webapp.projects.studio import studio_json
from webapp.requests import UserRequest, declared_length
from webapp.tables import csv_file, table_csv

router = Router(tags=["projects"])

BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
        },
    }
}
CSV = {"responses": {200: {"content": {"text/csv": {"schema": {"type": "string"}}}}}}
Json = dict[str, Any]


@router.post(
    "/uploads/{kind}",
    response={201: schemas.Upload},
    openapi_extra=BODY,
    summary="Send a file: the request's body, as it is",
)
def upload(
    request: UserRequest,
    kind: Literal["model", "data"],
    name: str = Query("", description="the file's name, for people"),
) -> Any:
    stored = services.upload_store(
        UPLOAD_KINDS[kind],
        owner=request.user,
        name=name,
        stream=request,
        length=declared_length(request),
        reserved=getattr(request, "scope", {}).get("reserved"),
    )
    return queries.upload_json(stored)


@router.get("/usage", response=schemas.Usage, summary="How much room your files take")
def usage(request: UserRequest) -> Any:
    return {
        "used_bytes": used_bytes(request.user),
        "coming_bytes": coming_bytes(request.user),
        "quota_bytes": conf.USER_QUOTA_BYTES or None,
        "retention_days": conf.RETENTION_DAYS or None,
    }


@router.get("/projects", response=schemas.Projects, summary="All projects, newest first")
def projects(request: UserRequest) -> Any:
    return {"projects": queries.project_rows(owner=request.user)}


@router.post(
    "/projects", response={201: schemas.Project}, summary="A project; its study starts"
)
def create(request: UserRequest, values: schemas.NewProject) -> Any:
    return made_project(request, values.model, values)


def made_project(request: UserRequest, model: UUID, values: schemas.ProjectChoices) -> Json:
    """The row of a new project of an uploaded model, however it was asked for."""
    owner, reading = request.user, values.preprocessing
    project = services.project_create(
        owner=owner,
        model=queries.upload_get(UploadedModel, owner=owner, upload_id=model),
        data=queries.upload_get(Dataset, owner=owner, upload_id=values.data)
        if values.data
        else None,
        preprocessing=reading.model_dump() if reading else None,
        name=values.name,
    )
    return queries.project_row(project)


@router.get("/projects/{uuid:project_id}", response=schemas.Project, summary="A project")
def project(request: UserRequest, project_id: UUID) -> Any:
    return queries.project_row(_found(request, project_id))


@router.delete(
    "/projects/{uuid:project_id}", response={204: None}, summary="Delete it with its files"
)
def delete(request: UserRequest, project_id: UUID) -> None:
    found = _found(request, project_id)
    services.project_delete(project=found)
    note(request, EventKind.PROJECT_DELETED, found.name)


@router.get(
    "/projects/{uuid:project_id}/studio",
    response=Json,
    summary="Model, layers, candidates and the recommended recipe, as far as the study is",
)
def studio(request: UserRequest, project_id: UUID, target: str | None = None) -> Any:
    return studio_json(_found(request, project_id), target)


@router.get(
    "/projects/{uuid:project_id}/model",
    response=Json,
    summary="The model by itself: layers with their times, what fits them, and its cost on every device",
)
def model(request: UserRequest, project_id: UUID, target: str | None = None) -> Any:
    return model_page_json(_found(request, project_id), target)


@router.get(
    "/projects/{uuid:project_id}/model/devices.csv",
    openapi_extra=CSV,
    summary="The model's cost on every device as a table",
)
def model_devices_csv(request: UserRequest, project_id: UUID) -> HttpResponse:
    table = model_table(model_page_json(_found(request, project_id))["devices"])
    return csv_file("devices", table_csv(*table))


@router.post(
    "/projects/{uuid:project_id}/select",
    response=schemas.Selection,
    summary="The recommended recipe for goals and limits, with what it is predicted to give",
)
def select(request: UserRequest, project_id: UUID, values: schemas.Choice) -> Any:
    found, said = _found(request, project_id), values.said()
    config = said.pop("config", None)
    return answers.selection(found, services.checked_settings(said, owner=request.user), config)


@router.post(
    "/projects/{uuid:project_id}/devices",
    response=dict[str, list[Json]],
    summary="A recipe on every device, beside the best one for each",
)
def devices(request: UserRequest, project_id: UUID, values: schemas.Choice) -> Any:
    return {"devices": _compared(request, project_id, values)}


@router.post(
    "/projects/{uuid:project_id}/devices.csv",
    openapi_extra=CSV,
    summary="The same as a table",
)
def devices_csv(request: UserRequest, project_id: UUID, values: schemas.Choice) -> HttpResponse:
    table = recipe_table(_compared(request, project_id, values))
    return csv_file("devices", table_csv(*table))


@router.put(
    "/projects/{uuid:project_id}/settings",
    response=schemas.Settings,
    summary="Keep goals, limits, device and locks",
)
def settings(request: UserRequest, project_id: UUID, values: schemas.Wanted) -> Any:
    found = _found(request, project_id)
    return services.settings_save(project=found, values=values.said())


@router.put(
    "/projects/{uuid:project_id}/preprocessing",
    response=schemas.Project,
    summary="Read the data another way; that is another study",
)
def preprocessing(request: UserRequest, project_id: UUID, values: schemas.Preprocessing) -> Any:
    found = _found(request, project_id)
    services.preprocessing_change(project=found, preprocessing=values.model_dump())
    return queries.project_row(found)


@router.post(
    "/projects/{uuid:project_id}/study",
    response=schemas.Project,
    summary="Study the model again, from the start",
)
def study(request: UserRequest, project_id: UUID) -> Any:
    found = _found(request, project_id)
    services.study_again(project=found)
    return queries.project_row(found)


@router.get("/projects/{uuid:project_id}/builds", response=schemas.Builds, summary="Its builds")
def build_list(request: UserRequest, project_id: UUID) -> Any:
    return {"builds": queries.build_rows(_found(request, project_id))}


@router.post(
    "/projects/{uuid:project_id}/builds",
    response={200: schemas.AskedBuild, 201: schemas.AskedBuild},
    summary="Build the recommended recipe, the one named by its config, or what another selector finds",
    description="201 where a build is made; 200 where an equal one is under way or has a result already: then "
    "that one, with a note that says so.",
)
def build(request: UserRequest, project_id: UUID, values: schemas.NewBuild) -> Any:
    found = _found(request, project_id)
    asked = builds.build_start(project=found, values=values.said())
    return Status(200 if asked.note else 201, {**job_json(asked.job), "note": asked.note})


def _compared(request: UserRequest, project_id: UUID, values: schemas.Choice) -> list[Json]:
    found, said = _found(request, project_id), values.said()
    config = said.pop("config", None)
    wanted = services.checked_settings(said, owner=request.user)
    return devices_compared(found, wanted, config)


def _found(request: UserRequest, project_id: UUID) -> Any:
    return queries.project_get(owner=request.user, project_id=project_id)
