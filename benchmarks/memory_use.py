"""Does the memory of web server and workers stay flat? Six hours of use, without the waits between.

``python -m benchmarks.memory_use [--steps 36] [--out FILE]``: ``manage.py up`` with real workers,
broker and web server, and an engine that pretends. Each step brings what ten minutes of a busy
installation bring: an upload that is studied, built and fetched, ten pages that watch, hands at
the sliders of five studios, pages, calls of programs, a refused upload, and a project that is
deleted. Prints the memory that is each part's own (USS) after every step, then by how much it
grows in an hour, without the first two, when caches fill.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import psutil
from websockets.asyncio.client import connect

from tests.e2e import staging
from tests.webapp import small_files

if TYPE_CHECKING:
    from tests.webapp.running import Installation

STEPS_AN_HOUR = 6
WARM_UP_H = 2.0
WATCHERS, STUDIOS, MOVES, KEPT_PROJECTS = 10, 5, 24, 6
PAGES = (
    "/",
    "/status/",
    "/devices/",
    "/devices/rpi4/",
    "/account/data/",
    "/metrics",
    "/api/v1/openapi.json",
)
OF_PROJECT = (
    "/projects/{project}/",
    "/api/projects/{project}/studio",
)
OF_JOB = (
    "/jobs/{job}/",
    "/api/jobs/{job}",
    "/api/jobs/{job}/events",
    "/api/jobs/{job}/figures",
    "/jobs/{job}/result/",
)
TIMES_EACH = 4
PARTS = {
    "uvicorn": "web",
    "engine@": "engine worker",
    "quick@": "quick worker",
    "valkey": "broker",
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=6 * STEPS_AN_HOUR)
    parser.add_argument("--out", type=Path, help="append the lines to a file as well")
    asked = parser.parse_args()
    rows: list[dict[str, float]] = []
    counts: dict[str, int] = defaultdict(int)
    projects: list[str] = []
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as home,
        staging.prepared(Path(home) / "home") as running,
    ):
        for number in range(asked.steps):
            asyncio.run(_ten_minutes(running, number, projects, counts))
            rows.append(_memory_mb(running))
            line = json.dumps({"h": (number + 1) / STEPS_AN_HOUR, **rows[-1]})
            print(line, flush=True)
            if asked.out:
                with asked.out.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")
    minutes = (time.monotonic() - started) / 60
    print(f"{asked.steps / STEPS_AN_HOUR:.1f} h of use in {minutes:.1f} min: {dict(counts)}")
    _print_table(rows)


async def _ten_minutes(
    running: Installation, number: int, projects: list[str], counts: dict[str, int]
) -> None:
    project = await asyncio.to_thread(staging.project, running, seed=number)
    projects.append(project)
    study = await asyncio.to_thread(staging.study_of, running, project)
    watching = [asyncio.create_task(_watch(running, study, counts)) for _ in range(WATCHERS)]
    await asyncio.to_thread(running.wait_for_state, study, "done", 120)
    await asyncio.gather(*(_slide(running, project, counts) for _ in range(STUDIOS)))
    build = await asyncio.to_thread(staging.built, running, project)
    watching += [asyncio.create_task(_watch(running, build, counts)) for _ in range(WATCHERS)]
    await asyncio.to_thread(_visit, running, project, build, counts)
    await asyncio.gather(*watching)
    counts["jobs"] += 2
    if len(projects) > KEPT_PROJECTS:
        await asyncio.to_thread(running.call, "DELETE", f"/api/projects/{projects.pop(0)}")
        counts["deleted projects"] += 1


async def _watch(running: Installation, job: str, counts: dict[str, int]) -> None:
    """A job page until it knows that the job has ended."""
    url = f"ws://127.0.0.1:{running.port}/ws/jobs/{job}/"
    counts["sockets"] += 1
    async with connect(url, origin=running.url, max_size=None) as socket:
        async for text in socket:
            message = json.loads(text)
            counts["messages"] += 1
            if message["kind"] == "state" and message["job"]["state"] == "done":
                return


async def _slide(running: Installation, project: str, counts: dict[str, int]) -> None:
    """A hand at the sliders: each move is answered before the next."""
    url = f"ws://127.0.0.1:{running.port}/ws/projects/{project}/"
    rng = np.random.default_rng(counts["sockets"])
    counts["sockets"] += 1
    async with connect(url, origin=running.url, max_size=None) as socket:
        for n in range(MOVES):
            weights = rng.dirichlet(np.ones(4)).tolist()
            goals = dict(
                zip(("accuracy", "latency", "energy", "storage"), weights, strict=True)
            )
            wanted = {"kind": "goals", "n": n, "goals": goals, "target": "redmi-3s"}
            await socket.send(json.dumps(wanted))
            while json.loads(await socket.recv())["kind"] != "answer":
                pass
            counts["slider answers"] += 1


def _visit(running: Installation, project: str, job: str, counts: dict[str, int]) -> None:
    for path in TIMES_EACH * (*PAGES, *OF_PROJECT, *OF_JOB, f"/jobs/{job}/files/model.onnx"):
        status = _get(running, path.format(project=project, job=job))
        counts["pages and calls" if status == 200 else f"{path}: {status}"] += 1
    with contextlib.suppress(KeyError):  # refused: it has no id
        staging._upload(running, "model", "broken.onnx", small_files.npz_bytes())
    counts["refused uploads"] += 1


def _get(running: Installation, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("GET", path)
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return answer.status


def _memory_mb(running: Installation) -> dict[str, float]:
    """What each part has for itself; a worker and its pool processes together."""
    found: dict[str, float] = defaultdict(float)
    supervisor = psutil.Process(running.process.pid)
    for process in (supervisor, *running.family()):
        with contextlib.suppress(psutil.NoSuchProcess):
            line = " ".join(process.cmdline())
            part = next((name for word, name in PARTS.items() if word in line), "supervisor")
            if part == "supervisor" and process != supervisor:
                continue  # an engine that is just ending
            found[part] += process.memory_full_info().uss / 1e6
    return {part: round(found[part], 1) for part in sorted(found)}


def _print_table(rows: list[dict[str, float]]) -> None:
    hours = np.arange(1, len(rows) + 1) / STEPS_AN_HOUR
    steady = hours > WARM_UP_H
    print("| part | MB after 1 h | 2 h | the end | an hour more, without the first two |")
    print("|---|---|---|---|---|")
    for part in rows[-1]:
        values = np.array([row.get(part, np.nan) for row in rows])
        at = [values[min(len(rows), h * STEPS_AN_HOUR) - 1] for h in (1, 2)]
        slope = np.polyfit(hours[steady], values[steady], 1)[0] if steady.sum() > 2 else np.nan
        print(f"| {part} | {at[0]:.1f} | {at[1]:.1f} | {values[-1]:.1f} | {slope:+.2f} MB |")


if __name__ == "__main__":
    main()
