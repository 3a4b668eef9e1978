"""Whole files of one person that come at the same time, against the real server with two processes."""

import http.client
import json
import select
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.webapp import making
from tests.webapp.running import Installation, wait_for

TOKEN = "a" * 32
FITTING, SENT = 3, 8
FILES = [making.npz_bytes(seed) for seed in range(SENT)]
SIZE = len(FILES[0])


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    quota = (FITTING + 1) * SIZE - 1
    with Installation(
        tmp_path_factory.mktemp("quota"), web_processes=2, USER_QUOTA_BYTES=str(quota)
    ) as installation:
        yield installation


class Sender:
    """One request that brings a file; half of it is sent at once."""

    def __init__(self, here, content):
        self.content = content
        self.connection = http.client.HTTPConnection("127.0.0.1", here.port, timeout=60)
        self.connection.putrequest("POST", "/api/v1/uploads/data?name=points.npz")
        self.connection.putheader("Content-Length", str(len(content)))
        self.connection.putheader("X-CSRFToken", TOKEN)
        self.connection.putheader("Cookie", f"csrftoken={TOKEN}")
        self.connection.endheaders(content[: len(content) // 2])

    def finish(self):
        self.connection.send(self.content[len(self.content) // 2 :])
        return self.answer()

    def answer(self):
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read())


def usage(here):
    return here.call("GET", "/api/v1/usage")


def coming(here):
    return usage(here)["coming_bytes"]


def answered(senders):
    """Those who were answered before their file was whole: refused."""
    readable, _, _ = select.select([sender.connection.sock for sender in senders], [], [], 0)
    return [sender for sender in senders if sender.connection.sock in readable]


def test_as_many_as_fit_are_taken_and_no_more(here):
    at_work = [Sender(here, content) for content in FILES[: FITTING - 1]]
    given_up = Sender(here, FILES[0])
    wait_for(lambda: coming(here) == FITTING * SIZE, 20)
    given_up.connection.close()
    wait_for(lambda: coming(here) == (FITTING - 1) * SIZE, 20)
    with ThreadPoolExecutor(SENT) as pool:
        late = list(pool.map(lambda content: Sender(here, content), FILES[FITTING - 1 :]))
    wait_for(lambda: len(answered(late)) == len(late) - 1, 20)
    assert (
        usage(here)["used_bytes"] == 0
    )  # as nothing is stored yet, what was announced decided
    for sender in answered(late):
        status, value = sender.answer()
        assert (status, value["error"]["code"]) == (413, "quota")
        assert "Delete a project that you no longer need, then send it again." in str(value)
        late.remove(sender)
    with ThreadPoolExecutor(SENT) as pool:
        outcomes = list(pool.map(Sender.finish, [*at_work, *late]))
    assert [status for status, _ in outcomes] == [201] * FITTING
    assert usage(here)["used_bytes"] == FITTING * SIZE
    assert coming(here) == 0
