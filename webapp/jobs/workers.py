"""Whether somebody works: workers leave signs of life in the data folder every few seconds; the broker answers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings

from webapp.jobs.models import Job, JobState

if TYPE_CHECKING:
    from pathlib import Path

QUEUES = ("quick", "engine")
SILENT_S = 30.0


def sign_of_life(queue: str) -> None:
    """Say that this queue has a worker."""
    _sign(queue).touch()


def answering(queue: str) -> bool:
    """Whether a worker of this queue gave a sign lately."""
    try:
        return time.time() - _sign(queue).stat().st_mtime < SILENT_S
    except FileNotFoundError:
        return False


def broker_answers() -> bool:
    """Whether there is a broker to carry messages to workers."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as broker:
            return bool(broker.ping())
    except (redis.RedisError, OSError):
        return False


def worker_status() -> dict[str, Any]:
    """State (``ready``, ``busy`` or ``silent``) and its words for the page's head."""
    if not all(answering(queue) for queue in QUEUES):
        return {"state": "silent", "text": "Worker not answering, jobs wait"}
    running = Job.objects.filter(state=JobState.RUNNING).count()
    if running:
        jobs = "1 job" if running == 1 else f"{running} jobs"
        return {"state": "busy", "text": f"Worker busy, {jobs}"}
    return {"state": "ready", "text": "Worker ready"}


def _sign(queue: str) -> Path:
    return settings.ADADEEP_HOME / "run" / f"worker-{queue}"
