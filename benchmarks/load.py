"""How soon 200 browsers that watch 20 jobs learn of each event, and whether one misses any.

``python -m benchmarks.load [--browsers 200] [--jobs 20] [--seconds 60] [--processes 1]``: ``manage.py up`` with one web process on
the first core; all else, the writer of events and the browsers among it, on the others. Several web processes get a core
each, and all else shares them. Events are written as workers write them: numbered rows, then a nudge through the broker. Prints
one line of JSON. ``told_a_cpu_s`` is how many events pages were told in a second of the busiest web process's own
processor time: what it carries when it has its core to itself.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
from websockets.asyncio.client import connect

from tests.webapp.running import Installation

if TYPE_CHECKING:
    from uuid import UUID

    from webapp.jobs.lease import Lease

EVENTS_A_SECOND = 2.0
SYNC_EVERY_S = 15.0
"""As static/js/lib/socket.js does it."""
SETTLING_S = 10.0
LONGEST_WAIT_S = 20.0


class Browser:
    """A job page: the events it was told, with how long each took to come."""

    def __init__(self) -> None:
        self.last = 0
        self.delays_ms: list[float] = []
        self.out_of_order = 0
        self.states = 0

    async def watch(self, url: str, origin: str) -> None:
        """Listen until cancelled."""
        async with connect(url, origin=origin, max_size=None) as socket:  # type: ignore[arg-type]
            pinging = asyncio.create_task(self._ping(socket))
            try:
                async for text in socket:
                    self._take(json.loads(text))
            finally:
                pinging.cancel()

    async def _ping(self, socket: Any) -> None:
        while True:
            await asyncio.sleep(SYNC_EVERY_S)
            await socket.send(json.dumps({"kind": "sync", "after": self.last}))

    def _take(self, message: dict[str, Any]) -> None:
        if message["kind"] == "state":
            self.states += 1
        for event in message.get("events", ()):
            self._take_event(event)

    def _take_event(self, event: dict[str, Any]) -> None:
        if event["seq"] <= self.last:
            return  # told again after a sync
        self.out_of_order += event["seq"] != self.last + 1
        self.last = event["seq"]
        if "sent" in event["data"]:
            self.delays_ms.append(1000 * (time.time() - event["data"]["sent"]))


class Writer(threading.Thread):
    """Writes the events of all jobs, evenly spread, and keeps their leases."""

    def __init__(
        self, leases: list[Lease], seconds: float, servers: list[psutil.Process]
    ) -> None:
        super().__init__()
        self.leases, self.seconds, self.servers = leases, seconds, servers
        self.late_ms = 0.0
        self.server_cpu_s: list[float] = []

    def run(self) -> None:
        """Write until the time is over."""
        from webapp.jobs.events import Line, append

        step_s = 1 / (EVENTS_A_SECOND * len(self.leases))
        before, started = self._cpu_s(), time.monotonic()
        for number in range(round(self.seconds / step_s)):
            pause_s = started + number * step_s - time.monotonic()
            self.late_ms = max(self.late_ms, -1000 * pause_s)
            time.sleep(max(0.0, pause_s))
            lease = self.leases[number % len(self.leases)]
            data = {"sent": time.time(), "step": number}
            append(lease, [Line(stage="SEARCH", kind="metric", data=data)])
            if number % (10 * len(self.leases)) < len(self.leases):
                lease.beat()
        self.server_cpu_s = [
            now - then for now, then in zip(self._cpu_s(), before, strict=True)
        ]

    def _cpu_s(self) -> list[float]:
        return [sum(server.cpu_times()[:2]) for server in self.servers]


def main() -> None:
    asked = _arguments()
    with (
        tempfile.TemporaryDirectory() as home,
        Installation(
            Path(home) / "home", web_processes=asked.processes, LEASE_LOST_S="600"
        ) as running,
    ):
        servers = [p for p in running.family() if "uvicorn" in p.cmdline()]
        _pin(running, servers)
        leases = _jobs(running, asked.jobs)
        writer = Writer(leases, asked.seconds, servers)
        browsers = asyncio.run(_watched(running, leases, writer, asked.browsers))
        print(json.dumps(_summary(browsers, leases, writer)))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--browsers", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--processes", type=int, default=1)
    return parser.parse_args()


def _pin(running: Installation, servers: list[psutil.Process]) -> None:
    """Each web process stays on its core; the others are left to the rest, where there are others."""
    cores = sorted(os.sched_getaffinity(0))
    for process in (psutil.Process(), psutil.Process(running.process.pid), *running.family()):
        process.cpu_affinity(cores[len(servers) :] or cores)
    for number, server in enumerate(servers):
        server.cpu_affinity([cores[number % len(cores)]])


def _jobs(running: Installation, count: int) -> list[Lease]:
    """Jobs that this process works on, as a worker would."""
    os.environ |= {
        "ADADEEP_HOME": str(running.home),
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
    }
    import django

    django.setup()
    from webapp.accounts.models import local_user
    from webapp.jobs.lease import claim
    from webapp.jobs.models import Job, JobKind

    made = [
        Job.objects.create(
            owner=local_user(), kind=JobKind.STUDY, target="this-host", stage="SEARCH"
        )
        for _ in range(count)
    ]
    return [lease for job in made if (lease := claim(job.pk))]


async def _watched(
    running: Installation, leases: list[Lease], writer: Writer, count: int
) -> list[tuple[Browser, UUID]]:
    """All browsers, evenly over the jobs, from their opening until they know the last event."""
    browsers = [(Browser(), leases[number % len(leases)].job_id) for number in range(count)]
    tasks = []
    for browser, job_id in browsers:
        url = f"ws://127.0.0.1:{running.port}/ws/jobs/{job_id}/"
        tasks.append(asyncio.create_task(browser.watch(url, running.url)))
        await asyncio.sleep(0.02)
    await asyncio.sleep(SETTLING_S)
    writer.start()
    await asyncio.to_thread(writer.join)
    wanted = round(writer.seconds * EVENTS_A_SECOND)
    deadline = time.monotonic() + LONGEST_WAIT_S
    while any(browser.last < wanted for browser, _ in browsers) and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    gone = sum(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    if gone:
        raise SystemExit(f"{gone} sockets were closed.")
    return browsers


def _summary(
    browsers: list[tuple[Browser, UUID]], leases: list[Lease], writer: Writer
) -> dict[str, Any]:
    from webapp.jobs.models import Job

    last = dict(Job.objects.values_list("pk", "last_seq"))
    delays = np.concatenate([browser.delays_ms for browser, _ in browsers])
    p50, p95, p99 = np.percentile(delays, (50, 95, 99)).round(1).tolist()
    return {
        "browsers": len(browsers),
        "jobs": len(leases),
        "events": sum(last.values()),
        "told": len(delays),
        "missed": sum(last[job_id] - browser.last for browser, job_id in browsers),
        "out_of_order": sum(browser.out_of_order for browser, _ in browsers),
        "p50_ms": p50,
        "p95_ms": p95,
        "p99_ms": p99,
        "longest_ms": round(float(delays.max()), 1),
        "writer_late_ms": round(writer.late_ms, 1),
        "server_cpu_shares": [round(s / writer.seconds, 2) for s in writer.server_cpu_s],
        "told_a_cpu_s": round(len(delays) / max(writer.server_cpu_s)),
        "states": sum(browser.states for browser, _ in browsers),
    }


if __name__ == "__main__":
    main()
