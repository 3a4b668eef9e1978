from __future__ import annotations

import logging

from kombu.exceptions import OperationalError

from webapp.agents.services import tasks_reap
from webapp.celery import app

DEVICE = "device"
"""The queue. Agents never come near it: they ask the web server, and the database says what they get."""

logger = logging.getLogger(__name__)


@app.task(name="agents.reap")
def reap() -> None:
    """Take tasks back from agents that went silent, so that the next one who asks gets them."""
    tasks_reap()


def send_reap(every_s: float) -> None:
    """Ask a worker to reap; a message that waited until the next one is dropped."""
    try:
        reap.apply_async(queue=DEVICE, expires=every_s, retry=False)
    except OperationalError as error:
        logger.warning("The broker does not answer: %s", error)
