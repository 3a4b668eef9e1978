from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.http import Http404

from webapp.jobs import queries
from webapp.jobs.events import group
from webapp.sockets import PageSocket

if TYPE_CHECKING:
    from uuid import UUID


STATE_EVERY_S = 5.0

_last_told: dict[UUID, tuple[float, dict[str, Any]]] = {}
"""Of each job that is watched, when its state was asked for last, and what it was."""

_turns: dict[UUID, asyncio.Lock] = defaultdict(asyncio.Lock)


class JobConsumer(PageSocket):
    """Sends a job's events without a gap, and its state whenever it moves."""

    async def connect(self) -> None:
        self.job_id: UUID = self.scope["url_route"]["kwargs"]["job_id"]
        query = parse_qs(self.scope["query_string"].decode("latin1"))
        self.last = _number(query.get("after", ["0"])[0])
        # Nudges arrive from other tasks of this connection: one sender at a time keeps the order.
        self.sending = asyncio.Lock()
        self.state_sent = 0.0
        await self.accept()
        # First the group, then the database: what happens in between comes twice, not never.
        await self.join(group(self.job_id))
        if not await self.send_state():
            await self.close(code=4404)
            return
        await self.send_stored()

    async def sync(self, content: dict[str, Any]) -> None:
        self.last = min(self.last, _number(content.get("after", self.last)))
        await self.send_stored()
        # Also a lost notice that the job ended is made good, though no event follows it.
        await self.send_state()

    async def job_moved(self, message: dict[str, Any]) -> None:
        events = message["events"]
        if events:
            await self.send_new(events)
        # With the events the time that is left changes, too.
        if not events:
            await self.send_state()
        elif time.monotonic() - self.state_sent > STATE_EVERY_S:
            await self.send_recent_state()

    async def send_new(self, events: list[dict[str, Any]]) -> None:
        async with self.sending:
            fresh = [event for event in events if event["seq"] > self.last]
            is_gap_free = bool(fresh) and fresh[0]["seq"] == self.last + 1
            if is_gap_free:
                await self._send_all(fresh)
        if fresh and not is_gap_free:
            await self.send_stored()

    async def send_stored(self) -> None:
        async with self.sending:
            while events := await self._events_after(self.last):
                await self._send_all(events)

    async def send_state(self) -> bool:
        state = await self._state()
        self.state_sent = time.monotonic()
        if state is not None:
            _last_told[self.job_id] = self.state_sent, state
            await self.send_json({"kind": "state", "job": state})
        return state is not None

    async def send_recent_state(self) -> None:
        """What another page of the job was told just now will do: asking takes many queries, and nothing but the time left changed."""
        async with _turns[self.job_id]:
            asked, state = _last_told.get(self.job_id, (0.0, {}))
            if time.monotonic() - asked > STATE_EVERY_S:
                await self.send_state()
                return
        self.state_sent = time.monotonic()
        await self.send_json({"kind": "state", "job": state})

    async def disconnect(self, _code: int) -> None:
        _last_told.pop(self.job_id, None)
        _turns.pop(self.job_id, None)

    async def _send_all(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            await self.send_json({"kind": "event", "event": event})
            self.last = event["seq"]

    @database_sync_to_async
    def _state(self) -> dict[str, Any] | None:
        try:
            return queries.job_json(
                queries.job_get(owner=self.scope["user"], job_id=self.job_id)
            )
        except Http404:
            return None

    @database_sync_to_async
    def _events_after(self, seq: int) -> list[dict[str, Any]]:
        try:
            job = queries.job_get(owner=self.scope["user"], job_id=self.job_id)
        except Http404:
            return []
        return queries.events_after(job, seq)


def _number(value: object) -> int:
    return int(value) if isinstance(value, int | str) and str(value).isdigit() else 0
