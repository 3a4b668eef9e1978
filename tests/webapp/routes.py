"""The URL table and the sockets, flat: a test that walks it sees a new route by itself."""

import re
from typing import NamedTuple

from django.urls import URLResolver, get_resolver

from webapp.asgi import sockets

PARAMETER = re.compile(r"<(?:\w+:)?(\w+)>")
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class Route(NamedTuple):
    pattern: str

    @property
    def parameters(self):
        return PARAMETER.findall(self.pattern)

    def path(self, values):
        return "/" + PARAMETER.sub(lambda found: str(values[found[1]]), self.pattern)

    def __str__(self):
        return self.pattern or "/"


def routes():
    return [Route(pattern) for pattern in _flat(get_resolver().url_patterns, "")]


def socket_routes():
    return [Route(str(route.pattern)) for route in sockets.routes]


def ask(browser, method, path, body="{}"):
    """The answer to a JSON object."""
    return browser.generic(method, path, body, content_type="application/json")


def _flat(patterns, prefix):
    for entry in patterns:
        pattern = prefix + str(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from _flat(entry.url_patterns, pattern)
        else:
            yield pattern
