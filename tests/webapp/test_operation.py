import io
import json
import logging

import pytest
from django.contrib.auth.models import User
from django.test import Client
from prometheus_client.parser import text_string_to_metric_families

from tests.webapp import making
from webapp import operation
from webapp.accounts.tokens import token_create
from webapp.jobs.models import Job, JobState
from webapp.logs import JobContext, JsonLines, about_job
from webapp.settings import middleware

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def broker_answers(monkeypatch):
    monkeypatch.setattr(operation, "broker_answers", lambda: True)


def samples(text):
    families = text_string_to_metric_families(text)
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in families
        for sample in family.samples
    }


def test_ready_names_what_is_not(client, settings):
    answer = client.get("/readyz")
    assert (answer.status_code, answer.json()["status"]) == (200, "ready")
    settings.UPLOAD_SPARE_BYTES = 2**60
    answer = client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json() == {
        "status": "not ready",
        "database": True,
        "migrations": True,
        "broker": True,
        "free_space": False,
    }


def test_not_ready_while_a_migration_is_missing(client, monkeypatch):
    from django.db.migrations.recorder import MigrationRecorder

    monkeypatch.setattr(operation, "_was_migrated", False)
    newest = MigrationRecorder.Migration.objects.filter(app="accounts").latest("pk")
    MigrationRecorder.Migration.objects.filter(pk=newest.pk).update(app="elsewhere")
    assert client.get("/readyz").json()["migrations"] is False
    MigrationRecorder.Migration.objects.filter(app="elsewhere").update(app="accounts")
    assert client.get("/readyz").json()["migrations"] is True


def test_metrics_count_jobs_queues_and_stages(client, user, work_off, engine):
    making.build(user)
    work_off()
    making.project(user, seed=1)
    waiting = making.project(user, seed=2).study.job
    inspected = {"INSPECT": {"state": "done", "seconds": 2.5}}
    Job.objects.filter(pk=waiting.pk).update(stages=inspected)
    engine(PROBE={"exit": 1})
    failed = making.project(user, seed=3).study.job
    Job.objects.filter(pk=failed.pk).update(state=JobState.FAILED, stage="PROBE", lost=2)
    found = samples(client.get("/metrics").content.decode())
    assert found["adadeep_jobs", "build", "done"] == 1
    assert found["adadeep_jobs", "queued", "study"] == 2
    assert found["adadeep_queue_jobs", "quick"] == found["adadeep_queue_jobs", "engine"] == 1
    assert found["adadeep_queue_oldest_seconds", "quick"] > 0
    assert found["adadeep_stage_seconds_count", "INSPECT"] == 2
    assert found["adadeep_stage_seconds_bucket", "3.0", "INSPECT"] == 2
    assert found["adadeep_stage_seconds_sum", "INSPECT"] >= 2.5
    assert found["adadeep_failed_jobs", "PROBE"] == 1
    assert found["adadeep_lost_attempts",] == 2
    assert found["adadeep_worker_answers", "quick"] == 0
    assert found["adadeep_free_bytes",] > 0


def test_metrics_are_for_administrators(client, settings):
    settings.AUTH_MODE, settings.MIDDLEWARE = "accounts", middleware("accounts")
    ada, root = (
        User.objects.create(username="ada"),
        User.objects.create(username="root", is_staff=True),
    )

    def status(user):
        token = token_create(owner=user, name="scraper")
        return client.get("/metrics", headers={"authorization": f"Bearer {token}"}).status_code

    assert (client.get("/metrics").status_code, status(ada), status(root)) == (401, 404, 200)


def line(message, *arguments, fault=None):
    record = logging.LogRecord("a.b", logging.INFO, "x.py", 1, message, arguments, fault)
    JobContext().filter(record)
    return record


def test_web_server_writes_no_addresses(settings):
    """Those of set-up links and invitations are secrets."""
    access = settings.LOGGING["loggers"]["uvicorn.access"]
    assert access == {"handlers": [], "propagate": False}


@pytest.fixture
def console():
    """What the log shows, as the settings set it up."""
    (handler,) = (h for h in logging.getLogger().handlers if type(h) is logging.StreamHandler)
    former = handler.setStream(io.StringIO())
    yield handler.stream
    handler.setStream(former)


@pytest.mark.parametrize(
    ("method", "path", "shown"),
    [
        ("HEAD", "/join/live-secret/", "Method Not Allowed (HEAD): /join/…/"),
        ("GET", "/shared/live-secret/files/x", "Not Found: /shared/…/files/x"),
        ("POST", "/join/live-secret/", "CSRF check failed at /join/…/"),
        ("PUT", "/m/live-secret", "Method Not Allowed (PUT): /m/…"),
    ],
)
def test_secrets_of_links_stay_out_of_the_log(settings, user, console, method, path, shown):
    settings.AUTH_MODE = "accounts"
    settings.MIDDLEWARE = middleware("accounts")
    browser = Client(enforce_csrf_checks=method == "POST", headers={"host": "localhost"})
    browser.generic(method, path)
    assert shown in console.getvalue()
    assert "live-secret" not in console.getvalue()


def test_secrets_of_links_stay_out_of_json_lines():
    record = line("Not Found: %s", "/setup/live-secret")
    assert json.loads(JsonLines().format(record))["message"] == "Not Found: /setup/…"


def test_json_line_names_the_job_it_is_about():
    with about_job("1-2-3"):
        record = line("took %s", "long\nand more")
    value = json.loads(JsonLines().format(record))
    assert value.pop("t").endswith("+00:00")
    assert value == {
        "level": "INFO",
        "logger": "a.b",
        "message": "took long\nand more",
        "job": "1-2-3",
    }
    assert "job" not in json.loads(JsonLines().format(line("else")))
    assert record.about == " [job 1-2-3]"


def test_json_line_holds_the_fault():
    fault = ValueError("odd")
    record = line("failed", fault=(ValueError, fault, fault.__traceback__))
    text = JsonLines().format(record)
    assert "\n" not in text
    assert "ValueError: odd" in json.loads(text)["fault"]
