"""Small files and records to test with."""

__all__ = ["npz_bytes", "onnx_bytes", "zip_bytes"]

import io
import shutil

from tests.webapp.small_files import npz_bytes, onnx_bytes, zip_bytes
from webapp.jobs import services as job_services
from webapp.jobs.models import Job, JobKind, JobState
from webapp.projects import services, transfers
from webapp.projects.models import Dataset, UploadedModel


def stored(kind, owner, content, name="file"):
    return services.upload_store(
        kind, owner=owner, name=name, stream=io.BytesIO(content), length=len(content)
    )


def begun(owner, content=b"not yet", kind="data", name="file", **also):
    """An upload on its way of which nothing has come."""
    announced = transfers.Announced(kind=kind, name=name, size_bytes=len(content), **also)
    return transfers.transfer_begin(owner=owner, announced=announced)


def project(owner, *, seed=0, preprocessing=None):
    return services.project_create(
        owner=owner,
        model=stored(UploadedModel, owner, onnx_bytes(), "tiny.onnx"),
        data=stored(Dataset, owner, npz_bytes(seed), "points.npz"),
        preprocessing=preprocessing,
    )


def study(owner):
    return project(owner).study.job


def build(owner, found=None):
    found = found or project(owner)
    request = services.job_request(found, found.settings)
    return job_services.job_create(project=found, kind=JobKind.BUILD, request=request, files={})


def studied(owner, study_folder):
    """A project whose study is done."""
    found = project(owner)
    job = found.study.job
    shutil.copytree(study_folder, job.folder, dirs_exist_ok=True)
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
    found.refresh_from_db()
    return found
