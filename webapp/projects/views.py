from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.http import Http404, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from webapp.accounts.audit import note
from webapp.accounts.models import EventKind
from webapp.devices.browsers import browser_measured, measured_json
from webapp.devices.pairing import pairing_links, phone_json
from webapp.projects import answers, services
from webapp.projects import builds as building
from webapp.projects.device_tables import model_table, recipe_table
from webapp.projects.devices import devices_compared
from webapp.projects.measuring import networks, project_measure_json
from webapp.projects.model import model_page_json
from webapp.projects.models import Dataset, Project, UploadedModel
from webapp.projects.queries import (
    chosen_target,
    job_url,
    project_get,
    project_row,
    project_rows,
    upload_get,
)
from webapp.projects.studio import head_json, studio_json
from webapp.requests import UserRequest, json_body
from webapp.responses import RequestRefusedError, file_stream

if TYPE_CHECKING:
    from uuid import UUID


@require_GET
@ensure_csrf_cookie
def studio_page(request: UserRequest, project_id: UUID) -> HttpResponse:
    project = project_get(owner=request.user, project_id=project_id)
    page = {"project": project_row(project), "head": _head(project)}
    return render(request, "studio.html", {"page": page})


@require_GET
@gzip_page
def model_page(request: UserRequest, project_id: UUID) -> HttpResponse:
    """The model by itself; ``?target=`` names the device for which its layers are timed."""
    found = project_get(owner=request.user, project_id=project_id)
    page = model_page_json(found, request.GET.get("target"))
    table = model_table(page["devices"])._asdict()
    return render(request, "model.html", {"page": {**page, "devices_table": table}})


def _head(project: Project) -> dict[str, Any] | None:
    """Nothing of a study that cannot be read: the page says so when it asks for the rest."""
    try:
        return head_json(project, chosen_target(project))
    except RequestRefusedError:
        return None


@require_http_methods(["GET", "POST"])
def projects(request: UserRequest) -> JsonResponse:
    if request.method == "GET":
        return JsonResponse({"projects": project_rows(owner=request.user)})
    values = json_body(request)
    project = services.project_create(
        owner=request.user,
        model=upload_get(UploadedModel, owner=request.user, upload_id=values.get("model")),
        data=upload_get(Dataset, owner=request.user, upload_id=values["data"])
        if values.get("data")
        else None,
        preprocessing=values.get("preprocessing"),
    )
    return created_json(project)


@require_http_methods(["GET", "DELETE"])
def project(request: UserRequest, project_id: UUID) -> HttpResponse:
    found = project_get(owner=request.user, project_id=project_id)
    if request.method == "GET":
        return JsonResponse(project_row(found))
    services.project_delete(project=found)
    note(request, EventKind.PROJECT_DELETED, found.name)
    return HttpResponse(status=204)


@require_GET
@gzip_page
def studio(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    return JsonResponse(studio_json(found, request.GET.get("target")))


@require_POST
def select(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    values = json_body(request)
    config = values.pop("config", None)
    wanted = services.checked_settings(values, owner=request.user)
    return JsonResponse({"selection": answers.selection(found, wanted, config)})


@require_POST
def devices(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    values = json_body(request)
    config = values.pop("config", None)
    wanted = services.checked_settings(values, owner=request.user)
    rows = devices_compared(found, wanted, config)
    return JsonResponse({"devices": rows, "table": recipe_table(rows)._asdict()})


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
    asked = building.build_start(project=found, values=json_body(request))
    facts = {"job": str(asked.job.id), "url": job_url(asked.job), "note": asked.note}
    return JsonResponse(facts, status=200 if asked.note else 201)


@require_GET
@ensure_csrf_cookie
def measure_page(request: UserRequest, project_id: UUID) -> HttpResponse:
    """A browser measures itself, with the project's networks besides the kit."""
    found = project_get(owner=request.user, project_id=project_id)
    pair_url = reverse("api-project-browser-pair", args=[found.id])
    page = {**project_measure_json(found), "phone": phone_json(request, pair_url)}
    return render(request, "measure.html", {"page": page})


@require_GET
def network_file(request: UserRequest, project_id: UUID, name: str) -> StreamingHttpResponse:
    found = project_get(owner=request.user, project_id=project_id)
    paths = {network.name: network.path for network in networks(found)}
    if name not in paths or not paths[name].is_file():
        raise Http404("There is no such network.")
    return file_stream(paths[name])


@require_POST
def browser_runs(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    device, outcome = browser_measured(
        owner=request.user,
        values=json_body(request),
        networks=[network.name for network in networks(found)],
    )
    return JsonResponse(measured_json(device, outcome), status=201)


@require_POST
def browser_pair(request: UserRequest, project_id: UUID) -> JsonResponse:
    found = project_get(owner=request.user, project_id=project_id)
    page = reverse("measure-project", args=[found.id])
    links = pairing_links(owner=request.user, page=page, request=request)
    return JsonResponse({"links": links}, status=201)


def created_json(project: Project) -> JsonResponse:
    url = reverse("studio", args=[project.id])
    return JsonResponse({"id": str(project.id), "url": url}, status=201)
