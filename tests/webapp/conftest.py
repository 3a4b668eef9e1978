import json
import sys
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.webapp import study_files
from tests.webapp.running import wait_for
from webapp.accounts.models import local_user
from webapp.celery import app
from webapp.datafolder import data_folder
from webapp.jobs import tasks
from webapp.jobs.models import Job, JobState
from webapp.jobs.workers import broker_answers
from webapp.supervision import broker

FAKE_ENGINE = Path(__file__).parent / "fake_engine.py"


@pytest.fixture(scope="session")
def study_folder(tmp_path_factory):
    """The results of a study, for the fake engine to leave."""
    folder = tmp_path_factory.mktemp("study")
    study_files.write(folder)
    return folder


@pytest.fixture(autouse=True)
def home(tmp_path, settings, study_folder):
    """A data folder, an engine and a broker of this test's own."""
    home = data_folder(str(tmp_path / "home"))
    settings.ADADEEP_HOME = home
    settings.UPLOAD_ROOT = home / "uploads"
    settings.JOB_ROOT = home / "jobs"
    settings.FILE_UPLOAD_TEMP_DIR = home / "tmp"
    settings.ENGINE_COMMAND = [sys.executable, str(FAKE_ENGINE)]
    settings.ENGINE_READABLE = [str(home), str(study_folder)]
    memory = {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": str(home)}
    settings.CACHES = {"default": memory}
    settings.API_REQUESTS_PER_MINUTE = 0
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}
    (home / "study").symlink_to(study_folder)
    former = app.conf.broker_url, app.conf.result_backend
    app.conf.update(broker_url="memory://", result_backend="cache+memory://")
    yield home
    app.conf.update(broker_url=former[0], result_backend=former[1])


@pytest.fixture
def engine(home):
    """Tells the fake engine what to do: ``engine(PROBE={"exit": 1})``."""

    def tell(**behaviour):
        (home / "fake.json").write_text(json.dumps(behaviour))

    return tell


@pytest.fixture
def user(transactional_db):
    return local_user()


@pytest.fixture
def stranger(transactional_db):
    return User.objects.create(username="stranger")


@pytest.fixture
def client(transactional_db):
    return Client(headers={"host": "localhost"})


@pytest.fixture
def work_off():
    """Does what the workers would do, until nothing waits."""

    def work():
        while waiting := Job.objects.filter(state=JobState.QUEUED).order_by("-kind").first():
            tasks.run(str(waiting.id))

    return work


@pytest.fixture
def real_broker(home, settings):
    """The embedded broker's address."""
    settings.REDIS_URL = broker.address(home)
    child = broker.embedded_broker(home, home / "broker.log")
    child.start()
    try:
        wait_for(broker_answers, 20)
        yield settings.REDIS_URL
    finally:
        child.stop()
