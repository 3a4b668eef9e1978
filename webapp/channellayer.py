"""What is said between processes, by way of the broker, without what Channels would keep for ever."""

from __future__ import annotations

from collections import UserDict
from typing import Any

from channels_redis.core import BoundedQueue, RedisChannelLayer


class OpenChannels(UserDict[str, Any]):
    """Messages that wait, by channel, for channels that are open.

    What was said to a whole group still comes for a page that has just left. Its messages would wait as long as the process lives.
    """

    def __init__(self, capacity: int) -> None:
        super().__init__()
        self.capacity = capacity
        self.names: set[str] = set()

    def __missing__(self, channel: str) -> Any:
        queue = BoundedQueue(self.capacity)
        if channel in self.names:
            self.data[channel] = queue
        return queue

    def __delitem__(self, channel: str) -> None:
        self.data.pop(channel, None)


class ChannelLayer(RedisChannelLayer):  # type: ignore[misc]  # Channels ships no types
    """Channels' own, with ``forget``: a channel is open from ``new_channel`` on until then."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.receive_buffer = OpenChannels(self.capacity)

    async def new_channel(self, prefix: str = "specific") -> str:
        name: str = await super().new_channel(prefix)
        self.receive_buffer.names.add(name)
        return name

    def forget(self, channel: str) -> None:
        """Free what is kept for a channel that nobody receives from any more."""
        self.receive_buffer.names.discard(channel)
        del self.receive_buffer[channel]
