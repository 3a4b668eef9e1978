"""Whether somebody works: each worker leaves a sign of life at the broker every few seconds."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import redis
from django.conf import settings

from webapp.datafolder import this_host
from webapp.jobs.models import Job, JobState

if TYPE_CHECKING:
    from collections.abc import Iterator

logger = logging.getLogger(__name__)

QUEUES = ("quick", "engine")
SERVED = {
    "quick": "inspection",
    "engine": "every stage that nobody else takes",
    "gpu": "fine-tuning, before all others",
    "device": "connected devices",
}
"""What each queue is for, in words."""

SILENT_S = 30.0


def sign_of_life(queue: str) -> None:
    """Say that this queue has a worker on this machine."""
    with _broker() as broker:
        broker.zadd(_key(queue), {this_host(settings.ADADEEP_HOME): _now_s(broker)})


def hosts(queue: str) -> list[str]:
    """The machines whose workers of this queue gave a sign lately."""
    found: list[bytes] = []
    with _broker() as broker:
        found = broker.zrangebyscore(_key(queue), _now_s(broker) - SILENT_S, "+inf")
    return [name.decode() for name in found]


def answering(queue: str) -> bool:
    """Whether a worker of this queue gave a sign lately."""
    return bool(hosts(queue))


def answering_here(queue: str) -> bool:
    """Whether one on this machine did."""
    return this_host(settings.ADADEEP_HOME) in hosts(queue)


def served() -> dict[str, list[str]]:
    """Each machine whose workers answer, with the queues that they serve."""
    found: dict[str, list[str]] = {}
    for queue in SERVED:
        for host in hosts(queue):
            found.setdefault(host, []).append(queue)
    return found


def forget_workers_here() -> None:
    """Take back what workers of this machine said: they are as silent as if they had long stopped."""
    with _broker() as broker:
        for key in broker.scan_iter(_key("*")):
            broker.zadd(key, {this_host(settings.ADADEEP_HOME): 0.0}, xx=True)


def fell_silent(queue: str) -> bool:
    """Whether a worker of this queue fell silent or stopped; each is told of once."""
    gone = 0
    with _broker() as broker:
        latest = f"({_now_s(broker) - SILENT_S}"
        gone = broker.zremrangebyscore(_key(queue), "-inf", latest)
    return bool(gone)


def holds_messages(queue: str) -> bool:
    """Whether any waits for a worker of this queue; one that is being worked on does not."""
    found: list[bytes] = []
    with _broker() as broker:
        found = broker.lrange(queue, 0, 0)
    return bool(found)


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


def _key(queue: str) -> str:
    return f"adadeep-workers-{queue}"


def _now_s(broker: Any) -> float:
    """By the broker's clock: those of several machines differ."""
    seconds, micros = broker.time()
    return float(seconds + micros / 1e6)


@contextmanager
def _broker() -> Iterator[Any]:
    """The broker; one that does not answer knows of no workers."""
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2) as broker:
            yield broker
    except (redis.RedisError, OSError) as error:
        logger.debug("The broker does not answer: %s", error)
