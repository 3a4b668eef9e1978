from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from channels.db import database_sync_to_async
from django.http import Http404

from webapp.jobs import queries
from webapp.jobs.feed import Standing, watching
from webapp.sockets import PageSocket

if TYPE_CHECKING:
    from uuid import UUID

    from webapp.jobs.models import Job

PATIENCE_S = 2.0
"""How long a page that asks whether it missed something waits for notices that may be on their way."""


class JobConsumer(PageSocket):
    """Sends a job's events without a gap, and its state whenever it moves."""

    async def connect(self) -> None:
        self.job_id: UUID = self.scope["url_route"]["kwargs"]["job_id"]
        query = parse_qs(self.scope["query_string"].decode("latin1"))
        self.last = queries.event_number(query.get("after", ["0"])[0])
        self.version = -1
        await self.accept()
        # First the feed, then the database: what happens in between is told twice, not never.
        self.feed = await self.until_left.enter_async_context(watching(self.job_id))
        if not await self.look(patience_s=0):
            await self.close(code=4404)
            return
        await self.send_state()
        self.start(self.follow())

    async def sync(self, content: dict[str, Any]) -> None:
        self.last = min(self.last, queries.event_number(content.get("after", self.last)))
        await self.feed.listen()
        await self.look(patience_s=PATIENCE_S)

    async def look(self, *, patience_s: float) -> bool:
        """Let the feed know where the job stands; whether there is such a job."""
        found = await self._standing()
        if found:
            self.feed.check(found, patience_s=patience_s)
        return found is not None

    async def follow(self) -> None:
        while True:
            moved = self.feed.moved
            await self.send_events()
            await self.send_state()
            await moved.wait()

    async def send_state(self) -> None:
        if self.version == self.feed.version:
            return
        self.version = self.feed.version
        if text := await self.feed.state(self._state):
            await self.send(text_data=text)

    async def send_events(self) -> None:
        while self.last < self.feed.newest:
            last, text = await self.feed.since(self.last, self._events_after)
            if last == self.last:
                return  # they went with the job
            self.last = last
            await self.send(text_data=text)

    @database_sync_to_async
    def _standing(self) -> Standing | None:
        job = self._job()
        return _standing(job) if job else None

    @database_sync_to_async
    def _state(self) -> tuple[Standing, dict[str, Any]] | None:
        job = self._job()
        return (_standing(job), queries.job_json(job)) if job else None

    @database_sync_to_async
    def _events_after(self, seq: int) -> list[dict[str, Any]]:
        job = self._job()
        return queries.events_after(job, seq) if job else []

    def _job(self) -> Job | None:
        try:
            return queries.job_get(owner=self.scope["user"], job_id=self.job_id)
        except Http404:
            return None


def _standing(job: Job) -> Standing:
    asked = job.cancel_requested, job.pause_requested, job.finish_requested
    shown = job.state, job.stage, job.stages, job.message, asked
    return Standing(last_seq=job.last_seq, shown=shown)
