"""Small files and records to test with."""

import io
import shutil
import zipfile

import numpy as np
from onnx import TensorProto, helper

from webapp.jobs import services as job_services
from webapp.jobs.models import Job, JobKind, JobState
from webapp.projects import services
from webapp.projects.models import Dataset, UploadedModel


def onnx_bytes(name="tiny"):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 4])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 2])
    w = helper.make_tensor("w", TensorProto.FLOAT, [4, 2], [0.5] * 8)
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], name, [x], [y], [w]
    )
    return helper.make_model(graph).SerializeToString()


def npz_bytes(seed=0):
    rng = np.random.default_rng(seed)
    buffer = io.BytesIO()
    np.savez(buffer, x=rng.random((20, 4), np.float32), y=np.arange(20) % 2)
    return buffer.getvalue()


def zip_bytes(**entries):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def stored(kind, owner, content, name="file"):
    return services.upload_store(
        kind, owner=owner, name=name, stream=io.BytesIO(content), length=len(content)
    )


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
