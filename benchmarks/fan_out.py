"""Seconds that probing and validation take with one worker and with several: ``manage.py up`` and the real engine.

``python -m benchmarks.fan_out FOLDER [SAMPLE]`` first makes a data folder with a finished study (digits by default). Called
again, it does the two stages anew in copies of it, with 1 and 2 workers and one thread an engine; nothing else may
run. It also compares the candidates that were built, which must not depend on the number of workers.
What two workers can reach at most on a machine is told by two studies that share nothing but its cores.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
STUDY = ("PROBE", "SEARCH", "VALIDATE")
SHARED = ("PROBE", "VALIDATE")
WORKERS = (1, 2)
TOKEN = "a" * 32
Row = dict[str, Any]


def main(folder: Path, sample: str) -> None:
    if not folder.exists():
        with _running(folder, 1) as port:
            _call(port, "POST", f"/api/samples/{sample}/open")
            _until_done(folder, port, "VALIDATE")
        print(f"{folder} holds a study now; call again to measure.")
        return
    found = {(stage, n): _anew(folder, stage, n) for stage in SHARED for n in WORKERS}
    with ThreadPoolExecutor(2) as two:
        apart = [two.submit(_anew, folder, "VALIDATE", 1) for _ in range(2)]
    both = max(each.result()[0] for each in apart)
    for stage in SHARED:
        alone, shared = (found[stage, n][0] for n in WORKERS)
        print(
            f"{stage}: {alone} s alone, {shared} s with two, {alone / shared:.2f} times as fast"
        )
    limit = 2 * found["VALIDATE", 1][0] / both
    print(
        f"VALIDATE of two studies side by side: {both} s, so these cores do {limit:.2f} times as much as one"
    )
    first, second = (found["VALIDATE", n][1] for n in WORKERS)
    same = sum(one == other for one, other in zip(first, second, strict=True))
    print(f"{same} of {len(first)} candidates and what they lost are the same")


def _anew(folder: Path, stage: str, workers: int) -> tuple[float, list[Any]]:
    """Seconds of a stage done again, and the candidates that are there afterwards."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch) / "home"
        shutil.copytree(
            folder, home, symlinks=True, ignore=shutil.ignore_patterns("run", "broker")
        )
        _forget(home, STUDY[STUDY.index(stage) :])
        with _running(home, workers) as port:
            seconds = _until_done(home, port, stage)
        result = _job_folder(home) / "VALIDATE" / "candidates.json"
        rows = json.loads(result.read_text())["candidates"] if result.is_file() else []
        return seconds, [(row["config"], row["drop_points"]) for row in rows]


def _forget(home: Path, stages: tuple[str, ...]) -> None:
    for stage in stages:
        shutil.rmtree(_job_folder(home) / stage)
    with sqlite3.connect(home / "adadeep.sqlite3") as database:
        database.execute("delete from jobs_jobpart")
        database.execute("update jobs_job set state = 'queued', stages = '{}', finished = null")


def _until_done(home: Path, port: int, stage: str) -> float:
    """The seconds of a stage, as the job says them."""
    job = _job_folder(home).name
    while True:
        state = _call(port, "GET", f"/api/jobs/{job}")
        row = next(row for row in state["stages"] if row["stage"] == stage)
        if row["state"] == "done":
            return float(row["seconds"])
        if state["state"] not in ("queued", "running"):
            raise SystemExit(f"The study ended as {state['state']}: {state['message']}")
        time.sleep(0.5)


def _job_folder(home: Path) -> Path:
    """Of the only job; it appears when a worker takes the job up."""
    while not (found := next((home / "jobs").iterdir(), None)):
        time.sleep(0.2)
    return found


@contextmanager
def _running(home: Path, workers: int) -> Iterator[int]:
    """AdaDeep on a port of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    server = subprocess.Popen(
        [sys.executable, "manage.py", "up", "--port", str(port), "--workers", str(workers)],
        cwd=ROOT,
        env={**os.environ, "ADADEEP_HOME": str(home), "ENGINE_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        if not any(line.startswith("READY") for line in server.stdout or ()):
            raise SystemExit("AdaDeep did not start.")
        yield port
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(60)


def _call(port: int, method: str, path: str) -> Row:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    headers = {"Cookie": f"csrftoken={TOKEN}", "X-CSRFToken": TOKEN}
    connection.request(method, path, "{}" if method == "POST" else None, headers)
    answer: Row = json.loads(connection.getresponse().read())
    connection.close()
    return answer


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "digits")
