"""By which names this installation is reached."""

from __future__ import annotations

import socket
from ipaddress import ip_address

import psutil
from django.conf import settings

EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - names what people type
"""What opens all interfaces, and where this machine then finds itself."""


def allowed_hosts(host: str) -> list[str]:
    """Hosts that a browser may name: those of the settings, and what ``--host`` opens.

    Never a wildcard: a stranger's name that points here must not pass for ours.
    """
    opened = [host]
    if host in EVERY_INTERFACE:
        name = socket.gethostname()
        opened = [name, f"{name}.local", *_own_addresses(), *EVERY_INTERFACE.values()]
    return list(dict.fromkeys([*settings.ALLOWED_HOSTS, *map(_in_address, opened)]))


def public_url(host: str, port: int) -> str:
    """The address to give to people."""
    if host in EVERY_INTERFACE:
        others = [a for a in _own_addresses() if not ip_address(a).is_loopback]
        host = next((a for a in others if ":" not in a), EVERY_INTERFACE[host])
    return f"http://{_in_address(host)}:{port}"


def from_here(host: str) -> str:
    """Where this machine itself finds the web server."""
    return EVERY_INTERFACE.get(host, host)


def is_free(host: str, port: int) -> bool:
    """Whether a server may listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def listening(host: str, port: int) -> socket.socket:
    """Where browsers knock, for as many processes as answer them."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=2048)


def _own_addresses() -> list[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    found = (entry for card in psutil.net_if_addrs().values() for entry in card)
    addresses = [entry.address for entry in found if entry.family in families]
    # Link-local ones carry the name of a network card, which no address bar takes.
    return [address for address in addresses if "%" not in address]


def _in_address(host: str) -> str:
    return f"[{host}]" if ":" in host else host
