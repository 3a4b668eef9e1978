"""What the sockets of all pages have in common."""

import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer

from webapp.accounts.leaving import sockets_of


class PageSocket(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels ships no types
    """A socket that lets what is no JSON object pass by instead of falling over it."""

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
            # A broker that was emptied has forgotten who listens, and after a day it forgets by itself.
            for group in self.groups:
                await self.channel_layer.group_add(group, self.channel_name)
            await self.sync(content)

    async def sync(self, content: dict[str, Any]) -> None:
        """Tell the page whatever it may have missed; it asks every few seconds."""

    async def account_left(self, _message: dict[str, Any]) -> None:
        await self.close(code=4401)

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
