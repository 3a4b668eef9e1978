"""The real thing under test: ``manage.py up`` with a data folder of its own, and a real browser."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@dataclass
class Product:
    process: subprocess.Popen
    url: str
    log: Path

    def engine_worker(self) -> psutil.Process:
        """The worker that runs the long stages, as the supervisor started it."""
        for child in psutil.Process(self.process.pid).children(recursive=True):
            command = child.cmdline()
            if any("celery" in word for word in command) and any(
                re.search(r"\bengine\b", word) for word in command
            ):
                return child
        raise AssertionError("no engine worker is running\n" + self.log.read_text()[-3000:])

    def stop(self) -> int:
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(timeout=40)
        _gone, alive = psutil.wait_procs(family, timeout=10)
        for orphan in alive:
            orphan.kill()
        assert not alive, f"left running: {[orphan.cmdline() for orphan in alive]}"
        return code


def start(home: Path, **settings: str) -> Product:
    port, log = _free_port(), home / "up.log"
    home.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "ADADEEP_HOME": str(home), **settings}
    environment.pop("DJANGO_SETTINGS_MODULE", None)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "up", "--port", str(port)],
            cwd=ROOT,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + 180
    while "READY" not in log.read_text():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(
                "`manage.py up` did not get ready:\n" + log.read_text()[-3000:]
            )
        time.sleep(0.2)
    return Product(process=process, url=f"http://127.0.0.1:{port}", log=log)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
