"""Who works, told by signs of life at a real broker."""

import pytest
import redis
from django.contrib.auth.models import User

from tests.webapp import making
from webapp.datafolder import this_host
from webapp.jobs import services, tasks, workers
from webapp.settings import middleware

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def sent(monkeypatch):
    """Messages that wait: queue and job."""
    sent = []
    monkeypatch.setattr(
        tasks.run, "apply_async", lambda args, queue: sent.append((queue, *args))
    )
    return sent


def died(address, host):
    redis.Redis.from_url(address).zadd("adadeep-workers-gpu", {host: 1.0})


def stopped(_address, _host):
    workers.forget_workers_here()


@pytest.mark.parametrize("end", [died, stopped])
def test_fine_tuning_waits_for_no_graphics_card_that_is_gone(
    user, study_folder, sent, home, real_broker, end
):
    build = making.build(user, making.studied(user, study_folder))
    workers.sign_of_life("gpu")
    tasks.send_now(build.pk)
    services.jobs_reap()
    del sent[:-1]
    assert sent == [("gpu", str(build.pk))]
    end(real_broker, this_host(home))
    services.jobs_reap()
    services.jobs_reap()
    assert sent[1:] == [("engine", str(build.pk))]


def test_worker_gives_a_sign_for_each_of_its_queues(home, real_broker, monkeypatch):
    monkeypatch.setenv("WORKER_QUEUES", "quick,device")
    tasks.give_sign_of_life()
    assert workers.served() == {this_host(home): ["quick", "device"]}


def test_status_page_says_who_serves_which_queues(client, home, real_broker):
    assert "No worker answers." in client.get("/status/").content.decode()
    for queue in ("engine", "gpu"):
        workers.sign_of_life(queue)
    page = client.get("/status/").content.decode()
    assert this_host(home) in page
    assert "<td>engine, gpu</td>" in page
    assert "every stage that nobody else takes; fine-tuning, before all others" in page


def test_machines_are_named_to_administrators(client, settings, home, real_broker):
    settings.AUTH_MODE, settings.MIDDLEWARE = "accounts", middleware("accounts")
    workers.sign_of_life("engine")
    for name, is_staff in (("ada", False), ("root", True)):
        client.force_login(User.objects.create(username=name, is_staff=is_staff))
        assert (this_host(home) in client.get("/status/").content.decode()) is is_staff
