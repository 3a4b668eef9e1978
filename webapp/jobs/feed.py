"""What this web process hears of a job, once for all pages that watch it here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from channels.layers import get_channel_layer
from redis.exceptions import RedisError

from webapp.jobs.events import MOST_EVENTS_IN_A_NUDGE, group
from webapp.sockets import forget

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

logger = logging.getLogger(__name__)

STATE_EVERY_S = 5.0
"""While events come, the time that is left changes with them."""

MOST_RECENT = 4 * MOST_EVENTS_IN_A_NUDGE
PAUSE_S = 1.0

_feeds: dict[UUID, Feed] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a job stands: the number of its last event, and what pages show of it besides events and times."""

    last_seq: int
    shown: tuple[Any, ...]


class Feed:
    """The newest events of a job, written as JSON once, and its state, asked for once, however many watch.

    ``moved`` is set, and replaced, whenever there is something to tell. ``newest`` is the number of
    the last event that is known of. ``version`` rises whenever the state may have changed.
    """

    def __init__(self, job_id: UUID) -> None:
        self.job_id = job_id
        self.moved = asyncio.Event()
        self.newest = self.version = self.watchers = 0
        self._turn, self._state_turn = asyncio.Lock(), asyncio.Lock()
        self._channel = ""
        self._hearing: asyncio.Task[None] | None = None
        self._recent: deque[tuple[int, str]] = deque(maxlen=MOST_RECENT)
        self._told = (0, 0, "")
        self._standing: Standing | None = None
        self._state = ""
        self._asked_version, self._asked_at = -1, 0.0

    async def listen(self) -> None:
        """From now on hear of the job, also from a broker that was emptied."""
        layer = get_channel_layer()
        async with self._turn:
            if self._hearing is None:
                self._channel = await layer.new_channel()
                self._hearing = asyncio.create_task(self._hear())
            await layer.group_add(group(self.job_id), self._channel)

    async def end(self) -> None:
        """Hear of the job no more."""
        if self._hearing:
            self._hearing.cancel()
            await asyncio.wait([self._hearing])
            try:
                await get_channel_layer().group_discard(group(self.job_id), self._channel)
            finally:
                forget(self._channel)

    def check(self, found: Standing, *, patience_s: float) -> None:
        """Compare with the database, as every page asks for now and then: a notice may have been lost.

        Most are only on their way, and are worth waiting for: reading the log costs more than hearing of it.
        """
        if patience_s:
            asyncio.get_running_loop().call_later(patience_s, self._make_good, found.last_seq)
        else:
            self._make_good(found.last_seq)
        if self._standing is None or self._standing.shown != found.shown or self._is_old():
            self.version += 1
        self._tell()

    async def since(
        self, last: int, read: Callable[[int], Awaitable[list[dict[str, Any]]]]
    ) -> tuple[int, str]:
        """The message with the events after that number, and the number of the last one in it."""
        async with self._turn:
            after, newest, text = self._told
            if (after, newest) == (last, self.newest):
                return newest, text
            events = self._heard_since(last)
            if events is None:
                events = [(event["seq"], json.dumps(event)) for event in await read(last)]
            newest = events[-1][0] if events else last
            self.newest = max(self.newest, newest)
            listed = ", ".join(text for _, text in events)
            self._told = last, newest, f'{{"kind": "events", "events": [{listed}]}}'
            return newest, self._told[2]

    async def state(
        self, ask: Callable[[], Awaitable[tuple[Standing, dict[str, Any]] | None]]
    ) -> str:
        """The message with the job's state, no older than ``version``; empty when the job is gone."""
        wanted = self.version
        async with self._state_turn:
            if self._asked_version < wanted:
                version = self.version
                found = await ask()
                self._asked_version, self._asked_at = version, time.monotonic()
                self._standing = found[0] if found else None
                self._state = json.dumps({"kind": "state", "job": found[1]}) if found else ""
            return self._state

    async def _hear(self) -> None:
        while True:
            try:
                message = await get_channel_layer().receive(self._channel)
            except (OSError, RedisError) as error:
                # What is said meanwhile, the pages find when they ask next.
                logger.warning("Nothing is heard of job %s: %s", self.job_id, error)
                await asyncio.sleep(PAUSE_S)
            else:
                self._take(message["events"])

    def _take(self, events: list[dict[str, Any]]) -> None:
        for event in events:
            if not self._recent or event["seq"] > self._recent[-1][0]:
                self._recent.append((event["seq"], json.dumps(event)))
                self.newest = max(self.newest, event["seq"])
        if not events or self._is_old():
            self.version += 1
        self._tell()

    def _make_good(self, newest: int) -> None:
        if newest > self.newest:
            self.newest = newest
            self._tell()

    def _tell(self) -> None:
        moved, self.moved = self.moved, asyncio.Event()
        moved.set()

    def _is_old(self) -> bool:
        return time.monotonic() - self._asked_at > STATE_EVERY_S

    def _heard_since(self, last: int) -> list[tuple[int, str]] | None:
        """The events after that number; ``None`` where some of them were not heard of."""
        fresh = [event for event in self._recent if event[0] > last]
        is_whole = [number for number, _ in fresh] == list(range(last + 1, self.newest + 1))
        return fresh if is_whole else None


@contextlib.asynccontextmanager
async def watching(job_id: UUID) -> AsyncIterator[Feed]:
    """The job's feed in this process; whatever happens inside the block is heard of."""
    feed = _feeds.get(job_id) or _feeds.setdefault(job_id, Feed(job_id))
    feed.watchers += 1
    try:
        await feed.listen()
        yield feed
    finally:
        feed.watchers -= 1
        if not feed.watchers:
            del _feeds[job_id]
            await feed.end()
