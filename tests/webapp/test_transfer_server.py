"""Large files against the real server: its memory, its death, and the client that outlives it."""

import hashlib
import json
import subprocess
import sys
import threading
import time

import numpy as np
import psutil
import pytest

from docs.adadeep_client import AdaDeep
from tests.webapp.running import ROOT, Installation, environment

FILE_MIB = 192
MOST_GROWTH_MIB = 48


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with Installation(tmp_path_factory.mktemp("installation")) as installation:
        yield installation


@pytest.fixture(scope="module")
def adadeep(here):
    made = subprocess.run(
        [sys.executable, "manage.py", "create_token", "test"],
        cwd=ROOT,
        env=environment(here.home),
        capture_output=True,
        text=True,
        check=True,
    )
    return AdaDeep(made.stdout.strip(), here.url)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "large.npz"
    x = np.random.default_rng(0).integers(0, 255, FILE_MIB * 1024**2, np.uint8)
    np.savez(path, x=x.reshape(-1, 1024), y=np.zeros(len(x) // 1024, np.uint8))
    return path


def web(here):
    return here.child("uvicorn")


def test_memory_of_the_server_does_not_grow_with_the_file(here, adadeep, large):
    server, seen, is_done = psutil.Process(web(here).pid), [], threading.Event()
    adadeep.upload("data", ROOT / "webapp" / "samples" / "digits" / "data.npz")
    before = server.memory_info().rss

    def watch():
        while not is_done.wait(0.05):
            seen.append(server.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    adadeep.upload("data", large)
    is_done.set()
    watcher.join()
    assert (max(seen) - before) / 1024**2 < MOST_GROWTH_MIB


def test_upload_outlives_a_killed_server(here, adadeep, large, tmp_path):
    content = bytearray(large.read_bytes())
    content[-200] ^= 1  # another file
    other, found = tmp_path / "other.npz", []
    other.write_bytes(content)
    sending = threading.Thread(target=lambda: found.append(adadeep.upload("data", other)))
    sending.start()
    first = begun(adadeep)
    web(here).kill()
    sending.join(60)
    assert found, "the client gave up"
    stored = hashlib.sha256(bytes(content)).hexdigest()
    path = here.home / "uploads" / stored[:2] / stored
    assert path.stat().st_size == len(content)
    assert adadeep.ask("GET", f"transfers/{first['id']}")["upload"] == found[0]


def begun(adadeep):
    """The upload under way, once some of it has come."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        for row in adadeep.ask("GET", "transfers")["transfers"]:
            if row["received_bytes"] >= 16 * 1024**2:
                return row
        time.sleep(0.02)
    raise AssertionError("nothing came: " + json.dumps(adadeep.ask("GET", "transfers")))
