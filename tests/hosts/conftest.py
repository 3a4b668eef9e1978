import os

import boto3
import pytest
from moto.server import ThreadedMotoServer

from tests.hosts import postgres
from tests.webapp.conftest import (  # noqa: F401 - fixtures
    client,
    engine,
    home,
    stranger,
    study_folder,
    user,
    work_off,
)
from webapp.addresses import file_store
from webapp.datafolder import data_folder


@pytest.fixture(scope="session")
def cluster():
    """A PostgreSQL for all tests here."""
    if reason := postgres.why_not():
        pytest.skip(reason)
    with postgres.Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def s3():
    """A server that speaks S3, with an empty bucket."""
    server = ThreadedMotoServer(port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    known = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    former = {name: os.environ.get(name) for name in known}
    os.environ.update(known)
    boto3.client("s3").create_bucket(Bucket="adadeep")
    yield "s3://adadeep/test"
    server.stop()
    for name, value in former.items():
        if value is None:
            del os.environ[name]
        else:
            os.environ[name] = value


@pytest.fixture
def store(request, tmp_path, settings):
    """A store that two machines share: a folder, or S3 where a test says so."""
    is_s3 = getattr(request, "param", "file") == "s3"
    url = request.getfixturevalue("s3") if is_s3 else f"file://{tmp_path}/store"
    settings.STORAGE_URL = f"{url}/{tmp_path.name}"
    settings.STORAGES = {**settings.STORAGES, "default": file_store(settings.STORAGE_URL)}
    return settings.STORAGE_URL


@pytest.fixture
def move_to(settings, tmp_path, study_folder):  # noqa: F811
    """``move_to("b")``: from here on the test is another machine, with a data folder of its own."""

    def move(name):
        folder = data_folder(str(tmp_path / name))
        settings.ADADEEP_HOME = folder
        settings.UPLOAD_ROOT, settings.JOB_ROOT = folder / "uploads", folder / "jobs"
        settings.FILE_UPLOAD_TEMP_DIR = folder / "tmp"
        settings.ENGINE_READABLE = [str(folder), str(study_folder)]
        if not (folder / "study").exists():
            (folder / "study").symlink_to(study_folder)
        return folder

    return move
