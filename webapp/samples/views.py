from django.http import JsonResponse
from django.views.decorators.http import require_POST

from webapp.projects.views import created_json
from webapp.requests import UserRequest
from webapp.samples import services


@require_POST
def sample_open(request: UserRequest, name: str) -> JsonResponse:
    return created_json(services.sample_open(owner=request.user, name=name))
