"""Whoever signs out, or is shut out, stops seeing what sockets show."""

import logging

from asgiref.sync import async_to_sync
from channels.layers import get_channel_layer
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)


def sockets_of(user_id: int) -> str:
    """The channel group of a person's sockets."""
    return f"user-{user_id}"


def sockets_close(user_id: int) -> None:
    """Close them; pages that are still signed in open theirs again."""
    try:
        async_to_sync(get_channel_layer().group_send)(
            sockets_of(user_id), {"type": "account.left"}
        )
    except (OSError, RedisError) as error:
        logger.warning("Sockets of account %s were not closed: %s", user_id, error)
