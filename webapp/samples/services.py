from __future__ import annotations

from typing import TYPE_CHECKING

from django.http import Http404

from webapp.projects.models import Dataset, UploadedModel
from webapp.projects.services import project_create, upload_from_file
from webapp.samples.catalogue import samples

if TYPE_CHECKING:
    from django.contrib.auth.models import User

    from webapp.projects.models import Project


def sample_open(*, owner: User, name: str) -> Project:
    """A project of a sample, as if its files had been brought."""
    sample = samples().get(name)
    if sample is None:
        raise Http404("There is no such sample.")
    return project_create(
        owner=owner,
        name=sample.title,
        model=upload_from_file(
            UploadedModel, owner=owner, path=sample.model, name=f"{name}.onnx"
        ),
        data=upload_from_file(Dataset, owner=owner, path=sample.data, name=f"{name}.npz"),
        preprocessing=sample.preprocessing,
    )
