"""The real thing: ``manage.py up`` as its own process, with the fake engine behind real workers."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import psycopg

from tests.webapp.fake_engine import noted

ROOT = Path(__file__).resolve().parents[2]
FAKE_ENGINE = Path(__file__).parent / "fake_engine.py"


def environment(home):
    """For commands beside an installation in that data folder."""
    return {
        **os.environ,
        "DATABASE_URL": own_database(home),
        "ADADEEP_HOME": str(home),
    }


def command(home, *arguments, **settings):
    wanted = {
        **environment(home),
        "ENGINE_COMMAND": f"{sys.executable},{FAKE_ENGINE}",
        "ENGINE_READABLE": f"{home},{(home / 'study').resolve()}",
        "LEASE_HEARTBEAT_S": "1",
        "LEASE_LOST_S": "5",
        **settings,
    }
    return {
        "args": [sys.executable, "manage.py", "up", *arguments],
        "cwd": ROOT,
        "env": wanted,
        "text": True,
    }


def own_database(home):
    """The address of a database for that data folder alone; empty where tests run on SQLite."""
    url = os.environ.get("DATABASE_URL", "")
    if not url:
        return ""
    name = f"home_{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"
    with psycopg.connect(url, autocommit=True) as server:
        if not server.execute(
            "SELECT 1 FROM pg_database WHERE datname = %s", [name]
        ).fetchone():
            server.execute(f"CREATE DATABASE {name}")
    return f"{url.rpartition('/')[0]}/{name}"


def check(home, *arguments):
    return subprocess.run(
        **command(home, *arguments), capture_output=True, timeout=90, check=False
    )


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Installation:
    """A running ``up``; leaving the block stops it and looks for orphans."""

    def __init__(self, home, workers=1, host="127.0.0.1", web_processes=1, **settings):
        self.home, self.port, self.workers = home, free_port(), workers
        self.web_processes = web_processes
        self.host, self.settings = host, settings
        self.log = home / "up.log"

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self):
        self.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                **command(self.home, *self._options(), **self.settings),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            wait_for(
                lambda: "READY" in self.log.read_text() or self.process.poll() is not None, 60
            )
        except AssertionError:
            self.process.terminate()  # nobody leaves the block that was never entered
            raise
        assert self.process.poll() is None, self.log.read_text()

    def stop(self):
        family = self.family()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            assert self.process.wait(40) == 0, self.log.read_text()
        assert_all_gone(family)

    def _options(self):
        options = {
            "--host": self.host,
            "--port": self.port,
            "--workers": self.workers,
            "--web-processes": self.web_processes,
        }
        return [str(word) for option in options.items() for word in option]

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def family(self):
        return psutil.Process(self.process.pid).children(recursive=True) if self.alive() else []

    def alive(self):
        return self.process.poll() is None

    def child(self, *words):
        """The process of ours whose command has these words; the oldest one."""
        for process in self.family():
            line = " ".join(process.cmdline())
            if all(word in line for word in words):
                return process
        raise AssertionError(f"nothing runs with {words}")

    def call(self, method, path, value=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        token = "a" * 32
        headers = {
            "Cookie": f"csrftoken={token}",
            "X-CSRFToken": token,
            "Content-Type": "application/json",
        }
        connection.request(
            method, path, json.dumps(value) if value is not None else "", headers
        )
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return json.loads(content) if content else {}

    def open_sample(self, name="digits"):
        """A project; its study's job id."""
        project = self.call("POST", f"/api/samples/{name}/open", {})
        return self.call("GET", f"/api/projects/{project['id']}")["job"]["id"]

    def tell_engine(self, **behaviour):
        (self.home / "fake.json").write_text(json.dumps(behaviour))

    def job(self, job_id):
        return self.call("GET", f"/api/jobs/{job_id}")

    def wait_for_state(self, job_id, state, seconds=60):
        wait_for(lambda: self.job(job_id)["state"] == state, seconds)

    def stages_run(self, job_id):
        """The stages that an engine process began, in order."""
        return [stage for stage, _ in noted(self.home / "jobs" / job_id, "run")]

    def parts_run(self, job_id, stage):
        """The parts of a stage that engine processes began, in order: label and process."""
        lines = noted(self.home / "jobs" / job_id, "part")
        return [(label, int(pid)) for of, label, pid in lines if of == stage]

    def wait_for_stage(self, job_id, stage, seconds=30):
        wait_for(lambda: stage in self.stages_run(job_id), seconds)


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def assert_all_gone(processes, seconds=10):
    _, alive = psutil.wait_procs(processes, timeout=seconds)
    lines = [process.cmdline() for process in alive]
    for process in alive:
        process.kill()
    assert not lines, f"left running: {lines}"
