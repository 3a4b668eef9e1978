"""What `manage.py worker` and `up --workers 0` ask for before they start anything."""

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from webapp.addresses import file_store
from webapp.jobs import tasks, workers
from webapp.supervision import check_hosts
from webapp.supervision.findings import Grade
from webapp.supervision.worker_host import StartError, check_database, check_store

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def alone(settings, home):
    settings.REDIS_URL = f"unix://{home}/run/broker.sock"


def test_worker_names_what_it_would_have_to_share():
    with pytest.raises(CommandError, match="needs DATABASE_URL, REDIS_URL, STORAGE_URL, with"):
        call_command("worker")


@pytest.mark.parametrize("queues", ["", "cpu,nonsense"])
def test_worker_names_its_queues(queues):
    with pytest.raises(CommandError, match="--queues takes some of cpu, gpu, device"):
        call_command("worker", "--queues", queues)


def test_up_without_workers_wants_others_to_come_by():
    with pytest.raises(CommandError, match="Nobody would work with --workers 0"):
        call_command("up", "--workers", "0")


def test_worker_of_another_version_does_not_start():
    newest = MigrationRecorder.Migration.objects.filter(app="accounts").latest("pk")
    MigrationRecorder.Migration.objects.filter(pk=newest.pk).update(app="elsewhere")
    with pytest.raises(StartError, match="another version of AdaDeep"):
        check_database()
    MigrationRecorder.Migration.objects.filter(app="elsewhere").update(app="accounts")
    check_database()


def test_store_that_does_not_answer_stops_the_start(settings, home):
    (home / "file").write_text("no folder")
    settings.STORAGE_URL = f"file://{home}/file"
    settings.STORAGES = {**settings.STORAGES, "default": file_store(settings.STORAGE_URL)}
    with pytest.raises(StartError, match="STORAGE_URL does not answer"):
        check_store()
    (finding,) = check_hosts.store()
    assert finding.grade == Grade.WRONG


def test_doctor_tries_the_store(store):
    (finding,) = check_hosts.store()
    assert finding.grade == Grade.OK
    assert "gave back" in finding.what


@pytest.mark.skipif(connection.vendor != "sqlite", reason="here DATABASE_URL is set")
def test_doctor_says_what_is_missing_for_other_machines(store):
    (finding,) = check_hosts.machines()
    assert finding.grade == Grade.WRONG
    assert "not DATABASE_URL, REDIS_URL" in finding.what


def test_fine_tuning_goes_where_a_graphics_card_is(monkeypatch):
    assert tasks.queue_of(tasks.Stage.RECOVER) == "engine"
    monkeypatch.setattr(tasks, "answering", lambda queue: queue == "gpu")
    assert tasks.queue_of(tasks.Stage.RECOVER) == "gpu"
    assert tasks.queue_of(tasks.Stage.EXPORT) == "engine"


def test_silent_broker_knows_of_no_workers():
    workers.sign_of_life("engine")
    assert workers.hosts("engine") == []
