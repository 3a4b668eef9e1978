"""Machines made of network namespaces on one bridge, and what they share: PostgreSQL, a broker, an S3 server."""

import contextlib
import ctypes
import http.client
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import boto3
import redis
from moto.server import ThreadedMotoServer

from tests.hosts import postgres
from tests.webapp.agents import networks
from tests.webapp.agents.networks import run
from webapp.supervision.broker import program

logging.getLogger("werkzeug").setLevel(logging.WARNING)
ROOT = Path(__file__).resolve().parents[2]
FAKE_ENGINE = ROOT / "tests" / "webapp" / "fake_engine.py"
NETWORK = f"10.214.{os.getpid() % 250 + 1}"
PASSWORD = "brown-owl"
CLONE_NEWNET = 0x40000000


def why_not():
    """Why there can be no such machines here; empty if there can."""
    return networks.why_not() or postgres.why_not()


class Shared:
    """The services, at the bridge's address. Leaving the block takes everything down.

    ``study`` is what the fake engine finds.
    """

    def __init__(self, folder, study=None):
        self.folder, self.bridge = folder, f"adab{os.getpid() % 100_000}"
        self.study = study
        self.address = f"{NETWORK}.1"

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            run("ip", "link", "add", self.bridge, "type", "bridge")
            stack.callback(run, "ip", "link", "del", self.bridge)
            run("ip", "addr", "add", f"{self.address}/24", "dev", self.bridge)
            run("ip", "link", "set", self.bridge, "up")
            self.cluster = stack.enter_context(postgres.Cluster(self.address, _free_port()))
            self.broker_url = stack.enter_context(broker(self.folder, self.address))
            s3 = ThreadedMotoServer(ip_address=self.address, port=0, verbose=False)
            s3.start()
            stack.callback(s3.stop)
            self.s3_url = f"http://{self.address}:{s3.get_host_and_port()[1]}"
            self.bucket().create_bucket(Bucket="adadeep")
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        self._stack.close()

    def bucket(self):
        return boto3.client(
            "s3", endpoint_url=self.s3_url, **self._keys("aws_{}"), region_name="us-east-1"
        )

    def keys(self):
        """What is in the bucket."""
        pages = self.bucket().get_paginator("list_objects_v2").paginate(Bucket="adadeep")
        return [row["Key"] for page in pages for row in page.get("Contents", ())]

    def settings(self):
        """The environment of each machine."""
        return {
            "DATABASE_URL": self.cluster.far_url,
            "REDIS_URL": self.broker_url,
            "STORAGE_URL": "s3://adadeep/files",
            "AWS_ENDPOINT_URL": self.s3_url,
            "AWS_DEFAULT_REGION": "us-east-1",
            **{name.upper(): value for name, value in self._keys("aws_{}").items()},
        }

    def _keys(self, form):
        return {form.format("access_key_id"): "key", form.format("secret_access_key"): "secret"}


class Machine:
    """One machine: ``up`` or ``worker`` in a namespace of its own. ``cut`` loses packets without a word."""

    def __init__(self, shared, number, command, **settings):
        self.shared, self.number, self.command = shared, number, command
        self.name = f"adam{number}-{os.getpid() % 100_000}"
        self.cable = f"adac{number}-{os.getpid() % 100_000}"
        self.home, self.settings = shared.folder / f"machine{number}", settings
        self.port = 8000

    def __enter__(self):
        far = f"{self.cable}f"
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", self.cable, "type", "veth", "peer", "name", far)
        run("ip", "link", "set", self.cable, "master", self.shared.bridge, "up")
        run("ip", "link", "set", far, "netns", self.name)
        for words in (
            ("addr", "add", f"{NETWORK}.{self.number + 1}/24", "dev", far),
            ("link", "set", far, "up"),
            ("link", "set", "lo", "up"),
        ):
            run("ip", "-n", self.name, *words)
        with (
            contextlib.ExitStack() as unless_started
        ):  # nobody leaves the block that was never entered
            unless_started.callback(self.__exit__)
            self.start()
            unless_started.pop_all()
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        run("ip", "netns", "del", self.name)

    def start(self):
        self.home.mkdir(parents=True, exist_ok=True)
        if self.shared.study:
            (self.home / "study").symlink_to(self.shared.study)
        self.log = self.home / "machine.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                self._words(*self.command),
                cwd=ROOT,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        wait_for(
            lambda: "READY" in self.log.read_text() or self.process.poll() is not None, 180
        )
        assert self.process.poll() is None, self.log.read_text()

    def manage(self, *command):
        """What ``manage.py`` with that command says here."""
        return subprocess.run(
            self._words(*command),
            cwd=ROOT,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        ).stdout

    def _words(self, *command):
        return ["ip", "netns", "exec", self.name, sys.executable, "manage.py", *command]

    def _environment(self):
        return {
            **os.environ,
            "ADADEEP_HOME": str(self.home),
            "ENGINE_READABLE": f"{self.home},{self.shared.study or self.home}",
            **self.shared.settings(),
            **self.settings,
        }

    def cut(self):
        run("ip", "link", "set", self.cable, "down")

    def mend(self):
        run("ip", "link", "set", self.cable, "up")

    def call(self, method, path, value=None):
        """Ask the web server of this machine, from inside."""
        return json.loads(self.fetch(method, path, value) or b"{}")

    def fetch(self, method, path, value=None):
        answers = []
        body = json.dumps(value) if value is not None else ""
        thread = threading.Thread(target=lambda: answers.append(self._ask(method, path, body)))
        thread.start()
        thread.join()
        return answers[0]

    def job(self, job_id):
        return self.call("GET", f"/api/jobs/{job_id}")

    def host(self):
        """The name by which this machine works on jobs."""
        return f"{socket.gethostname()}-{(self.home / 'host').read_text()}"

    def tell_engine(self, **behaviour):
        (self.home / "fake.json").write_text(json.dumps(behaviour))

    def _ask(self, method, path, body):
        # One thread enters the namespace and ends there.
        with Path(f"/run/netns/{self.name}").open() as namespace:
            assert ctypes.CDLL(None).setns(namespace.fileno(), CLONE_NEWNET) == 0
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        token = "a" * 32
        headers = {
            "Cookie": f"csrftoken={token}",
            "X-CSRFToken": token,
            "Content-Type": "application/json",
        }
        connection.request(method, path, body, headers)
        content = connection.getresponse().read()
        connection.close()
        return content


@contextlib.contextmanager
def broker(folder, address):
    port = _free_port()
    options = {
        "port": port,
        "bind": address,
        "requirepass": PASSWORD,
        "save": "",
        "dir": folder,
    }
    words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
    server = subprocess.Popen([program(), *words], stdout=subprocess.DEVNULL)
    url = f"redis://:{PASSWORD}@{address}:{port}/0"
    try:
        wait_for(lambda: _answers(url), 10)
        yield url
    finally:
        server.kill()
        server.wait()


def _answers(url):
    with contextlib.suppress(redis.RedisError), redis.Redis.from_url(url) as broker:
        return broker.ping()


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.2)
