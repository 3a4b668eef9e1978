"""What the sockets of all pages have in common."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncJsonWebsocketConsumer
from channels.layers import get_channel_layer
from django.contrib.auth.models import User

from webapp.accounts.leaving import sockets_of
from webapp.channellayer import ChannelLayer

if TYPE_CHECKING:
    from collections.abc import Coroutine

logger = logging.getLogger(__name__)


def forget(channel: str) -> None:
    """Free what the channel layer keeps for a channel that nobody receives from any more."""
    layer = get_channel_layer()
    if isinstance(layer, ChannelLayer):
        layer.forget(channel)


class PageSocket(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels ships no types
    """A socket that lets what is no JSON object pass by instead of falling over it.

    ``until_left`` holds what the socket needs; it is given back however the socket ends.
    """

    async def __call__(self, *asgi: Any) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        async with contextlib.AsyncExitStack() as self.until_left:
            self.until_left.callback(self._forget)
            self.until_left.push_async_callback(self.stop)
            await super().__call__(*asgi)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this beside listening, until the socket ends."""
        task = asyncio.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End what was started."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)

    async def send(self, *args: Any, **options: Any) -> None:
        # To a page that has just gone: its end is told to us by itself.
        with contextlib.suppress(OSError):
            await super().send(*args, **options)

    async def close(self, *args: Any, **options: Any) -> None:
        await self.stop()
        await super().close(*args, **options)

    async def websocket_connect(self, message: dict[str, Any]) -> None:
        self.groups = [sockets_of(self.scope["user"].pk)]
        await super().websocket_connect(message)

    async def join(self, group: str) -> None:
        """Hear what is said in the group, until the socket closes."""
        self.groups.append(group)
        await self.channel_layer.group_add(group, self.channel_name)

    async def leave(self, group: str) -> None:
        self.groups.remove(group)
        await self.channel_layer.group_discard(group, self.channel_name)

    async def receive_json(self, content: dict[str, Any], **_: Any) -> None:
        if content.get("kind") == "sync":
            if not await self._is_account_open():
                await self.close(code=4401)
                return
            # A broker that was emptied has forgotten who listens, and after a day it forgets by itself.
            for group in self.groups:
                await self.channel_layer.group_add(group, self.channel_name)
            await self.sync(content)
            # The page takes silence for a dead line.
            await self.send_json({"kind": "synced"})

    async def sync(self, content: dict[str, Any]) -> None:
        """Tell the page whatever it may have missed; it asks every few seconds."""

    async def account_left(self, _message: dict[str, Any]) -> None:
        await self.close(code=4401)

    @database_sync_to_async  # type: ignore[untyped-decorator]  # Channels ships no types
    def _is_account_open(self) -> bool:
        """Asked anew: a broker that was away told nobody that the account was closed."""
        return User.objects.filter(pk=self.scope["user"].pk, is_active=True).exists()

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A fault closes the socket: the page comes back, instead of waiting in vain."""
        self.tasks.discard(task)
        if task.cancelled() or task.exception() is None:
            return
        logger.error("Socket %s failed", self.scope["path"], exc_info=task.exception())
        self.closing = asyncio.create_task(self.close(code=4500))

    def _forget(self) -> None:
        if hasattr(self, "channel_name"):  # there is none when the broker does not answer
            forget(self.channel_name)

    @classmethod
    async def decode_json(cls, text_data: str) -> dict[str, Any]:
        try:
            value = json.loads(text_data)
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}

    async def receive(
        self, text_data: str | None = None, bytes_data: bytes | None = None
    ) -> None:
        if text_data and not bytes_data:
            await super().receive(text_data=text_data)
