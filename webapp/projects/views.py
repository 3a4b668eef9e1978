from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote
from uuid import UUID

from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.projects import answers, services
from webapp.projects import builds as building
from webapp.projects.devices import devices_compared
from webapp.projects.models import Dataset, Project, UploadedModel
from webapp.projects.queries import project_get, project_row, project_rows
from webapp.projects.studio import studio_json
from webapp.requests import UserRequest, json_body
from webapp.responses import RequestRefusedError

if TYPE_CHECKING:
    from webapp.projects.models import Upload

AnyUpload = TypeVar("AnyUpload", bound="Upload")


@require_GET
@ensure_csrf_cookie
def studio_page(request: UserRequest, project_id: UUID) -> HttpResponse:
    project = project_get(owner=request.user, project_id=project_id)
    return render(request, "studio.html", {"page": {"project": project_row(project)}})


@require_POST
def model_upload(request: UserRequest) -> JsonResponse:
    return _upload(request, UploadedModel)


@require_POST
def data_upload(request: UserRequest) -> JsonResponse:
    return _upload(request, Dataset)


@require_http_methods(["GET", "POST"])
def projects(request: UserRequest) -> JsonResponse:
    if request.method == "GET":
        return JsonResponse({"projects": project_rows(owner=request.user)})
    values = json_body(request)
    project = services.project_create(
        owner=request.user,
        model=_owned(UploadedModel, request, values.get("model")),
        data=_owned(Dataset, request, values["data"]) if values.get("data") else None,
        preprocessing=values.get("preprocessing"),
    )
    return created_json(project)


@require_http_methods(["GET", "DELETE"])
def project(request: UserRequest, project_id: UUID) -> HttpResponse:
    found = project_get(owner=request.user, project_id=project_id)
    if request.method == "GET":
        return JsonResponse(project_row(found))
    services.project_delete(project=found)
    return HttpResponse(status=204)


@require_GET
def studio(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    return JsonResponse(studio_json(found, request.GET.get("target")))


@require_POST
def select(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    values = json_body(request)
    config = values.pop("config", None)
    wanted = services.checked_settings(values)
    return JsonResponse({"selection": answers.selection(found, wanted, config)})


@require_POST
def devices(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    values = json_body(request)
    config = values.pop("config", None)
    wanted = services.checked_settings(values)
    return JsonResponse({"devices": devices_compared(found, wanted, config)})


@require_POST
def settings(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    return JsonResponse(
        {"settings": services.settings_save(project=found, values=json_body(request))}
    )


@require_POST
def preprocessing(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    services.preprocessing_change(project=found, preprocessing=json_body(request) or None)
    return JsonResponse(project_row(found))


@require_POST
def study(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    services.study_again(project=found)
    return JsonResponse(project_row(found))


@require_POST
def builds(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    job = building.build_start(project=found, values=json_body(request))
    return JsonResponse({"job": str(job.id), "url": reverse("job", args=[job.id])}, status=201)


def created_json(project: Project) -> JsonResponse:
    url = reverse("studio", args=[project.id])
    return JsonResponse({"id": str(project.id), "url": url}, status=201)


def _upload(request: UserRequest, kind: type[Upload]) -> JsonResponse:
    length = request.headers.get("Content-Length", "")
    upload = services.upload_store(
        kind,
        owner=request.user,
        name=unquote(request.headers.get("X-File-Name", "")),
        stream=request,
        length=int(length) if length.isdigit() else None,
    )
    return JsonResponse(
        {
            "id": str(upload.id),
            "kind": upload.project_field,
            "name": upload.name,
            "size_bytes": upload.size_bytes,
            "sha256": upload.sha256,
        },
        status=201,
    )


def _owned(kind: type[AnyUpload], request: UserRequest, upload_id: object) -> AnyUpload:
    try:
        key = UUID(str(upload_id))
    except ValueError as error:
        raise RequestRefusedError(f"{upload_id!r} names no upload.") from error
    upload = kind._default_manager.filter(pk=key, owner=request.user).first()
    if upload is None:
        raise Http404("There is no such upload. Send the file again.")
    return upload
