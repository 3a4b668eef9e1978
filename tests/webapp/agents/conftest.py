import json
import threading
import time

import numpy as np
import pytest
import uvicorn

from compression.cost import latency_ms, load_device
from compression.types import Precision
from tests.webapp import making
from webapp.agents import connections
from webapp.agents.archive import agent_version
from webapp.devices.agent.protocol import PROTOCOL
from webapp.devices.agent.server import Server
from webapp.devices.kit import kit_graphs
from webapp.devices.services import own_device_create
from webapp.jobs import folders, knowledge
from webapp.jobs.models import Artifact, Job, JobState

FACTS = {
    "python": "3.11.2",
    "numpy": "2.0.0",
    "onnxruntime": "1.20.0",
    "system": "Linux 6.1",
    "machine": "aarch64",
    "processor": "Raspberry Pi 4 Model B",
    "cores": 4,
}

SPREAD = (0.98, 1, 1.01, 1.02, 1.05)


def device_of(owner, **values):
    usual = {
        "title": "My board",
        "prior": "rpi4",
        "runtime": "ONNX Runtime",
        "threads": 1,
        "arithmetic": "fp32",
        "means": "agent",
    }
    return own_device_create(owner=owner, **{**usual, **values})


def introduction(**values):
    return {"protocol": PROTOCOL, "version": agent_version(), **FACTS, **values}


def result_of(task, factor=1.5, **values):
    """What an honest agent sends, on a device that is so many times slower than a Raspberry Pi 4."""
    runs = [
        {
            "name": row["name"],
            "threads": n,
            "runs_ms": [factor * _board_ms(row["name"]) / n * f for f in SPREAD],
        }
        for row in task["graphs"]
        for n in row["threads"]
    ]
    usual = {
        "runs": runs,
        "failed": [],
        "drift": {"first_ms": 1.0, "last_ms": 1.01},
        "power": None,
        "seconds": 20.0,
    }
    return {**usual, **values}


def _board_ms(name):
    graph = kit_graphs().get(name)
    if graph is None:
        return 0.5  # one of the tiny networks
    return float(latency_ms(np.array(graph.features), load_device("rpi4"), Precision.FP32))


@pytest.fixture
def device(user):
    return device_of(user)


@pytest.fixture
def token(device):
    return connections.agent_connect(device=device)


@pytest.fixture
def address(transactional_db):
    """The real ASGI application behind a real socket."""
    config = uvicorn.Config(
        "webapp.asgi:application", port=0, lifespan="off", log_level="warning", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture
def board(address, token):
    """Asks as an agent does, after its introduction."""
    return connected(address, token)


def connected(address, token):
    server = Server(address, token, pause=lambda _: pytest.fail("the server was away"))
    server.session = server.ask("/hello", introduction())["session"]
    return server


def path_of(task, what):
    return f"/tasks/{task['id']}/{task['attempt']}/{what}"


@pytest.fixture
def build(user, study_folder):
    """A delivered build whose two networks are real."""
    project = making.studied(user, study_folder)
    job = making.build(user, project)
    folders.link_study(job, project.study.job)
    (job.folder / "RECOVER").mkdir()
    (job.folder / "PACKAGE").mkdir()
    untouched = knowledge.surrogate(project.study.job).space.untouched()[0]
    (job.folder / "RECOVER" / "recover.json").write_text(
        json.dumps({"config": untouched.tolist()})
    )
    (job.folder / "PACKAGE" / "model.onnx").write_bytes(making.onnx_bytes("small"))
    Artifact.objects.create(
        job=job,
        name="model.onnx",
        path="PACKAGE/model.onnx",
        format="onnx",
        size_bytes=1,
        sha256="0" * 64,
        primary=True,
    )
    Job.objects.filter(pk=job.pk).update(state=JobState.DONE)
    job.refresh_from_db()
    return job
