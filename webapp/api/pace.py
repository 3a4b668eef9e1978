"""How often a person's programs may ask: one counter a minute, at the broker, for all web processes together."""

import logging
from time import time

from django.conf import settings
from django.contrib.auth.models import User
from django.core.cache import cache
from django.http import HttpRequest
from redis.exceptions import RedisError

from webapp.bodylimit import is_chunk
from webapp.responses import RequestRefusedError

logger = logging.getLogger(__name__)

WINDOW_S = 60


def count_request(request: HttpRequest, user: User, times: int = 1) -> None:
    """Count a request to the API, or several that came as one.

    Raises:
        RequestRefusedError: 429 with the seconds to wait, when there were too many in this minute.
    """
    most = settings.API_REQUESTS_PER_MINUTE
    # Chunks of uploads have limits of their own: a fast network sends dozens a second.
    if not most or is_chunk(request.path, request.method or ""):
        return
    window, spent_s = divmod(time(), WINDOW_S)
    if _count(f"requests:{user.pk}:{window:.0f}", times) > most:
        wait_s = int(WINDOW_S - spent_s) + 1
        text = f"More than {most} requests in a minute. Ask again in {wait_s} seconds."
        raise RequestRefusedError(text, code="too_many", status=429, retry_after_s=wait_s)


def _count(key: str, times: int) -> int:
    try:
        cache.add(key, 0, timeout=2 * WINDOW_S)
        return int(cache.incr(key, times))
    except (RedisError, OSError, ValueError):
        # Without a broker nobody is refused: what is asked can still be answered.
        logger.warning("requests are not counted: the broker does not answer")
        return 0
