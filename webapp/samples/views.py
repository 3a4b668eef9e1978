from django.http import Http404, JsonResponse
from django.views.decorators.http import require_POST

from webapp.projects.models import Dataset, UploadedModel
from webapp.projects.services import project_create, upload_from_file
from webapp.projects.views import created_json
from webapp.requests import UserRequest
from webapp.samples.catalogue import samples


@require_POST
def sample_open(request: UserRequest, name: str) -> JsonResponse:
    sample = samples().get(name)
    if sample is None:
        raise Http404("There is no such sample.")
    project = project_create(
        owner=request.user,
        name=sample.title,
        model=upload_from_file(
            UploadedModel, owner=request.user, path=sample.model, name=f"{name}.onnx"
        ),
        data=upload_from_file(
            Dataset, owner=request.user, path=sample.data, name=f"{name}.npz"
        ),
        preprocessing=sample.preprocessing,
    )
    return created_json(project)
