"""A job's events as they happen, as server-sent events."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from channels.db import database_sync_to_async
from django.contrib.auth.models import User
from django.http import Http404, StreamingHttpResponse

from webapp.jobs import queries
from webapp.jobs.models import UNFINISHED

LOOK_EVERY_S = 0.5
"""The engine's lines are stored at this pace: looking more often shows nothing sooner."""

SIGN_OF_LIFE_S = 15.0


def event_stream(owner: User, job_id: UUID, after: int) -> StreamingHttpResponse:
    """``event`` for each event, ``job`` when state or stage change, and at last ``end``."""
    return StreamingHttpResponse(
        _messages(owner, job_id, after),
        content_type="text/event-stream",
        headers={"Cache-Control": "no-cache", "X-Accel-Buffering": "no"},
    )


async def _messages(owner: User, job_id: UUID, after: int) -> AsyncIterator[str]:
    told, last_word = None, time.monotonic()
    while True:
        try:
            job, events = await _news(owner, job_id, after)
        except Http404:
            return
        for event in events:
            after = event["seq"]
            yield f"id: {after}\n{_message('event', event)}"
        if told != (job["state"], job["stage"]):
            told = (job["state"], job["stage"])
            yield _message("job", job)
        if not events and job["state"] not in UNFINISHED:
            yield _message("end", job)
            return
        if events:
            last_word = time.monotonic()
        elif time.monotonic() - last_word > SIGN_OF_LIFE_S:
            last_word = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(LOOK_EVERY_S)


@database_sync_to_async  # type: ignore[untyped-decorator]  # Channels ships no types
def _news(owner: User, job_id: UUID, after: int) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """First the job, then its events: of one that has ended, none is missed."""
    if not User.objects.filter(pk=owner.pk, is_active=True).exists():
        raise Http404
    job = queries.job_get(owner=owner, job_id=job_id)
    return queries.job_json(job), queries.events_after(job, after)


def _message(kind: str, value: dict[str, Any]) -> str:
    return f"event: {kind}\ndata: {json.dumps(value)}\n\n"
