"""Who may talk to local mode: this machine, by a name of this machine, from our own pages."""

from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

SAID_BY_PROXIES = (
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-real-ip",
)


def is_loopback(address: str) -> bool:
    """Whether a peer address is this machine; a Unix socket has none and is."""
    if not address:
        return True
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address in ("localhost", "testserver", "testclient")


def is_same_origin(origin: str, host: str) -> bool:
    """Whether an ``Origin`` header names the very host and port that was asked."""
    parts = urlsplit(origin)
    return parts.scheme in ("http", "https") and parts.netloc == host


def is_proxied(headers: Iterable[str]) -> bool:
    """Whether the names of a request's headers say that a proxy passed it on."""
    return any(name.lower() in SAID_BY_PROXIES for name in headers)
