"""Programs that ask too often are told to wait, each person for themselves."""

import json

import pytest
from django.test import Client

from tests.webapp.running import Installation
from webapp.accounts.tokens import token_create
from webapp.api import pace

pytestmark = pytest.mark.django_db(transaction=True)

MOST = 3


@pytest.fixture(autouse=True)
def limit(settings, monkeypatch):
    """So many requests, in one minute that does not end while a test runs."""
    settings.API_REQUESTS_PER_MINUTE = MOST
    monkeypatch.setattr(pace, "time", lambda: 600_000 * pace.WINDOW_S + 12.5)


def program(owner, name="script"):
    token = token_create(owner=owner, name=name)
    return Client(headers={"host": "localhost", "authorization": f"Bearer {token}"})


def ask(client):
    return client.get("/api/v1/samples")


def test_one_too_many_is_told_how_long_to_wait(user):
    client = program(user)
    assert [ask(client).status_code for _ in range(MOST)] == [200] * MOST
    refused = ask(client)
    assert (refused.status_code, refused["Retry-After"]) == (429, "48")
    assert refused.json()["error"] == {
        "code": "too_many",
        "message": "More than 3 requests in a minute. Ask again in 48 seconds.",
        "retry_after_s": 48,
    }


def test_next_minute_begins_anew(user, monkeypatch):
    client = program(user)
    assert [ask(client).status_code for _ in range(MOST + 1)][-1] == 429
    monkeypatch.setattr(pace, "time", lambda: 600_001 * pace.WINDOW_S)
    assert ask(client).status_code == 200


def test_assistants_count_with_the_persons_other_programs(user):
    script, assistant = program(user), program(user, "assistant")
    for _ in range(MOST):
        ask(script)
    ping = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"})
    refused = assistant.post("/mcp", ping, "application/json")
    assert (refused.status_code, refused["Retry-After"]) == (429, "48")
    assert refused.json()["error"]["code"] == "too_many"


def test_batch_counts_as_many_requests_as_it_holds_messages(user):
    assistant = program(user)

    def send(count):
        batch = [{"jsonrpc": "2.0", "id": n, "method": "ping"} for n in range(count)]
        return assistant.post("/mcp", json.dumps(batch), "application/json")

    assert len(send(MOST - 1).json()) == MOST - 1
    refused = send(2)
    assert (refused.status_code, refused["Retry-After"]) == (429, "48")
    assert refused.json()["error"]["code"] == "too_many"


def test_others_are_not_held_up(user, stranger):
    noisy, other = program(user), program(stranger)
    for _ in range(MOST + 1):
        ask(noisy)
    assert ask(other).status_code == 200


def test_no_limit_is_no_limit(user, settings):
    settings.API_REQUESTS_PER_MINUTE = 0
    client = program(user)
    assert {ask(client).status_code for _ in range(3 * MOST)} == {200}


def test_without_a_broker_everybody_is_answered(user, settings, tmp_path, caplog):
    broker = {"BACKEND": "django.core.cache.backends.redis.RedisCache"}
    settings.CACHES = {"default": broker | {"LOCATION": f"unix://{tmp_path}/none.sock"}}
    client = program(user)
    assert {ask(client).status_code for _ in range(MOST + 2)} == {200}
    assert "not counted" in caplog.text


def test_web_processes_count_together(tmp_path, monkeypatch):
    monkeypatch.undo()
    with Installation(tmp_path, web_processes=2, API_REQUESTS_PER_MINUTE=str(MOST)) as here:
        # The minute may end in between: then the second one is counted whole.
        answers = [here.call("GET", "/api/v1/samples") for _ in range(2 * MOST + 2)]
    refused = [answer["error"]["code"] for answer in answers if "error" in answer]
    assert refused
    assert set(refused) == {"too_many"}
    assert len(answers) - len(refused) <= 2 * MOST
