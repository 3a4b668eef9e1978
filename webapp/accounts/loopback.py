"""Who may talk to local mode: this machine, by a name of this machine, from our own pages."""

from ipaddress import ip_address
from urllib.parse import urlsplit


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
