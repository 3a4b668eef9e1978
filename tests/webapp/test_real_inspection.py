"""Bad inputs that only the engine can judge, through the real engine in its sandbox."""

import io

import numpy as np
import onnx
import pytest

from tests import networks
from tests.webapp import making
from webapp.jobs import tasks
from webapp.jobs.models import JobState
from webapp.projects import services
from webapp.projects.models import Dataset, UploadedModel

pytestmark = pytest.mark.django_db(transaction=True)

RNG = np.random.default_rng(0)
X, Y = RNG.random((80, 1, 12, 12), np.float32), np.arange(80) % 4


def npz(x=X, y=Y):
    buffer = io.BytesIO()
    np.savez(buffer, x=x, y=y)
    return buffer.getvalue()


def with_nan():
    x = X.copy()
    x[3, 0, 5, 5] = np.nan
    return x


def edited(change):
    model = onnx.load_from_string(networks.small_lenet())
    change(model)
    return model.SerializeToString()


def branch(model):
    node = model.graph.node[1]
    node.op_type = "If"
    node.attribute.add(name="then_branch", type=onnx.AttributeProto.GRAPH).g.name = "then"


def elsewhere(model):
    weight = model.graph.initializer[0]
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="/etc/passwd")
    weight.ClearField("raw_data")


BAD = {
    "control flow": (edited(branch), npz(), "If"),
    "external data": (edited(elsewhere), npz(), "external data"),
    "other shape": (None, npz(x=RNG.random((80, 3, 32, 32), np.float32)), "3 × 32 × 32"),
    "labels from one": (None, npz(y=Y + 1), "Labels run from 1 to 4"),
    "not a number": (None, npz(x=with_nan()), "NaN"),
    "one class": (None, npz(y=np.zeros(80, int)), "one class"),
}


@pytest.fixture
def inspected(user, settings):
    """Uploads both, lets the real engine inspect them."""
    settings.ENGINE_COMMAND = []

    def inspect(model, data):
        project = services.project_create(
            owner=user,
            model=making.stored(UploadedModel, user, model, "net.onnx"),
            data=making.stored(Dataset, user, data, "data.npz"),
            preprocessing=None,
        )
        job = project.study.job
        tasks.run(str(job.id))
        job.refresh_from_db()
        return project, job

    return inspect


@pytest.mark.parametrize("case", BAD)
def test_bad_input_fails_with_a_sentence_and_goes_with_its_project(
    client, home, inspected, case
):
    model, data, sentence = BAD[case]
    project, job = inspected(model or networks.small_lenet(), data)
    assert job.state == JobState.FAILED
    assert sentence in job.message
    assert job.reference == ""
    assert client.get(f"/projects/{project.id}/").status_code == 200
    study = client.get(f"/api/projects/{project.id}/studio").json()["study"]
    assert (study["state"], study["message"]) == ("failed", job.message)
    client.delete(f"/api/projects/{project.id}")
    assert not [path for path in (home / "jobs").rglob("*") if path.is_file()]
    assert not [path for path in (home / "uploads").rglob("*") if path.is_file()]


def test_good_input_is_inspected(client, inspected):
    project, job = inspected(networks.small_lenet(), npz())
    assert job.state == JobState.QUEUED, job.message
    model = client.get(f"/api/projects/{project.id}/studio").json()["model"]
    assert model["n_layers"] == 4
    assert model["n_test"] == 16
