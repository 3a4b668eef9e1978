"""What the sockets of all pages have in common."""

import json
from typing import Any

from channels.generic.websocket import AsyncJsonWebsocketConsumer


class PageSocket(AsyncJsonWebsocketConsumer):  # type: ignore[misc]  # Channels ships no types  # type: ignore[misc]
    """A socket that lets what is no JSON object pass by instead of falling over it."""

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
