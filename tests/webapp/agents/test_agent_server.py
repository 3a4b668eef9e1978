"""The agent's end of the line, against a server that misbehaves."""

import hashlib
import http.server
import itertools
import json
import threading
from contextlib import contextmanager

import pytest

from webapp.devices.agent import work
from webapp.devices.agent.__main__ import serve
from webapp.devices.agent.server import RefusedError, Server, UnreachableError, pauses


@contextmanager
def answering(*answers):
    """A server that gives these answers, one after the other: (status, headers, body)."""
    left, seen = list(answers), []

    class Answers(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.path, dict(self.headers), body))
            status, headers, answer = left.pop(0)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(answer)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self):
            self.do_POST()

        def log_message(self, *_):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    paused = []
    try:
        yield (
            Server(f"http://127.0.0.1:{server.server_port}/", "secret", paused.append),
            paused,
            seen,
        )
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def ok(value):
    return 200, {}, json.dumps(value).encode()


def test_a_server_that_is_away_is_asked_again_later_and_later():
    busy = (503, {}, b"")
    with answering(busy, busy, (200, {}, b"<html>"), ok({"fine": 1})) as (server, paused, _):
        assert server.ask("/next", {}) == {"fine": 1}
    assert len(paused) == 3
    assert paused[0] < paused[1] < paused[2]


def test_patience_ends():
    server = Server("http://127.0.0.1:1", "secret", lambda _: None)
    with pytest.raises(UnreachableError, match="cannot be reached"):
        server.ask("/next", {}, patience_s=0)


def test_a_refusal_is_not_asked_again():
    body = json.dumps({"error": {"message": "No.", "code": "unknown_token"}}).encode()
    with (
        answering((401, {}, body)) as (server, paused, _),
        pytest.raises(RefusedError, match=r"^No\.$") as caught,
    ):
        server.ask("/hello", {})
    assert (caught.value.code, caught.value.status, paused) == ("unknown_token", 401, [])


def test_a_redirect_does_not_carry_the_token_away():
    elsewhere = (302, {"Location": "http://127.0.0.2:9/"}, b"")
    with answering(elsewhere) as (server, _, _), pytest.raises(RefusedError, match="302"):
        server.ask("/hello", {})


def test_a_file_that_does_not_come_whole_is_fetched_again():
    whole = b"graph"
    with answering((200, {}, b"gra"), (200, {}, b"graphs!"), (200, {}, whole)) as (
        server,
        paused,
        seen,
    ):
        assert (
            server.download("/tasks/1/1/graphs/0", hashlib.sha256(whole).hexdigest(), 5, list)
            == whole
        )
    assert len(paused) == 2
    assert seen[0][1]["Authorization"] == "Bearer secret"


def test_a_runtime_that_fails_in_mid_run_ends_the_task_and_not_the_agent(monkeypatch, caplog):
    runs = iter(range(7))

    def call():
        if next(runs, None) is None:
            raise RuntimeError("the device was lost")

    monkeypatch.setattr(work, "graph_call", lambda *_: call)
    graph = {"name": "sums", "threads": [1, 2], "sha256": hashlib.sha256(b"").hexdigest()}
    task = {"id": "t", "attempt": 1, "kind": "calibrate", "reference": "sums", "seconds": 1}
    task |= {"beat_every_s": 60, "graphs": [{**graph, "size_bytes": 0}], "powered": []}
    no = (401, {}, json.dumps({"error": {"message": "No.", "code": "x"}}).encode())
    answers = ok({"session": "s", "device": "d"}), ok({"task": task}), (200, {}, b"")
    with (
        answering(*answers, ok({}), ok({}), no) as (server, _, seen),
        pytest.raises(RefusedError),
    ):
        serve(server)
    told = json.loads(seen[4][2])
    (failed,) = told["failed"]
    assert (told["runs"], failed["name"]) == ([], "sums")
    assert failed["reason"] == "Measuring ended early. RuntimeError: the device was lost"
    assert failed["reason"] in caplog.text
    assert seen[5][0].endswith("/next")


def test_pauses_never_exceed_half_a_minute():
    assert max(itertools.islice(pauses(), 50)) <= 30
