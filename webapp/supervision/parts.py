"""The processes of an installation: two workers and the web server."""

from __future__ import annotations

import os
import signal
import sys
from typing import TYPE_CHECKING

from django.conf import settings

from webapp.datafolder import broker_url, this_host
from webapp.supervision.addresses import allowed_hosts
from webapp.supervision.children import Child

if TYPE_CHECKING:
    import socket
    from pathlib import Path


def has_embedded_broker() -> bool:
    """Whether the broker is ours to start."""
    return bool(broker_url(settings.ADADEEP_HOME) == settings.REDIS_URL)


def log_path(name: str) -> Path:
    """Where a part writes its log."""
    folder: Path = settings.ADADEEP_HOME / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder / f"{name}.log"


def worker(queue: str, processes: int, environment: dict[str, str], *also: str) -> Child:
    """A Celery worker that serves a queue, and along with it others that have little to do."""
    command = [
        *(sys.executable, "-m", "celery", "-A", "webapp", "worker"),
        *(
            "--queues",
            ",".join((queue, *also)),
            "--hostname",
            f"{queue}@{this_host(settings.ADADEEP_HOME)}",
            "--pool",
            "prefork",
        ),
        *("--concurrency", str(processes), "--loglevel", "INFO"),
        *("--without-gossip", "--without-mingle"),
    ]
    return Child(
        name=f"{queue} worker",
        command=command,
        folder=settings.BASE_DIR,
        log=log_path(f"worker-{queue}"),
        environment={**environment, "WORKER_QUEUES": ",".join((queue, *also))},
        # Not SIGTERM, which waits for the running job to end.
        stop_signal=signal.SIGQUIT,
        patience_s=2.0,  # an idle one takes its time, and a killed one costs nothing
    )


def web(number: int, host: str, listener: socket.socket, environment: dict[str, str]) -> Child:
    """One of the web server's processes; all take what comes to the same listening socket."""
    command = [
        *(sys.executable, "-m", "uvicorn", "webapp.asgi:application"),
        *("--fd", str(listener.fileno()), "--lifespan", "off", "--no-access-log"),
        *("--no-server-header", "--ws-max-size", "65536", *_proxy_options()),
        *("--timeout-graceful-shutdown", "3", "--log-level", "warning"),
    ]
    name = "web" if number == 1 else f"web-{number}"
    return Child(
        name=name,
        command=command,
        folder=settings.BASE_DIR,
        log=log_path(name),
        inherited=(listener.fileno(),),
        # Answers multiply small matrices: threads that wait for each other made them 3 times slower.
        environment={
            **environment,
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
            # Django spools bodies into the system's temporary folder, which may be small or in memory.
            "TMPDIR": str(settings.ADADEEP_HOME / "tmp"),
            # Said outright: with a long path the embedded broker's socket lies in that folder, too.
            "REDIS_URL": settings.REDIS_URL,
            "ALLOWED_HOSTS": ",".join(allowed_hosts(host)),
        },
    )


def _proxy_options() -> tuple[str, ...]:
    """Whom the proxy speaks for is believed from its own address only."""
    if not settings.BEHIND_HTTPS:
        return ("--no-proxy-headers",)
    return ("--proxy-headers", "--forwarded-allow-ips", settings.TRUSTED_PROXIES)


def environment(engine_workers: int) -> dict[str, str]:
    """What every part is told. Engines that work side by side share the cores among them."""
    cores_each = max(1, (os.cpu_count() or 1) // max(1, engine_workers))
    return {
        "ENGINE_THREADS": str(min(settings.ENGINE_THREADS, cores_each)),
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
        "ADADEEP_HOME": str(settings.ADADEEP_HOME),
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(settings.BASE_DIR), os.environ.get("PYTHONPATH")])
        ),
    }
