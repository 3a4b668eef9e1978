"""Proof that the parts work together."""

from __future__ import annotations

import http.client
import json

from celery.exceptions import TimeoutError as NoAnswer
from django.conf import settings
from django.urls import reverse

from webapp.jobs.tasks import QUEUES, ping

PING_TIMEOUT_S = 30


class UnhealthyError(Exception):
    """What does not work."""


def web_health(host: str, port: int) -> dict[str, object] | None:
    """What ``/healthz`` says; ``None`` while nobody answers."""
    connection = http.client.HTTPConnection(host, port, timeout=3)
    try:
        connection.request("GET", "/healthz")
        result: dict[str, object] = json.loads(connection.getresponse().read())
    except (OSError, ValueError, http.client.HTTPException):
        return None
    else:
        return result
    finally:
        connection.close()


def prove(host: str, port: int) -> None:
    """Get the first page and a task's answer through each queue.

    Raises:
        UnhealthyError: naming what failed.
    """
    connection = http.client.HTTPConnection(host, port, timeout=10)
    try:
        connection.request("GET", _first_page())
        status = connection.getresponse().status
    finally:
        connection.close()
    if status != http.client.OK:
        raise UnhealthyError(f"The first page answers {status}.")
    for queue in QUEUES:
        try:
            ping.apply_async(queue=queue).get(timeout=PING_TIMEOUT_S)
        except NoAnswer as error:
            raise UnhealthyError(f"The {queue} worker does not answer.") from error


def _first_page() -> str:
    return reverse("login" if settings.AUTH_MODE == "accounts" else "home")
